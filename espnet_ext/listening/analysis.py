"""From the answers to a listening test to what they say about the systems, the raters and their agreement."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from espnet_ext.errors import UserError
from espnet_ext.listening.answers import Sheet, read_answers
from espnet_ext.listening.key import KINDS, Key, read_key
from espnet_ext.listening.screening import Limits, of_role, screen, upright
from espnet_ext.listening.statistics import (
    Draws,
    Interval,
    Table,
    correlation,
    draw,
    fleiss_kappa,
    holm,
    interval,
    t_test,
    table,
    wilcoxon,
)

Subject = tuple[str, ...]  # a system, or the two of a pair
BAND = 20  # points of MUSHRA's scale under one label


@dataclass(frozen=True)
class Vote:
    """One counted answer: of a pair how the second compares with the first."""

    rater: str
    item: str
    subject: Subject
    value: float


@dataclass(frozen=True)
class Score:
    """What raters think of a system, or of the second of a pair beside the first.

    Attributes:
        subject: the system, or the pair.
        votes: how many.
        mean: of all of them; A/B: of 0 (the first), 1/2 (no preference) and 1 (the second).
        interval: 95 %, raters and items drawn; None with only one of either.
        answers: value -> how many; of MUSHRA by bands of 20.
    """

    subject: Subject
    votes: int
    mean: float
    interval: Interval | None
    answers: dict[int, int]


@dataclass(frozen=True)
class Comparison:
    """Whether two systems differ.

    Attributes:
        first, second: the systems.
        difference: mean of the second less that of the first, or the mean comparison; A/B: wins less losses of the
            second as a share of votes.
        interval: 95 % of it, raters and items drawn.
        tests: name of a test -> its p; None where it cannot be done.
        corrected: the first test's p after Holm, over all comparisons.
    """

    first: str
    second: str
    difference: float
    interval: Interval | None
    tests: dict[str, float | None]
    corrected: float | None = None


@dataclass(frozen=True)
class Rater:
    """How a counted rater rated: answers, their mean, agreement with the others, seconds a page (median)."""

    name: str
    votes: int
    mean: float
    correlation: float | None
    seconds: float


@dataclass(frozen=True)
class Results:
    """All that is known.

    Attributes:
        key: of the test.
        heard: how many raters there were.
        rejected: rater -> reasons.
        scores, comparisons, raters: see there.
        agreement: name of a measure -> value; None where it is not defined.
        units: how many sounds or pairs two raters have in common, which agreement is about.
        votes_each: the fewest and the most votes that a sound or pair has; far apart = listeners were not spread.
        about: question -> answer -> (raters, their mean vote, None for pairs).
    """

    key: Key
    heard: int
    rejected: dict[str, list[str]]
    scores: list[Score]
    comparisons: list[Comparison]
    raters: list[Rater]
    agreement: dict[str, float | None]
    units: int
    votes_each: tuple[int, int]
    about: dict[str, dict[str, tuple[int, float | None]]]


def analyse(
    key_path: Path,
    paths: Sequence[Path],
    limits: Limits = Limits(),
    samples: int = 2000,
    seed: int = 0,
) -> Results:
    """Read, screen and evaluate.

    Args:
        key_path: the key, or the page beside it.
        paths: CSVs.
        limits: whom to leave out.
        samples: how many draws intervals rest on.
        seed: of these draws.

    Raises:
        UserError: files that do not fit, or nobody left.
    """
    key = read_key(key_path)
    sheets = read_answers(key, paths)
    rejected = screen(key, sheets, limits)
    kept = _kept(sheets, rejected)
    votes = [vote for sheet in kept for vote in _votes(key, sheet)]
    tables, draws = _tables(votes, samples, seed)
    pairs = KINDS[key.kind].sounds == 2
    compared = _pairs(key, tables, draws) if pairs else _systems(key, tables, draws)
    units = _units(votes)
    return Results(
        key,
        len(sheets),
        rejected,
        [_score(key, subject, votes, tables[subject], draws) for subject in tables],
        _corrected(compared),
        [_rater(key, sheet, votes) for sheet in kept],
        _agreement(key, units),
        sum(len(unit) > 1 for unit in units),
        (min(map(len, units)), max(map(len, units))),
        _about(kept, votes, pairs),
    )


def _kept(sheets: Sequence[Sheet], rejected: Mapping[str, Sequence[str]]) -> list[Sheet]:
    """Those of raters who are not rejected."""
    kept = [sheet for sheet in sheets if sheet.rater not in rejected]
    if not kept:
        who = "; ".join(f"{rater}: {', '.join(why)}" for rater, why in list(rejected.items())[:3])
        raise UserError(
            f"found {len(sheets)} raters and left all of them out ({who}), expected one at least: look at them, or "
            "widen the limits (--failed_checks, --failed_gold, --same_answer, --fast)"
        )
    return kept


def _votes(key: Key, sheet: Sheet) -> list[Vote]:
    found = []
    for answer in of_role(key, sheet, "test"):
        trial = key.trials[answer.trial]
        names = trial.stimuli if KINDS[key.kind].sounds else (answer.stimulus,)
        subject = tuple(key.stimuli[name].system for name in names)
        found.append(Vote(sheet.rater, trial.item, subject, upright(key, answer)))
    return found


def _tables(votes: Sequence[Vote], samples: int, seed: int) -> tuple[dict[Subject, Table], Draws]:
    """Answers by rater and item for each subject in order of appearance by name, and draws for all of them."""
    raters = {name: n for n, name in enumerate(sorted({v.rater for v in votes}))}
    items = {name: n for n, name in enumerate(sorted({v.item for v in votes}))}
    cells: dict[Subject, list[tuple[int, int, float]]] = defaultdict(list)
    for vote in votes:
        cells[vote.subject].append((raters[vote.rater], items[vote.item], vote.value))
    made = {s: table(cells[s], len(raters), len(items)) for s in sorted(cells)}
    return made, draw(len(raters), len(items), samples, seed)


def _score(key: Key, subject: Subject, votes: Sequence[Vote], found: Table, draws: Draws) -> Score:
    values = [vote.value for vote in votes if vote.subject == subject]
    bands = KINDS[key.kind].values
    counted = Counter(int(v) if bands else min(int(v) // BAND, 4) for v in values)
    answers = {band: counted[band] for band in bands or range(5)}
    mean, spread = found.mean, interval(found.drawn(draws), draws)
    if key.kind == "ab":
        mean = (mean + 1) / 2
        spread = spread and ((spread[0] + 1) / 2, (spread[1] + 1) / 2)
    return Score(subject, len(values), mean, spread, answers)


def _systems(key: Key, tables: Mapping[Subject, Table], draws: Draws) -> list[Comparison]:
    """Every two systems of MOS or MUSHRA, by raters' means."""
    found = []
    names = [name for name in key.systems if (name,) in tables]
    for first, second in combinations(names, 2):
        one, two = tables[first,], tables[second,]
        drawn = two.drawn(draws) - one.drawn(draws)
        p = wilcoxon(two.by_rater() - one.by_rater())
        found.append(
            Comparison(
                first, second, two.mean - one.mean, interval(drawn, draws), {"Wilcoxon, raters": p}
            )
        )
    return found


