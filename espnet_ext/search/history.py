"""How hypotheses of a search came about, so that those that ended can be read back.

Letters in shapes: U utterances that are still searched, M hypotheses of each, W of those that go on, K scorers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Array = np.ndarray


class Levelling(Protocol):
    """How scores of different lengths are compared; see SearchOptions."""

    @property
    def normalize_length(self) -> bool: ...

    @property
    def length_alpha(self) -> float: ...


def levelled(score: float, length: int, options: Levelling) -> float:
    """A score of `length` tokens, <eos> among them, as hypotheses are ranked by it.

    Per token, or divided by ((5 + length) / 6)^alpha (Wu et al. 2016, "GNMT", eq. 14).
    """
    if options.normalize_length:
        return score / length
    return score / ((5.0 + length) / 6.0) ** options.length_alpha


@dataclass(frozen=True)
class Found:
    """A hypothesis that ended.

    Attributes:
        tokens: without <sos> and <eos>.
        score: weighted log-probability.
        scores: its parts before weighting.
    """

    tokens: tuple[int, ...]
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step of the search.

    Attributes:
        rows: which utterance each row is, ascending, (U,).
        parents: whom each hypothesis goes on, a number among those that went on at the step before, (U, M).
        tokens: with what, (U, M).
        score: (U, M).
        ends: whether it ends here and counts, (U, M).
        parts: what each scorer gave the token, (U, M, K).
        last: whether this is the utterance's longest output, so that <eos> stands behind the token, (U,).
        going: numbers of those that go on, (U, W).
    """

    rows: Array
    parents: Array
    tokens: Array
    score: Array
    ends: Array
    parts: Array
    last: Array
    going: Array

    def row(self, utterance: int) -> int:
        """Where an utterance that is there stands."""
        return int(np.searchsorted(self.rows, utterance))


@dataclass(frozen=True)
class _End:
    """Where a hypothesis ended.

    Attributes:
        score: of all of it.
        taken: steps that it took; others' may lie between them.
        place: its number at the last of them.
        length: tokens by which its score is divided when lengths are levelled.
    """

    score: float
    taken: int
    place: int
    length: int


class History:
    """All steps of a search.

    Args:
        utterances: how many there are.
        names: of the parts of a score, K.
    """

    def __init__(self, utterances: int, names: Sequence[str]) -> None:
        self.names = list(names)
        self.own: list[list[Step]] = [[] for _ in range(utterances)]
        self.ends: list[list[_End]] = [[] for _ in range(utterances)]

    def add(self, step: Step) -> None:
        """Note a step of the utterances that are in it."""
        for utterance in step.rows.tolist():
            self.own[utterance].append(step)
        for row, place in zip(*np.nonzero(step.ends), strict=True):
            utterance = int(step.rows[row])
            taken = len(self.own[utterance])
            length = taken + int(step.last[row])
            end = _End(float(step.score[row, place]), taken, int(place), length)
            self.ends[utterance].append(end)

    def best(self, utterance: int, nbest: int, options: Levelling, eos: int) -> list[Found]:
        """The best of an utterance, best first; of equals that which ended first."""

        def key(end: _End) -> float:
            return -levelled(end.score, end.length, options)

        ends = sorted(self.ends[utterance], key=key)
        return [self._read(utterance, end, eos) for end in ends[:nbest]]

    def _read(self, utterance: int, end: _End, eos: int) -> Found:
        tokens, place = [], end.place
        parts = np.zeros(len(self.names))
        own = self.own[utterance][: end.taken]
        for back in range(len(own) - 1, -1, -1):
            row = own[back].row(utterance)
            tokens.append(int(own[back].tokens[row, place]))
            parts += own[back].parts[row, place]
            if back:
                before = own[back - 1]
                place = int(before.going[before.row(utterance), own[back].parents[row, place]])
        tokens = tokens[::-1]
        if tokens[-1] == eos:
            tokens.pop()
        return Found(tuple(tokens), end.score, dict(zip(self.names, parts.tolist(), strict=True)))
