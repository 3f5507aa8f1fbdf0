"""Whose answers do not count, and why: every rater who is left out is named with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from espnet_ext.listening.answers import Answer, Sheet
from espnet_ext.listening.key import KINDS, MID_ANCHOR, REFERENCE, Key

HIDDEN_REFERENCE, SHARE = 90, 0.15  # BS.1534-3, post-screening
_CROWD = 0.25  # of assessors; an item on which so many take the mid anchor for good accuses nobody (ibid.)
_ENOUGH = 8  # answers before sameness tells anything
_HURRY = 0.9  # of the time that the sounds of a page take
_GLANCE = 0.25  # of MUSHRA's: one need not hear every version to its end


@dataclass(frozen=True)
class Limits:
    """What rejects a rater when it is passed; shares from 0 to 1.

    Attributes:
        failed_checks: of the pages that say what to choose.
        failed_gold: of the questions with a known answer.
        same_answer: of rated pages with the most frequent answer (with eight of them or more); reached is too much.
        fast: of rated pages that took less time than their sounds.
    """

    failed_checks: float = 0.34
    failed_gold: float = 0.34
    same_answer: float = 0.95
    fast: float = 0.2


def screen(key: Key, sheets: Sequence[Sheet], limits: Limits) -> dict[str, list[str]]:
    """Rater -> reasons for leaving them out; raters without one are not in it."""
    found = {}
    blameless = _hard_items(key, sheets)
    for sheet in sheets:
        reasons = [
            *_unfinished(key, sheet),
            *_failed(key, sheet, "check", limits.failed_checks, "attention checks"),
            *_failed(key, sheet, "gold", limits.failed_gold, "gold questions"),
            *_same(key, sheet, limits.same_answer),
            *_hasty(key, sheet, limits.fast),
            *_mushra(key, sheet, blameless),
        ]
        if reasons:
            found[sheet.rater] = reasons
    return found


def of_role(key: Key, sheet: Sheet, role: str) -> list[Answer]:
    """Answers on pages of one role."""
    return [a for a in sheet.answers if key.trials[a.trial].role == role]


def upright(key: Key, answer: Answer) -> float:
    """The value, of pairs as if they had been shown in the order of the key."""
    if KINDS[key.kind].sounds != 2:
        return answer.value
    swapped = tuple(answer.stimulus.split("|")) != key.trials[answer.trial].stimuli
    return -answer.value if swapped else answer.value


def _unfinished(key: Key, sheet: Sheet) -> Iterable[str]:
    done, whole = {a.trial for a in sheet.answers}, len(key.orders[sheet.listener])
    if len(done) < whole:
        yield f"answered {len(done)} of {whole} pages"


def _failed(key: Key, sheet: Sheet, role: str, limit: float, name: str) -> Iterable[str]:
    wrong: dict[str, bool] = {}
    for answer in of_role(key, sheet, role):
        low, high = key.trials[answer.trial].expected or (0.0, 0.0)
        value = upright(key, answer) if role == "gold" else answer.value
        wrong[answer.trial] = wrong.get(answer.trial, False) or not low <= value <= high
    if wrong and sum(wrong.values()) > limit * len(wrong):
        yield f"failed {sum(wrong.values())} of {len(wrong)} {name}"


def _same(key: Key, sheet: Sheet, limit: float) -> Iterable[str]:
    values = Counter(answer.value for answer in of_role(key, sheet, "test"))
    if values.total() >= _ENOUGH:
        value, count = values.most_common(1)[0]
        if count >= limit * values.total():
            yield f"gave {count} of {values.total()} times the same answer, {value:g}"


def _hasty(key: Key, sheet: Sheet, limit: float) -> Iterable[str]:
    pages = {answer.trial: answer.seconds for answer in of_role(key, sheet, "test")}
    fast = sum(seconds < _HURRY * heard(key, trial) for trial, seconds in pages.items())
    if pages and fast > limit * len(pages):
        yield f"answered {fast} of {len(pages)} pages faster than their sounds last"


def heard(key: Key, trial: str) -> float:
    """Seconds that a page's sounds take, or the part of them that one has to hear."""
    found = key.trials[trial]
    names = {*found.stimuli, found.reference} - {""}
    total = sum(key.stimuli[name].seconds for name in names)
    return total if KINDS[key.kind].sounds else _GLANCE * total


def _ratings(key: Key, sheet: Sheet, system: str) -> dict[str, float]:
    """Utterance -> value of one system on rated pages."""
    rated = of_role(key, sheet, "test")
    return {
        key.stimuli[a.stimulus].item: a.value
        for a in rated
        if key.stimuli[a.stimulus].system == system
    }


def _mushra(key: Key, sheet: Sheet, blameless: frozenset[str]) -> Iterable[str]:
    """The post-screening of BS.1534-3."""
    if key.kind != "mushra":
        return
    reference = _ratings(key, sheet, REFERENCE)
    low = sum(value < HIDDEN_REFERENCE for value in reference.values())
    if low > SHARE * len(reference):
        yield f"rated the hidden reference below {HIDDEN_REFERENCE} on {low} of {len(reference)} items"
    anchor = {i: v for i, v in _ratings(key, sheet, MID_ANCHOR).items() if i not in blameless}
    high = sum(value > HIDDEN_REFERENCE for value in anchor.values())
    if high > SHARE * len(anchor):
        yield f"rated the 7 kHz anchor above {HIDDEN_REFERENCE} on {high} of {len(anchor)} items"


def _hard_items(key: Key, sheets: Sequence[Sheet]) -> frozenset[str]:
    """Items on which more than a quarter of all raters take the mid anchor for good: it does them no harm."""
    if key.kind != "mushra" or MID_ANCHOR not in key.systems:
        return frozenset()
    above, total = Counter[str](), Counter[str]()
    for sheet in sheets:
        for item, value in _ratings(key, sheet, MID_ANCHOR).items():
            above[item] += value > HIDDEN_REFERENCE
            total[item] += 1
    return frozenset(item for item in total if above[item] > _CROWD * total[item])