def _pairs(key: Key, tables: Mapping[Subject, Table], draws: Draws) -> list[Comparison]:
    """The pairs of CMOS or A/B."""
    found = []
    for (first, second), one in tables.items():
        tests = _preference_tests(one) if key.kind == "ab" else _comparison_tests(one)
        spread = interval(one.drawn(draws), draws)
        found.append(Comparison(first, second, one.mean, spread, tests))
    return found


def _comparison_tests(found: Table) -> dict[str, float | None]:
    means = found.by_rater()
    return {"Wilcoxon, raters": wilcoxon(means), "t, raters": t_test(means)}


def _preference_tests(found: Table) -> dict[str, float | None]:
    """Exact sign tests; no preference counts for neither."""
    from espnet_ext.metrics.significance import mcnemar

    net = found.sums.sum(axis=1)
    wins, losses = int((found.sums > 0).sum()), int((found.sums < 0).sum())
    return {
        "sign, raters": mcnemar(int((net > 0).sum()), int((net < 0).sum())),
        "sign, votes": mcnemar(wins, losses),
    }


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    from dataclasses import replace

    values = holm([next(iter(one.tests.values())) for one in found])
    return [replace(one, corrected=p) for one, p in zip(found, values, strict=True)]


def _units(votes: Sequence[Vote]) -> list[list[float]]:
    """Votes on the same sound, or pair of sounds."""
    units: dict[tuple[str, Subject], list[float]] = defaultdict(list)
    for vote in votes:
        units[vote.item, vote.subject].append(vote.value)
    return list(units.values())


def _agreement(key: Key, units: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """Fleiss' kappa (MUSHRA: of bands of 20) and Krippendorff's alpha."""
    from espnet_ext.quality.agreement import alpha

    coarse = [[min(int(v) // BAND, 4) for v in unit] for unit in units]
    named = units if KINDS[key.kind].values else coarse
    return {
        "Fleiss' kappa": fleiss_kappa(named),
        "Krippendorff's alpha, nominal": alpha(named, "nominal"),
        "Krippendorff's alpha, ordinal": alpha(units, "ordinal"),
        "Krippendorff's alpha, interval": alpha(units, "interval"),
    }


def _rater(key: Key, sheet: Sheet, votes: Sequence[Vote]) -> Rater:
    """One rater beside the mean of the others on the same sounds."""
    others: dict[tuple[str, Subject], list[float]] = defaultdict(list)
    mine = [vote for vote in votes if vote.rater == sheet.rater]
    for vote in votes:
        if vote.rater != sheet.rater:
            others[vote.item, vote.subject].append(vote.value)
    shared = [vote for vote in mine if others[vote.item, vote.subject]]
    theirs = [others[v.item, v.subject] for v in shared]
    pages = sorted({a.trial: a.seconds for a in of_role(key, sheet, "test")}.values())
    return Rater(
        sheet.rater,
        len(mine),
        sum(vote.value for vote in mine) / len(mine) if mine else math.nan,
        correlation([vote.value for vote in shared], [sum(v) / len(v) for v in theirs]),
        pages[len(pages) // 2] if pages else math.nan,
    )


def _about(
    sheets: Sequence[Sheet], votes: Sequence[Vote], pairs: bool
) -> dict[str, dict[str, tuple[int, float | None]]]:
    """Who took part: for every question the answers, the most frequent first."""
    means: dict[str, list[float]] = defaultdict(list)
    for vote in votes:
        means[vote.rater].append(vote.value)
    found: dict[str, dict[str, tuple[int, float | None]]] = {}
    for question in dict.fromkeys(name for sheet in sheets for name in sheet.about):
        groups: dict[str, list[str]] = defaultdict(list)
        for sheet in sheets:
            groups[sheet.about.get(question) or "no answer"].append(sheet.rater)
        found[question] = {}
        for answer, raters in sorted(groups.items(), key=lambda g: (-len(g[1]), g[0])):
            values = [value for rater in raters for value in means[rater]]
            mean = None if pairs or not values else sum(values) / len(values)
            found[question][answer] = (len(raters), mean)
    return found
