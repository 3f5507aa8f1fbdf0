"""Who is heard in a corpus, for how long, and how unevenly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from espnet_ext.datadir.stream import Follower

Rows = Callable[[], Iterable[tuple[str, str]]]
Lengths = Callable[[], Iterable[tuple[str, float]]]
UNKNOWN = "unknown"
#: What to look at -> tables that say it, by utterance or by speaker; the first that is there counts.
TABLES = {
    "gender": ("utt2gender", "spk2gender"),
    "accent": ("utt2accent", "spk2accent"),
    "age": ("utt2age", "spk2age"),
    "language": ("utt2lang", "spk2lang"),
}
_GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


@dataclass(frozen=True)
class Spread:
    """How time is spread over groups.

    Attributes:
        hours: of each group, the largest first.
        largest: share of the largest group, 0 to 1.
        effective: so many groups of equal size would be as varied: exp of the entropy (the Hill
            number of order 1; Hill 1973, Diversity and evenness); from 1 to the number of groups.
        gini: Gini coefficient, 0 = all equal, near 1 = one has nearly all.
    """

    hours: dict[str, float]
    largest: float
    effective: float
    gini: float


def spread(seconds: Mapping[str, float]) -> Spread:
    """How seconds are spread over groups.

    >>> even = spread({"a": 3600.0, "b": 3600.0})
    >>> even.largest, round(even.effective, 6), even.gini
    (0.5, 2.0, 0.0)
    """
    order = sorted(seconds, key=lambda g: (-seconds[g], g))
    whole = sum(seconds.values())
    hours = {group: seconds[group] / 3600 for group in order}
    if whole <= 0:
        return Spread(hours, 0.0, float(len(hours)), 0.0)
    shares = [seconds[group] / whole for group in order]
    entropy = -sum(p * math.log(p) for p in shares if p > 0)
    # Mean difference over twice the mean; `shares` are sorted down.
    count = len(shares)
    gini = sum((count - 1 - 2 * i) * p for i, p in enumerate(shares)) / count
    return Spread(hours, shares[0], math.exp(entropy), gini)


def represented(tables: Mapping[str, Rows], seconds: Lengths) -> dict[str, Spread]:
    """Spreads over speakers, and over gender, accent, age and language where tables tell of them.

    Args:
        tables: of a data directory, by file name; what gives their rows, ascending.
        seconds: gives the length of each utterance, ascending; others are left out.
    """
    found = {"speaker": _spread_over("speaker", _speakers(tables), seconds)}
    for what, (by_utt, by_speaker) in TABLES.items():
        if by_utt in tables:
            found[what] = _spread_over(what, Follower(tables[by_utt]()).get, seconds)
        elif by_speaker in tables:
            found[what] = _spread_over(what, _by_speaker(tables, by_speaker), seconds)
    return found


def _speakers(tables: Mapping[str, Rows]) -> Callable[[str], str | None]:
    return Follower(tables["utt2spk"]() if "utt2spk" in tables else ()).get


def _by_speaker(tables: Mapping[str, Rows], name: str) -> Callable[[str], str | None]:
    group_of, speaker_of = dict(tables[name]()), _speakers(tables)
    return lambda utt: group_of.get(speaker_of(utt) or "")


def _spread_over(what: str, group_of: Callable[[str], str | None], seconds: Lengths) -> Spread:
    sums: dict[str, float] = {}
    for utt, length in seconds():
        group = group_of(utt)
        name = UNKNOWN if group is None else _named(what, group)
        sums[name] = sums.get(name, 0.0) + length
    return spread(sums)


def _named(what: str, value: str) -> str:
    """One name for one group: f and Female are the same, and ages fall into decades."""
    if what == "gender":
        return _GENDERS.get(value.lower(), value.lower())
    if what == "age" and value.isdecimal():
        return f"{int(value) // 10 * 10}-{int(value) // 10 * 10 + 9}"
    return value
