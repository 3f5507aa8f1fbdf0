"""How sure a figure is: bootstrap intervals over utterances, or over blocks of them.

M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004: draw as many utterances as there are, with replacement, many times, and look at the
spread. A speaker's utterances are easy or hard together, which makes intervals over utterances too
narrow; blocks, such as speakers, are then drawn whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Interval = tuple[float, float]
Blocks = Sequence[str] | None


def resampled(data: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Sums over N rows drawn with replacement, many times.

    Args:
        data: (N, K), N >= 1.
        samples: how many times to draw, S.
        seed: the same seed gives the same draws.

    Returns:
        (S, K).
    """
    import numpy as np

    n = len(data)
    generator = np.random.default_rng(seed)
    sums = np.empty((samples, data.shape[1]))
    for start in range(0, samples, 64):  # (64, n) draws at a time keep the memory small
        rows = min(64, samples - start)
        draws = generator.multinomial(n, np.full(n, 1.0 / n), size=rows)
        sums[start : start + rows] = draws @ data
    return sums


def _columns(blocks: Blocks, *columns: Sequence[float]) -> np.ndarray:
    """(N, K) of K columns; with blocks, a row a block."""
    import numpy as np

    data = np.stack([np.asarray(column, float) for column in columns], axis=1)
    if blocks is None:
        return data
    _, number = np.unique(np.asarray(blocks), return_inverse=True)
    sums = np.zeros((number.max() + 1, data.shape[1]))
    np.add.at(sums, number, data)
    return sums


def _middle(values: np.ndarray, level: float) -> Interval:
    """What `level` of the values lie between."""
    import numpy as np

    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ratio_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    blocks: Blocks = None,
) -> Interval | None:
    """Percentile interval of sum(numerators) / sum(denominators) over utterances.

    Args:
        numerators: one an utterance, e.g. its number of errors.
        denominators: one an utterance, e.g. its number of reference words.
        samples: how many times to draw.
        level: probability that the interval is meant to cover, between 0 and 1.
        seed: of the random numbers; the same seed gives the same interval.
        blocks: the block of each utterance, e.g. its speaker; None = each is its own.

    Returns:
        (low, high), or None if the denominators of every draw add up to nothing, or fewer than two utterances (or
        blocks) show no spread.
    """
    if len(numerators) == 0:
        return None
    data = _columns(blocks, numerators, denominators)
    if len(data) < 2:
        return None
    sums = resampled(data, samples, seed)
    sums = sums[sums[:, 1] > 0]
    return _middle(sums[:, 0] / sums[:, 1], level) if len(sums) else None


def mean_interval(
    values: Sequence[float], samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval | None:
    """Percentile interval of the mean of `values`, one an utterance; None of fewer than two."""
    return ratio_interval(values, [1.0] * len(values), samples, level, seed)


@dataclass(frozen=True)
class Improvement:
    """How much better the second of two systems is, over many draws.

    Attributes:
        interval: of the first's error rate less the second's, in the unit of the given errors.
        probability: share of draws in which the second makes fewer errors; draws with as many count half.
    """

    interval: Interval
    probability: float


def improvement(
    first: Sequence[float],
    second: Sequence[float],
    words: Sequence[float],
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    blocks: Blocks = None,
) -> Improvement | None:
    """Bisani and Ney's probability of improvement: both systems on the same drawn utterances.

    Args:
        first, second: errors of the systems, one an utterance.
        words: reference words of each utterance.
        samples, level, seed, blocks: see ratio_interval.

    Returns:
        None if there is no word in any draw.
    """
    if sum(words) == 0:
        return None
    sums = resampled(_columns(blocks, first, second, words), samples, seed)
    sums = sums[sums[:, 2] > 0]
    if not len(sums):
        return None
    gains = (sums[:, 0] - sums[:, 1]) / sums[:, 2]
    probability = float((gains > 0).mean() + 0.5 * (gains == 0).mean())
    return Improvement(_middle(gains, level), probability)
