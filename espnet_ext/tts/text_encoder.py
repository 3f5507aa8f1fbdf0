"""Tokens, encoded: a Transformer with relative positions.

Letters in shapes: B batch, N tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.tts.blocks import Stack
from espnet_ext.tts.inputs import known_numbers
from espnet_ext.tts.options import one_of


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
    """

    blocks: int = 4
    width: int = 0
    heads: int = 2
    inner: int = 1024
    kernel: int = 5
    positions: str = "relative"
    dropout: float = 0.1


class TextEncoder(nn.Module):
    """Embeddings and blocks.

    Args:
        vocabulary: tokens; 0 pads.
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

    def forward(self, text: Tensor, mask: Tensor, lids: Tensor | None = None) -> Tensor:
        """Token ids (B, N), mask (B, N), languages' numbers (B,) or (B, 1) -> (B, N, D).

        Raises:
            UserError: for a language that is not there.
        """
        x = self.embed(text)
        if self.language is not None:
            x = (
                x
                + self.language(known_numbers(lids, self.language.num_embeddings, "lids"))[:, None]
            )
        return self.out(self.stack(self.dropout(x), mask))
