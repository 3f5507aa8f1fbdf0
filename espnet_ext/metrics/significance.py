"""Whether two recognisers differ by more than chance, on the same utterances.

The matched-pair sentence-segment word error test (MAPSSWE) of L. Gillick and S. J. Cox, "Some
statistical issues in the comparison of speech recognition algorithms", ICASSP 1989, with NIST's
segments (SCTK, sc_stats -t mapsswe): stretches with errors, kept apart by two and more words in a row
that both systems got right, so that one segment's errors say nothing about another's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from espnet_ext.metrics.wer import Alignment

GOOD = 2  # words that both got right, in a row, between two segments


@dataclass(frozen=True)
class MatchedPairs:
    """Outcome of the test.

    Attributes:
        segments: with an error of either system.
        mean: of the first's errors less the second's in a segment.
        deviation: standard deviation of that difference.
        z: mean over its standard error; None where all differences are the same.
        p: probability of a difference at least as large, either way, if there were none.
    """

    segments: int
    mean: float
    deviation: float
    z: float | None
    p: float


def _places(alignment: Alignment) -> list[tuple[int, int]]:
    """Of N reference words and what follows the last (N + 1): insertions before it, whether it is wrong."""
    found, inserted = list[tuple[int, int]](), 0
    for op in alignment.ops:
        if op == "I":
            inserted += 1
        else:
            found.append((inserted, int(op != "C")))
            inserted = 0
    return [*found, (inserted, 0)]


def segments(first: Alignment, second: Alignment, good: int = GOOD) -> list[tuple[int, int]]:
    """Errors of both systems in each segment of an utterance.

    Args:
        first, second: alignments with the same reference.
        good: words that end a segment if both systems have them right, with nothing inserted between.

    Returns:
        pairs that are never (0, 0); their sums are the errors of the utterance.
    """
    found, run, here = list[tuple[int, int]](), 0, (0, 0)
    for (before1, wrong1), (before2, wrong2) in zip(_places(first), _places(second), strict=True):
        here = (here[0] + before1 + wrong1, here[1] + before2 + wrong2)
        run = 0 if wrong1 or wrong2 else 1 if before1 or before2 else run + 1
        if any(here) and run >= good:
            found.append(here)
            here = (0, 0)
    return [*found, here] if any(here) else found


def matched_pairs(pairs: Iterable[tuple[Alignment, Alignment]], good: int = GOOD) -> MatchedPairs:
    """The test over all utterances.

    Args:
        pairs: an utterance's alignments by the two systems.
        good: see segments.
    """
    differences = [a - b for pair in pairs for a, b in segments(*pair, good=good)]
    count = len(differences)
    if not count:
        return MatchedPairs(0, 0.0, 0.0, None, 1.0)
    mean = sum(differences) / count
    squares = sum((d - mean) ** 2 for d in differences)
    if squares == 0:  # nothing to estimate a spread from: what the signs alone say
        p = min(1.0, 2 * 0.5**count) if mean else 1.0
        return MatchedPairs(count, mean, 0.0, None, p)
    deviation = math.sqrt(squares / (count - 1))
    z = mean / (deviation / math.sqrt(count))
    return MatchedPairs(count, mean, deviation, z, math.erfc(abs(z) / math.sqrt(2)))


def mcnemar(only_first: int, only_second: int) -> float:
    """p-value of McNemar's exact test (Gillick and Cox 1989, section 2).

    Args:
        only_first, only_second: utterances that only the first, only the second system got wrong.

    >>> round(mcnemar(1, 8), 4)
    0.0391
    """
    count, least = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(count, k) for k in range(least + 1))
    return min(1.0, 2 * tail / 2**count)
