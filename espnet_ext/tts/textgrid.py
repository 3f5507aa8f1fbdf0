"""Praat's TextGrid files, long and short: who said which phone when, as the Montreal Forced Aligner writes it.

Both formats are the same values in the same order; the long one names them. Values are texts in quotation marks (a mark
within is doubled), numbers that stand free, and flags in angle brackets; all else is for people (Praat's manual,
"TextGrid file formats").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from espnet_ext.datadir.tables import decode
from espnet_ext.errors import UserError

_VALUE = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|<(?P<flag>\w+)>|(?<!\S)(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)'
)
_WHAT = "a TextGrid as Praat and the Montreal Forced Aligner write it"


@dataclass(frozen=True)
class Interval:
    """A stretch of a tier.

    Attributes:
        start, end: in seconds.
        label: "" where nothing is said.
    """

    start: float
    end: float
    label: str


def read_textgrid(path: str | Path) -> dict[str, list[Interval]]:
    """The tiers of intervals by name; tiers of points are passed over.

    Raises:
        UserError: if it is no TextGrid, one is cut off, or its intervals do not follow each other.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected {_WHAT}")
    values = _Values(path)
    if not (values.text().startswith("ooTextFile") and values.text() == "TextGrid"):
        raise UserError(f"{path}: found another kind of file, expected {_WHAT}")
    values.number(), values.number()
    if not values.flag():
        return {}
    tiers: dict[str, list[Interval]] = {}
    for _ in range(int(values.number())):
        kind, name = values.text(), values.text()
        values.number(), values.number()
        if kind == "IntervalTier":
            if name in tiers:
                raise UserError(f"{path}: found two tiers {name!r}, expected each name once")
            tiers[name] = _intervals(values, f"{path}, tier {name!r}")
        else:
            for _ in range(int(values.number())):
                values.number(), values.text()
    return tiers


def _intervals(values: _Values, where: str) -> list[Interval]:
    found: list[Interval] = []
    for _ in range(int(values.number())):
        one = Interval(values.number(), values.number(), values.text().strip())
        before = found[-1].end if found else one.start
        if one.end < one.start or abs(one.start - before) > 1e-3:
            raise UserError(
                f"{where}: found an interval from {one.start} to {one.end} s after {before} s, expected intervals one "
                "after the other"
            )
        found.append(one)
    return found


class _Values:
    """The values of a file, one after the other; each call asks for one of a kind.

    Raises:
        UserError: at the first that is of another kind, or lacks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = data.decode("utf-16", errors="replace") if wide else decode(data, path)
        self.found: Iterator[re.Match[str]] = _VALUE.finditer(text)

    def _next(self, kind: str, words: str) -> str:
        match = next(self.found, None)
        if match is None or match[kind] is None:
            what = "the end of the file" if match is None else repr(match[0][:40])
            raise UserError(
                f"{self.path}: found {what}, expected {words}: is it {_WHAT}, and whole?"
            )
        return match[kind]

    def text(self) -> str:
        return self._next("text", "a text in quotation marks").replace('""', '"')

    def number(self) -> float:
        return float(self._next("number", "a number"))

    def flag(self) -> bool:
        return self._next("flag", "<exists>") == "exists"


def tier(tiers: dict[str, list[Interval]], name: str, where: str) -> list[Interval]:
    """The tier of that name, or the only one whose name ends in " - NAME", as those of recordings of named speakers do.

    Raises:
        UserError: if there is none, or several speakers have one.
    """
    if name in tiers:
        return tiers[name]
    fitting = [key for key in tiers if key.endswith(f" - {name}")]
    if len(fitting) != 1:
        raise UserError(
            f"{where}: found tiers {', '.join(map(repr, tiers)) or 'none'}, expected one named {name!r}: name another "
            "with --tier"
        )
    return tiers[fitting[0]]
