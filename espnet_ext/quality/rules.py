"""Rules such as `snr>=10` that say which utterances stay, and the tables of measures they look at."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_ext.errors import UserError

_RULE = re.compile(r"\s*([a-z_]+)\s*(<=|>=|==|!=|<|>)\s*([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\s*")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
#: Columns of quality.tsv and audit.tsv that no rule can compare.
WORDS = frozenset({"digest", "problems"})
#: Values that follow from utt2dur and text alone.
DERIVED = ("seconds", "chars", "words", "cps")


@dataclass(frozen=True)
class Rule:
    """What an utterance must fulfil to stay: `name` `sign` `value`."""

    name: str
    sign: str
    value: float

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.value:g}"

    def reason(self, values: Mapping[str, float]) -> str:
        """Why an utterance with these values goes; "" if it stays. An unknown value never stays."""
        found = values.get(self.name, math.nan)
        if math.isnan(found):
            return f"{self.name} is unknown, rule {self}"
        return "" if _OPERATORS[self.sign](found, self.value) else f"rule {self}"


def parse_rule(text: str) -> Rule:
    """`snr>=10` as a Rule.

    Raises:
        UserError: anything else.

    >>> str(parse_rule("cps <= 25.0"))
    'cps<=25'
    """
    match = _RULE.fullmatch(text)
    try:
        assert match is not None
        return Rule(match[1], match[2], float(match[3]))
    except (AssertionError, ValueError):
        raise UserError(
            f"rule: found {text!r}, expected NAME SIGN NUMBER with a sign of {' '.join(_OPERATORS)}, "
            'such as "snr>=10" or "cps<=25": what stays must fulfil it'
        ) from None


def derived(seconds: float, text: str | None) -> dict[str, float]:
    """The values of DERIVED; those of the text are NaN where there is none."""
    chars = math.nan if text is None else float(len(text))
    return {
        "seconds": seconds,
        "chars": chars,
        "words": math.nan if text is None else float(len(text.split())),
        "cps": chars / seconds if seconds > 0 else math.nan,
    }


def read_measures(path: Path, names: list[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Some columns of a quality.tsv or audit.tsv, by utterance, in ascending order.

    Raises:
        UserError: the file or a column is not there or holds words, or a value is no number.
    """
    words = sorted(WORDS.intersection(names))
    if words:
        raise UserError(
            f"rule: found {words[0]}, which holds no numbers, expected another column: see --drop for "
            "problems"
        )
    try:
        for utt, values in _columns(path, names):
            numbers = (float(value or "nan") for value in values)
            yield utt, dict(zip(names, numbers, strict=True))
    except ValueError as error:
        raise UserError(
            f"{path}: found {error}, expected numbers: make the table again with audit_data"
        ) from None


def read_problems(path: Path) -> Iterator[tuple[str, set[str]]]:
    """The kinds of findings of each utterance, as audit.tsv says, in ascending order.

    Raises:
        UserError: the file or its column is not there.
    """
    return ((utt, set(kinds.split(","))) for utt, (kinds,) in _columns(path, ["problems"]))


def _columns(path: Path, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(utterance, values of the columns)."""
    rows = _rows(path)
    header = next(rows, [])
    absent = [name for name in names if name not in header]
    if absent or not header or header[0] != "utt":
        raise UserError(
            f"{path}: found no column {', '.join(absent) or 'utt'}, expected one of "
            f"{', '.join(header[1:]) or 'audit.tsv'}: change the rule, or make the table with audit_data"
        )
    places, before = [header.index(name) for name in names], ""
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {number}: found {len(row)} fields, expected {len(header)}: make the table "
                "again with audit_data"
            )
        if row[0] <= before:
            raise UserError(
                f"{path}, line {number}: found {row[0]!r} after {before!r}, expected each utterance once, "
                "sorted as by `LC_ALL=C sort`: sort the lines below the first one"
            )
        before = row[0]
        yield row[0], [row[i] for i in places]


def _rows(path: Path) -> Iterator[list[str]]:
    if not path.is_file():
        raise UserError(
            f"{path}: not found, expected a table of measures: format_audio writes quality.tsv, "
            "audit_data audit.tsv (name it with --measures)"
        )
    with open(path, encoding="utf-8", errors="replace", newline="\n") as stream:
        for line in stream:
            yield line.rstrip("\r\n").split("\t")
