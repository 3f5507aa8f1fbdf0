"""Means of ratings when raters and items are both drawn from many, tests between systems, agreement.

An interval that takes every answer for a draw of its own is far too narrow: answers of one rater go together, and so
do those on one utterance. The pigeonhole bootstrap draws raters and utterances, each with replacement, and an answer
counts as often as its rater times its utterance was drawn (A. B. Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1(2), 2007); its intervals are, if anything, a little too wide.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Interval = tuple[float, float]


@dataclass(frozen=True)
class Draws:
    """How often each rater (B, R) and each item (B, I) was drawn, B times."""

    raters: np.ndarray
    items: np.ndarray


def draw(raters: int, items: int, samples: int, seed: int) -> Draws:
    """Draw as many raters and items as there are, with replacement, `samples` times."""
    import numpy as np

    generator = np.random.default_rng(seed)
    sizes = (raters, items)
    made = (generator.multinomial(n, np.full(n, 1 / n), size=samples) for n in sizes)
    return Draws(*made)


@dataclass(frozen=True)
class Table:
    """Answers on one system or pair: their sums and numbers by rater and item, each (R, I)."""

    sums: np.ndarray
    counts: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.counts.sum())

    def by_rater(self) -> np.ndarray:
        """Mean of each rater that has answers here; NaN for the others: (R,)."""
        return _ratio(self.sums.sum(axis=1), self.counts.sum(axis=1))

    def drawn(self, draws: Draws) -> np.ndarray:
        """The mean in every draw, NaN where nothing was drawn: (B,)."""
        return _ratio(
            ((draws.raters @ self.sums) * draws.items).sum(axis=1),
            ((draws.raters @ self.counts) * draws.items).sum(axis=1),
        )


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def table(answers: Sequence[tuple[int, int, float]], raters: int, items: int) -> Table:
    """Of (rater, item, value), both numbers from 0 on."""
    import numpy as np

    sums, counts = np.zeros((raters, items)), np.zeros((raters, items))
    for rater, item, value in answers:
        sums[rater, item] += value
        counts[rater, item] += 1
    return Table(sums, counts)


def interval(drawn: np.ndarray, draws: Draws, level: float = 0.95) -> Interval | None:
    """What `level` of the draws lie between; None with a single rater or item, which show no spread."""
    import numpy as np

    found = drawn[np.isfinite(drawn)]
    if draws.raters.shape[1] < 2 or draws.items.shape[1] < 2 or not len(found):
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilcoxon(differences: Sequence[float] | np.ndarray) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that differences lie around 0; exact where there are few.

    None where fewer than two are there; 1 where all are 0.
    """
    import numpy as np
    from scipy.stats import wilcoxon as test

    found = np.asarray(differences, float)
    found = found[np.isfinite(found)]
    if len(found) < 2:
        return None
    return 1.0 if not found.any() else float(test(found, method="auto").pvalue)


def t_test(values: Sequence[float] | np.ndarray) -> float | None:
    """Two-sided p of Student's test that values have mean 0; None where they show no spread."""
    import numpy as np
    from scipy.stats import ttest_1samp

    found = np.asarray(values, float)
    found = found[np.isfinite(found)]
    if len(found) < 2 or np.ptp(found) == 0:
        return None
    return float(ttest_1samp(found, 0.0).pvalue)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for their number (S. Holm, Scandinavian Journal of Statistics 6, 1979).

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        found[place] = highest
    return found


def fleiss_kappa(votes: Sequence[Sequence[Hashable | None]]) -> float | None:
    """Agreement of many raters beyond chance (J. L. Fleiss, Psychological Bulletin 76(5), 1971).

    kappa = (P - Pe) / (1 - Pe) with P the mean share of agreeing pairs on a unit and Pe the sum of squared shares of
    the values. Fleiss has the same number of votes on every unit; where numbers differ, each unit's share is of its
    own pairs, and units with fewer than two votes are left out.

    Args:
        votes: for every unit the votes of the raters; None where one did not vote.

    Returns:
        None where nothing could disagree.
    """
    from collections import Counter

    units = [Counter(v for v in unit if v is not None) for unit in votes]
    units = [unit for unit in units if unit.total() > 1]
    every = sum(units, Counter())
    if len(every) < 2:
        return None
    shares = []
    for unit in units:
        n = unit.total()
        shares.append(sum(k * (k - 1) for k in unit.values()) / (n * (n - 1)))
    observed = sum(shares) / len(shares)
    chance = sum((k / every.total()) ** 2 for k in every.values())
    return (observed - chance) / (1 - chance)


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's; None with fewer than three values, or where one side is constant."""
    import numpy as np

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])
