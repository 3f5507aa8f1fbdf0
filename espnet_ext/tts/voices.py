"""Who speaks: a speaker's number, an outside speaker embedding, a style read off a recording.

Letters in shapes: B batch, T mel frames, M mel bins, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.tts.inputs import known_numbers
from espnet_ext.tts.masks import time_means


@dataclass(frozen=True)
class Who:
    """Who speaks the utterances of a batch, and in which language.

    Attributes:
        sids, lids: (B,) or (B, 1), speakers' and languages' numbers.
        spembs: (B, E), outside speaker embeddings.
        feats: (B, T, M), recordings whose style is taken, normalised.
        heard: (B, T), true for the frames of these.
    """

    sids: Tensor | None = None
    lids: Tensor | None = None
    spembs: Tensor | None = None
    feats: Tensor | None = None
    heard: Tensor | None = None


class StyleTokens(nn.Module):
    """Global style tokens (Wang et al. 2018): a recording as a mixture of learned vectors.

    The reference encoder is convolutions and a mean over time in place of the paper's 2-D ones and GRU, so that
    padding changes nothing.

    Args:
        mels: M.
        width: D.
        tokens: how many vectors.
        heads: of the attention that mixes them.
    """

    def __init__(self, mels: int, width: int, tokens: int = 10, heads: int = 2) -> None:
        super().__init__()
        sizes = (mels, width, width, width)
        self.convs = nn.ModuleList(nn.Conv1d(a, b, 5, padding=2) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in sizes[1:])
        self.tokens = nn.Parameter(0.5 * torch.randn(tokens, width))
        self.mix = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, feats: Tensor, mask: Tensor) -> Tensor:
        """(B, T, M), mask (B, T) -> (B, D)."""
        x = feats
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(F.relu(conv((x * mask[..., None]).transpose(1, 2)).transpose(1, 2)))
        tokens = self.tokens.tanh().expand(len(x), -1, -1)
        return self.mix(time_means(x, mask)[:, None], tokens, tokens, need_weights=False)[0][:, 0]


class Voices(nn.Module):
    """All that is known of the speaker, as one vector.

    Args:
        width: D.
        mels: M.
        speakers: with a vector each; 0 = one, without.
        embedding: size of outside speaker embeddings (x-vectors, d-vectors); 0 = none.
        style: whether a recording gives the style.
    """

    def __init__(self, width: int, mels: int, speakers: int, embedding: int, style: bool) -> None:
        super().__init__()
        self.speaker = nn.Embedding(speakers, width) if speakers else None
        self.outside = nn.Linear(embedding, width) if embedding else None
        self.style = StyleTokens(mels, width) if style else None

    def forward(self, who: Who) -> Tensor | None:
        """(B, 1, D), or None where there is one voice.

        Raises:
            UserError: if what the model was trained with is not given, or of another kind.
        """
        found: list[Tensor] = []
        if self.speaker is not None:
            known = known_numbers(who.sids, self.speaker.num_embeddings, "sids")
            found.append(self.speaker(known))
        if self.outside is not None:
            given = _embeddings(who.spembs, self.outside.in_features)
            found.append(self.outside(F.normalize(given)))
        if self.style is not None:
            if who.feats is None or who.heard is None:
                raise UserError(
                    "found no recording, expected one whose style is to be taken: give `speech`"
                )
            found.append(self.style(who.feats, who.heard))
        return torch.stack(found).sum(0)[:, None] if found else None


def _embeddings(given: Tensor | None, size: int) -> Tensor:
    """Outside speaker embeddings (B, size).

    Raises:
        UserError: if there are none, or of another size.
    """
    if given is None or given.shape[-1] != size:
        what = "no spembs" if given is None else f"spembs of {given.shape[-1]} numbers"
        raise UserError(
            f"found {what}, expected {size} numbers an utterance (tts_conf's spk_embed_dim; xvector.scp of the data "
            "directory)"
        )
    return given
