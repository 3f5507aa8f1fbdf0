"""A sentence of each utterance that has been read at once: hypotheses that begin as it does need no step of their own.

The search asks what the scorers say of one likely sentence before it begins (see search.bound). As they read it in one
pass, they give their opinion of what follows each of its beginnings, and the keys and values of its tokens. A
hypothesis that is such a beginning takes these; where a model is sure of itself, that is most of them (the idea of
speculative decoding: Leviathan et al. 2023; here CTC makes the draft).

Letters in shapes: U utterances, W hypotheses of each, L tokens of the longest sentence, <sos> among them, V vocabulary,
Y layers, H heads, C width of a head, R columns of a pool.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

#: In the place of a token: the sentence has ended.
_ENDED = -1


@dataclass(frozen=True)
class Known:
    """What was read, and who agrees with it.

    Attributes:
        tokens: the sentence, <sos> first; -1 behind it, (U, L).
        log_probs: of the token after each, (U, L, V).
        pool: keys and values, (Y, 2, U, H, L, C).
        agrees: hypotheses that have said nothing else, (U, W).
    """

    tokens: Tensor
    log_probs: Tensor
    pool: Tensor
    agrees: Tensor

    def reorder(self, parents: Tensor) -> Known:
        """Hypotheses that descend from `parents` (U, W)."""
        return replace(self, agrees=self.agrees.gather(1, parents))

    def keep(self, rows: Tensor) -> Known:
        """The utterances `rows` (M,)."""
        return Known(
            self.tokens[rows], self.log_probs[rows], self.pool[:, :, rows], self.agrees[rows]
        )

    def read(self, tokens: Tensor, ages: Tensor) -> Known:
        """After a token of each hypothesis (U, W), when they have `ages` (U,)."""
        wanted = self.tokens.gather(1, self._places(ages)[:, None])
        there = (ages < self.tokens.shape[1])[:, None]
        return replace(self, agrees=self.agrees & there & (tokens == wanted))

    def after(self, ages: Tensor) -> Tensor:
        """Log-probabilities of the token after that of `ages` (U,), (U, 1, V)."""
        rows = torch.arange(len(ages), device=ages.device)
        return self.log_probs[rows, self._places(ages)][:, None]

    def write(self, pool: Tensor, begin: int, ages: Tensor) -> None:
        """Keys and values of the token of `ages` (U,) into the columns from `begin` on of those who agree."""
        rows, places = self.agrees.nonzero(as_tuple=True)
        found = self.pool[:, :, rows, :, self._places(ages)[rows]]
        pool[:, :, rows, :, begin + places] = found

    def _places(self, ages: Tensor) -> Tensor:
        return ages.clamp(max=self.tokens.shape[1] - 1)


def known(tokens: Tensor, sizes: Tensor, log_probs: Tensor, pool: Tensor) -> Known:
    """Of one hypothesis an utterance that has said nothing: sentences (U, L), <sos> first, of `sizes` tokens (U,)."""
    behind = torch.arange(tokens.shape[1], device=tokens.device) >= sizes[:, None]
    agrees = torch.ones_like(tokens[:, :1], dtype=torch.bool)
    return Known(tokens.masked_fill(behind, _ENDED), log_probs, pool, agrees)


def join(one: Known | None, two: Known | None, width: int) -> Known | None:
    """Of the utterances of both, with `width` hypotheses each; None where it is not known of all."""
    if one is None or two is None:
        return None
    length = max(one.tokens.shape[1], two.tokens.shape[1])
    parts = []
    for each in (one, two):
        more = length - each.tokens.shape[1]
        tokens = F.pad(each.tokens, (0, more), value=_ENDED)
        log_probs = F.pad(each.log_probs, (0, 0, 0, more))
        agrees = F.pad(each.agrees, (0, width - each.agrees.shape[1]))
        parts.append(Known(tokens, log_probs, F.pad(each.pool, (0, 0, 0, more)), agrees))
    return Known(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.log_probs for part in parts]),
        torch.cat([part.pool for part in parts], dim=2),
        torch.cat([part.agrees for part in parts]),
    )
