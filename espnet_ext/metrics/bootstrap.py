"""How sure a figure is: bootstrap intervals over utterances.

M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004: draw as many utterances as there are, with replacement, many times, and look at the
spread.
"""

from __future__ import annotations

from collections.abc import Sequence

Interval = tuple[float, float]


def ratio_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Percentile interval of sum(numerators) / sum(denominators) over utterances.

    Args:
        numerators: one an utterance, e.g. its number of errors.
        denominators: one an utterance, e.g. its number of reference words.
        samples: how many times to draw.
        level: probability that the interval is meant to cover, between 0 and 1.
        seed: of the random numbers; the same seed gives the same interval.

    Returns:
        (low, high), or None if the denominators of every draw add up to nothing.
    """
    import numpy as np

    n = len(numerators)
    if n == 0:
        return None
    data = np.stack([np.asarray(numerators, float), np.asarray(denominators, float)], axis=1)
    generator = np.random.default_rng(seed)
    sums = np.empty((samples, 2))
    for start in range(0, samples, 64):  # (64, n) draws at a time keep the memory small
        rows = min(64, samples - start)
        draws = generator.multinomial(n, np.full(n, 1.0 / n), size=rows)
        sums[start : start + rows] = draws @ data
    sums = sums[sums[:, 1] > 0]
    if len(sums) == 0:
        return None
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_interval(
    values: Sequence[float], samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval | None:
    """Percentile interval of the mean of `values`, one an utterance; None if there are none."""
    return ratio_interval(values, [1.0] * len(values), samples, level, seed)
