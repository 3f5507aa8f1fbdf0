"""The key to a listening test: what its page hides from the listener, and who hears what in which order.

The page knows stimuli and trials by numbers alone; which system a stimulus comes from, and what a check or gold
question should be answered with, stands only here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.files import write_json

#: Systems of a test that are not anybody's.
REFERENCE, LOW_ANCHOR, MID_ANCHOR = "reference", "anchor_3.5kHz", "anchor_7kHz"
RESERVED = (REFERENCE, LOW_ANCHOR, MID_ANCHOR)
FORMAT = 1  # of the key's file


@dataclass(frozen=True)
class Kind:
    """A way to ask.

    Attributes:
        name: what people call it.
        source: where it is described.
        values: the answers, the first the worst (pairs: how B compares with A); none: 0 to 100.
        labels: their names, in the same order.
        sounds: how many stimuli a trial has; 0: all systems at once.
        question: what is asked if nothing else is said.
    """

    name: str
    source: str
    values: tuple[int, ...]
    labels: tuple[str, ...]
    sounds: int
    question: str


_BANDS = ("Bad", "Poor", "Fair", "Good", "Excellent")
KINDS = {
    "mos": Kind(
        "MOS",
        "absolute category rating, ITU-T P.800 (1996), annex B",
        (1, 2, 3, 4, 5),
        _BANDS,
        1,
        "How natural does this speech sound?",
    ),
    "cmos": Kind(
        "CMOS",
        "comparison category rating, ITU-T P.800 (1996), annex E",
        (-3, -2, -1, 0, 1, 2, 3),
        (
            "Much worse",
            "Worse",
            "Slightly worse",
            "About the same",
            "Slightly better",
            "Better",
            "Much better",
        ),
        2,
        "How natural is B compared with A?",
    ),
    "ab": Kind(
        "A/B preference",
        "paired comparison with a no-preference option",
        (-1, 0, 1),
        ("A", "No preference", "B"),
        2,
        "Which of the two sounds more natural?",
    ),
    "mushra": Kind(
        "MUSHRA",
        "ITU-R BS.1534-3 (2015): hidden reference and low-pass anchor",
        (),
        _BANDS,
        0,
        "How close does each sound come to the reference?",
    ),
}


@dataclass(frozen=True)
class Trial:
    """One page of questions.

    Attributes:
        id: what the page calls it.
        role: test, training, check or gold; only the first is counted.
        item: the utterance; "" of a check.
        stimuli: ids of what is rated; of pairs the order that `expected` refers to.
        reference: id of what is played openly beside them, or "".
        text: shown to the listener; "" = nothing.
        expected: the right answers of a check or gold question lie within these bounds.
    """

    id: str
    role: str
    item: str
    stimuli: tuple[str, ...]
    reference: str = ""
    text: str = ""
    expected: tuple[float, float] | None = None


@dataclass(frozen=True)
class Stimulus:
    """One sound: the utterance, the system it comes from, its length in seconds."""

    item: str
    system: str
    seconds: float


@dataclass(frozen=True)
class Key:
    """Everything that the analysis has to know about a test.

    Attributes:
        test: short digest of the whole test; every answer carries it.
        kind: one of KINDS.
        title: shown on the page.
        systems: names in the order given; reference and anchors last.
        stimuli: id -> Stimulus.
        trials: id -> Trial.
        orders: for each listener number the trials in order, each with how far its stimuli are rotated to the left
            (of pairs 1 = swapped).
        made: how the test was made, for people.
    """

    test: str
    kind: str
    title: str
    systems: tuple[str, ...]
    stimuli: dict[str, Stimulus]
    trials: dict[str, Trial]
    orders: tuple[tuple[tuple[str, int], ...], ...]
    made: dict[str, Any]

    def shown(self, trial: str, turned: int) -> tuple[str, ...]:
        """The stimuli of a trial in the order in which they are shown."""
        return rotated(self.trials[trial].stimuli, turned)


def rotated(values: Sequence[str], by: int) -> tuple[str, ...]:
    """Rotated to the left.

    >>> rotated("abc", 1)
    ('b', 'c', 'a')
    """
    by %= max(len(values), 1)
    return (*values[by:], *values[:by])


def key_path(page: Path) -> Path:
    """Where the key to a page lies: beside it."""
    return page.with_suffix(".key.json")


def write_key(path: Path, key: Key) -> None:
    """Write the key as JSON."""
    write_json(path, {"format": FORMAT, **asdict(key)})


def require_place(path: Path, key: Key) -> None:
    """A key may be written here: there is none yet, or that of the same test.

    Raises:
        UserError: for another test's, without which its answers say nothing.
    """
    if path.is_file() and (known := read_key(path)).test != key.test:
        raise UserError(
            f"{path}: found the key of another test ({known.test}), without which its answers cannot be read, expected "
            "a new name: write to another page, or give --replace if nobody has answered"
        )


def read_key(path: Path) -> Key:
    """Read what write_key wrote; the page's own path does as well.

    Raises:
        UserError: it is not there or no key.
    """
    path = key_path(path) if path.suffix == ".html" else path
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected the key that `make` wrote beside the page")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError
        stimuli = {name: Stimulus(**value) for name, value in found.pop("stimuli").items()}
        trials = {name: _trial(value) for name, value in found.pop("trials").items()}
        orders = tuple(tuple((t, int(by)) for t, by in one) for one in found.pop("orders"))
        systems = tuple(found.pop("systems"))
        return Key(systems=systems, stimuli=stimuli, trials=trials, orders=orders, **found)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: found no key of a listening test (format {FORMAT}), expected the file *.key.json that `make` "
            "wrote beside the page"
        ) from None


def _trial(value: dict[str, Any]) -> Trial:
    expected = value.pop("expected")
    stimuli = tuple(value.pop("stimuli"))
    return Trial(stimuli=stimuli, expected=tuple(expected) if expected else None, **value)
