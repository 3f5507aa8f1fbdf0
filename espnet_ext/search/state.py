"""Utterances on their way through the search: they come, are put together with others, and leave.

Letters in shapes: U utterances, W hypotheses of each (the most that one has), N hypotheses returned, T frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.search import ctc
from espnet_ext.search.scorers import Scorer

NEG = float("-inf")


@dataclass
class Batch:
    """Utterances on their way; row numbers change when one leaves.

    Attributes:
        rows: the number of the utterance of each row, ascending, (U,).
        lengths: frames of each, (U,).
        states: of the scorers.
        frames, ctc: what CTC knows, if it has a weight.
        tokens: last token of each hypothesis, (U, W).
        score: (U, W); -inf where there is no hypothesis.
        ages: tokens that hypotheses have, (U,).
        shortest, longest: tokens that an output may have, (U,).
        best: scores of the best that have ended, as many as are returned, best first, (U, N).
        least: what a hypothesis must have more than, (U,); see search.bound.
        ended: best score of those that ended at each of the last steps, the latest last, (U, steps); -inf if none did.
    """

    rows: Tensor
    lengths: Tensor
    states: dict[str, Any]
    frames: ctc.CtcTable | None
    ctc: ctc.CtcState | None
    tokens: Tensor
    score: Tensor
    ages: Tensor
    shortest: Tensor
    longest: Tensor
    best: Tensor
    least: Tensor
    ended: Tensor

    @property
    def floor(self) -> Tensor:
        """What a hypothesis must have more than to win yet, (U, 1)."""
        return torch.maximum(self.best[:, -1], self.least)[:, None]


#: Parts with a row an utterance, and nothing else to look after.
_PLAIN = (
    "rows",
    "lengths",
    "tokens",
    "score",
    "ages",
    "shortest",
    "longest",
    "best",
    "least",
    "ended",
)


def keep(batch: Batch, rows: Tensor, scorers: Mapping[str, Scorer]) -> Batch:
    """Only the rows `rows` (M,)."""
    if not len(rows):
        return replace(batch, rows=batch.rows[rows])
    frames, state = batch.frames, batch.ctc
    if frames is not None and state is not None:
        frames, state = ctc.keep(frames, state, rows)
    states = {name: s.keep(batch.states[name], rows) for name, s in scorers.items()}
    plain = {name: getattr(batch, name)[rows] for name in _PLAIN}
    return Batch(states=states, frames=frames, ctc=state, **plain)


def join(batch: Batch, fresh: Batch, scorers: Mapping[str, Scorer]) -> Batch:
    """Two batches as one, the rows of the second last; none is empty.

    Every scorer can `join`, and no scorer's state is one before <sos>.
    """
    width = max(batch.tokens.shape[1], fresh.tokens.shape[1])
    lengths = torch.cat((batch.lengths, fresh.lengths))
    longest, states = int(lengths.max()), {}
    for name, scorer in scorers.items():
        assert hasattr(scorer, "join")
        states[name] = scorer.join(batch.states[name], fresh.states[name], width, longest)
    frames, state = batch.frames, batch.ctc
    if frames is not None and state is not None:
        assert fresh.frames is not None and fresh.ctc is not None
        frames = ctc.join_tables(frames, fresh.frames, longest)
        state = ctc.join_states(state, fresh.ctc, width, longest)
    plain = {}
    for name in _PLAIN:
        one, two = getattr(batch, name), getattr(fresh, name)
        if name in ("tokens", "score"):
            fill = NEG if name == "score" else int(two[0, 0])
            one, two = (F.pad(x, (0, width - x.shape[1]), value=fill) for x in (one, two))
        plain[name] = torch.cat((one, two))
    return Batch(states=states, frames=frames, ctc=state, **plain)
