"""Tokens, encoded: a Transformer with relative positions.

Letters in shapes: B batch, N tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.text.token_features import Folding, read_names
from espnet_ext.tts.blocks import Stack
from espnet_ext.tts.inputs import known_numbers
from espnet_ext.tts.options import number, one_of


@dataclass(frozen=True)
class EncoderOptions:
    """Size of the encoder.

    Attributes:
        blocks: depth.
        width: of the blocks; 0 = the model's.
        heads: of attention.
        inner: width between a block's two convolutions.
        kernel: of the first of them, odd; 1 makes it a plain Transformer.
        positions: relative (Dai et al. 2019), rotary (faster) or none.
        dropout: of what the blocks add, and of embeddings.
        prosody: what of `text.token_features` the tokens' numbers say besides, between blanks: "pos boundary emphasis
            stress"; each has embeddings of its own.
        prosody_dropout: share of training utterances of which none of it is known, so that plain tokens are, too.
    """

    blocks: int = number(4, 1)
    width: int = number(0, 0)
    heads: int = number(2, 1)
    inner: int = number(1024, 1)
    kernel: int = number(5, 1)
    positions: str = "relative"
    dropout: float = number(0.1, 0, 0.99)
    prosody: str = ""
    prosody_dropout: float = number(0.1, 0, 1)


class TextEncoder(nn.Module):
    """Embeddings and blocks.

    Args:
        vocabulary: tokens; 0 pads. With `prosody` their numbers are folded with its values (`text.token_features`).
        width: of what comes out.
        options: see there.
        languages: with a vector each, added to every token's; 0 = one, without.
    """

    def __init__(
        self, vocabulary: int, width: int, options: EncoderOptions, languages: int = 0
    ) -> None:
        super().__init__()
        one_of("encoder.positions", options.positions, ("relative", "rotary", "none"))
        inner_width = options.width or width
        self.embed = nn.Embedding(vocabulary, inner_width, padding_idx=0)
        self.language = nn.Embedding(languages, inner_width) if languages else None
        self.folding = Folding(vocabulary, read_names(options.prosody))
        self.prosody_dropout = options.prosody_dropout
        self.prosody = nn.ModuleDict(
            {
                name: nn.Embedding(size, inner_width, padding_idx=0)
                for name, size in zip(self.folding.names, self.folding.sizes, strict=True)
            }
        )
        for table in self.prosody.values():
            assert isinstance(table, nn.Embedding)
            # so that a model which goes on from one without says the same
            nn.init.zeros_(table.weight)
        self.dropout = ByteDropout(options.dropout)
        self.stack = Stack(
            options.blocks,
            inner_width,
            options.heads,
            options.inner,
            options.kernel,
            options.dropout,
            options.positions,
        )
        self.out = nn.Linear(inner_width, width) if inner_width != width else nn.Identity()

    def _known(self, features: list[Tensor]) -> list[Tensor]:
        """Values (B, N) of each feature; in training of some utterances none."""
        if not (self.training and features and self.prosody_dropout):
            return features
        kept = torch.rand(len(features[0]), 1, device=features[0].device) >= self.prosody_dropout
        return [values * kept for values in features]

    def forward(self, text: Tensor, mask: Tensor, lids: Tensor | None = None) -> Tensor:
        """Tokens' numbers (B, N), mask (B, N), languages' numbers (B,) or (B, 1) -> (B, N, D).

        Raises:
            UserError: for a language that is not there.
        """
        ids, features = self.folding.unfold(text)
        x = self.embed(ids)
        for table, values in zip(self.prosody.values(), self._known(features), strict=True):
            x = x + table(values)
        if self.language is not None:
            x = (
                x
                + self.language(known_numbers(lids, self.language.num_embeddings, "lids"))[:, None]
            )
        return self.out(self.stack(self.dropout(x), mask))
