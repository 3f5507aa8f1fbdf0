"""How far several people who transcribed or labelled the same recordings agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError
from espnet_ext.metrics.wer import Counts, align, total

if TYPE_CHECKING:
    import numpy as np

LEVELS = ("nominal", "ordinal", "interval", "ratio")


def alpha(votes: Sequence[Sequence[Hashable | None]], level: str = "nominal") -> float | None:
    """Krippendorff's alpha: 1 = all agree, 0 = no better than chance, below = worse than chance.

    alpha = 1 - observed disagreement / disagreement to be expected by chance, over all pairs of
    votes on a unit; a unit with fewer than two votes tells nothing (Krippendorff 2011, Computing
    Krippendorff's alpha-reliability).

    Args:
        votes: for every unit the votes of the raters; None where one did not vote.
        level: nominal for names, ordinal for ranks, interval or ratio for numbers.

    Returns:
        None where it is not defined: no unit with two votes, or only one value among all of them.

    Raises:
        UserError: a level that is none of these, or values that are no numbers where they must be.
    """
    if level not in LEVELS:
        raise UserError(f"level: found {level!r}, expected one of {', '.join(LEVELS)}")
    every = [[vote for vote in unit if vote is not None] for unit in votes]
    units: list[list[Any]] = [unit for unit in every if len(unit) > 1]
    if level != "nominal":
        units = [_numbers(unit, level) for unit in units]
    counts = Counter(vote for unit in units for vote in unit)
    if len(counts) < 2:
        return None
    observed, expected = (
        _nominal(units, counts) if level == "nominal" else _measured(units, counts, level)
    )
    return 1 - observed * (counts.total() - 1) / expected


def _numbers(unit: Sequence[Any], level: str) -> list[float]:
    try:
        votes = [float(vote) for vote in unit]
        if not all(math.isfinite(vote) for vote in votes):
            raise ValueError
    except (TypeError, ValueError):
        raise UserError(
            f"found votes {', '.join(map(str, unit))}, expected finite numbers at the level {level}: take "
            "--level nominal for names"
        ) from None
    return votes


def _nominal(units: Sequence[Sequence[Any]], counts: Counter[Any]) -> tuple[float, float]:
    """Disagreeing pairs within units, each weighted by 1 / (votes - 1), and among all votes."""
    within = sum(
        (len(unit) ** 2 - sum(n * n for n in Counter(unit).values())) / (len(unit) - 1)
        for unit in units
    )
    return within, counts.total() ** 2 - sum(n * n for n in counts.values())


def _measured(
    units: Sequence[Sequence[float]], counts: Counter[float], level: str
) -> tuple[float, float]:
    """The same, with pairs weighted by the square of their distance."""
    import numpy as np

    values = sorted(counts)
    sizes = np.array([counts[value] for value in values], dtype=np.float64)
    # No level depends on the unit; with the largest value as unit no square is too large or small.
    unit_of_all = max(abs(value) for value in values)
    squares = _distances(np.array(values) / unit_of_all, sizes, level) ** 2
    place = {value: i for i, value in enumerate(values)}
    within = 0.0
    for unit in units:
        at = [place[vote] for vote in unit]
        within += float(squares[np.ix_(at, at)].sum()) / (len(unit) - 1)
    return within, float(sizes @ squares @ sizes)


def _distances(values: np.ndarray, sizes: np.ndarray, level: str) -> np.ndarray:
    """(V, V): how far two values are apart.

    Ordinal: how many votes lie between them, their own counted by half. Ratio: relative to their sum.
    """
    import numpy as np

    if level == "ordinal":
        middle = np.cumsum(sizes) - sizes / 2
        return np.abs(middle[:, None] - middle[None, :])
    apart = np.abs(values[:, None] - values[None, :])
    if level == "interval":
        return apart
    sums = np.abs(values[:, None] + values[None, :])
    return np.divide(apart, sums, out=np.zeros_like(apart), where=sums > 0)


@dataclass(frozen=True)
class Agreement:
    """What several versions of the same transcripts have in common.

    Attributes:
        utterances: in two versions at least.
        same: share of them that all their transcribers wrote alike, 0 to 1.
        alpha: of the words, each a vote; None where nothing could disagree.
        pairs: (version, version) -> errors of the second against the first.
        least: ids that the versions differ most in, the worst first, with errors per word.
    """

    utterances: int
    same: float
    alpha: float | None
    pairs: dict[tuple[str, str], Counts]
    least: list[tuple[str, float]]


def label_agreement(
    versions: Mapping[str, Mapping[str, str]], level: str
) -> tuple[float | None, int]:
    """Alpha of labels or ratings, and of how many ids at least two people voted on.

    Args:
        versions: name of the version -> id -> value; "" is no vote.
        level: see alpha.

    Raises:
        UserError: no id that two of them voted on, or as alpha.
    """
    ids = sorted(set().union(*versions.values()))
    votes = [[version.get(utt) or None for version in versions.values()] for utt in ids]
    compared = [unit for unit in votes if sum(vote is not None for vote in unit) > 1]
    if not compared:
        raise UserError(
            f"{', '.join(versions)}: found no id in two of them, expected labels of the same things: "
            "check that the ids agree"
        )
    return alpha(compared, level), len(compared)


def agreement(versions: Mapping[str, Mapping[str, str]], shown: int = 20) -> Agreement:
    """Compare versions of transcripts.

    Args:
        versions: name of the version -> id -> text.
        shown: how many of the least agreed-on utterances to name.

    Raises:
        UserError: fewer than two versions, or no utterance that two of them have.
    """
    if len(versions) < 2:
        raise UserError(f"found {len(versions)} version, expected two or more to compare")
    pairs = dict.fromkeys(combinations(versions, 2), Counts())
    votes: list[list[str | None]] = []
    rates: dict[str, float] = {}
    same = 0
    for utt in sorted(set().union(*versions.values())):
        texts = {name: v[utt].split() for name, v in versions.items() if utt in v}
        if len(texts) < 2:
            continue
        found = _compare(texts)
        for pair, counts in found.items():
            pairs[pair] += counts
        votes += word_votes(list(texts.values()))
        counted = total(found.values())
        same += not counted.errors
        rates[utt] = counted.errors / max(counted.words, 1)
    if not rates:
        raise UserError(
            f"{', '.join(versions)}: found no utterance in two of them, expected versions of the same "
            "transcripts: check that the ids agree"
        )
    worst = sorted((u for u in rates if rates[u]), key=lambda u: (-rates[u], u))[:shown]
    return Agreement(
        len(rates), same / len(rates), alpha(votes), pairs, [(u, rates[u]) for u in worst]
    )


def _compare(texts: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Counts]:
    return {(a, b): align(texts[a], texts[b]).counts for a, b in combinations(texts, 2)}


def word_votes(texts: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """Each word of the longest text and each place between as a unit, with every text's vote on it.

    A word left out is a vote for "", and so is nothing put in where another text has words more; a
    place between where nobody puts anything in is no unit.
    """
    longest = max(range(len(texts)), key=lambda i: (len(texts[i]), -i))
    columns = [_against(texts[longest], text) for text in texts]
    units: list[list[str | None]] = []
    for place in range(2 * len(texts[longest]) + 1):
        votes: list[str | None] = [column.get(place, "") for column in columns]
        if any(votes):
            units.append(votes)
    return units


def _against(base: Sequence[str], text: Sequence[str]) -> dict[int, str]:
    """Words of `text` by place: 2 i + 1 beside word i of `base`, 2 i before it."""
    found: dict[int, str] = {}
    word = 0
    for op, _, mine in align(base, text).columns():
        if op == "I":
            found[2 * word] = f"{found.get(2 * word, '')} {mine.lower()}".strip()
        else:
            found[2 * word + 1] = mine.lower()
            word += 1
    return found
