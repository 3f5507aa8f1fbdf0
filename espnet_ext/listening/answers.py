"""The answers of listeners: CSVs of the page, of the collector, or of Mechanical Turk, checked against the key."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.listening.key import KINDS, Key

COLUMNS = (
    "test",
    "rater",
    "session",
    "listener",
    "position",
    "trial",
    "slot",
    "stimulus",
    "value",
    "plays",
    "seconds",
)
ABOUT = "about"  # a trial that is none: what listeners say about themselves
_MTURK = "Answer.answers"  # the column of a batch's results that holds a whole CSV of ours


@dataclass(frozen=True)
class Answer:
    """One rated sound, or pair of sounds.

    Attributes:
        trial: its id.
        stimulus: id of the sound; of a pair `A|B` as they were shown.
        value: as given; of pairs how B compares with A as they were shown.
        plays: how often sounds were started.
        seconds: spent on the page.
    """

    trial: str
    stimulus: str
    value: float
    plays: int
    seconds: float


@dataclass
class Sheet:
    """All answers of one listener.

    Attributes:
        rater: name or code.
        session: random id that the page made.
        listener: 0-based number of the order.
        where: file that it was read from.
        about: what the listener said about themselves.
        answers: in the order given.
    """

    rater: str
    session: str
    listener: int
    where: Path
    about: dict[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)


def read_answers(key: Key, paths: Sequence[Path]) -> list[Sheet]:
    """The sheets of all files, by rater; a sheet that is there twice, word for word, counts once.

    Raises:
        UserError: no such file, not a CSV of this test, answers that cannot be, or one rater twice.
    """
    sheets: dict[str, Sheet] = {}
    for path in paths:
        for sheet in sheets_of(key, text_of(path), path):
            known = sheets.setdefault(sheet.rater, sheet)
            if known is sheet or (known.session, known.answers) == (sheet.session, sheet.answers):
                continue
            again = "another time" if known.session != sheet.session else "with other answers"
            raise UserError(
                f"{path}: found rater {sheet.rater!r} {again}, in {known.where} before, expected every rater once: if "
                "they are two people, give one of them another name in the CSV; if not, leave one file out"
            )
    if not sheets:
        raise UserError(f"{', '.join(map(str, paths))}: found no answer, expected some")
    return [sheets[name] for name in sorted(sheets)]


def text_of(path: Path) -> str:
    """The text of a file of answers, a spreadsheet's byte order mark left out.

    Raises:
        UserError: if it is not there, or not UTF-8.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected a CSV of answers: check the path")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: found bytes that are not UTF-8 at {error.start}, expected a CSV of the page: a spreadsheet may "
            "have saved it anew; give the file as it was downloaded"
        ) from None


def sheets_of(key: Key, text: str, where: Path) -> list[Sheet]:
    """The sheets in the text of one CSV; a sheet that is there twice is given twice.

    Raises:
        UserError: see read_answers.
    """
    sheets: dict[tuple[str, str], Sheet] = {}
    for line, row in _checked(_rows(text, where), where):
        if row["test"] != key.test:
            raise UserError(
                f"{where}, line {line}: found answers of the test {row['test']!r}, expected {key.test!r} "
                f"({key.title}): give the key that was made with their page"
            )
        who = row["rater"], row["session"]
        listener = int(_number(row, "listener", where, line)) - 1
        if not 0 <= listener < len(key.orders):
            raise _wrong(row, "listener", f"1 to {len(key.orders)}", where, line)
        sheet = sheets.setdefault(who, Sheet(*who, listener, where))
        if row["trial"] == ABOUT:
            sheet.about[row["stimulus"]] = row["value"]
        else:
            answer = _answer(key, sheet, row, where, line)
            if answer not in sheet.answers:  # twice the same: sent and downloaded
                sheet.answers.append(answer)
    for sheet in sheets.values():
        _require_once(sheet)
    return list(sheets.values())


def _checked(rows: Iterator[tuple[int, dict[str, str]]], where: Path) -> Iterator[Any]:
    """The same rows; what is no CSV at all becomes an error for people."""
    try:
        yield from rows
    except csv.Error as error:
        raise UserError(f"{where}: found {error}, expected a CSV of the page") from None


def _rows(text: str, where: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV of ours, or of every one within the results of Mechanical Turk."""
    csv.field_size_limit(10_000_000)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    found = reader.fieldnames or []
    if _MTURK in found:
        for row in reader:
            yield from _rows(row[_MTURK] or "", where)
        return
    lacking = [name for name in COLUMNS if name not in found]
    if lacking:
        raise UserError(
            f"{where}: found a CSV without the column {lacking[0]!r}, expected {', '.join(COLUMNS)}: give what the "
            "page or the collector wrote"
        )
    for row in reader:
        if None in row or None in row.values():
            raise UserError(
                f"{where}, line {reader.line_num}: found a row that is cut off or too long, expected {len(COLUMNS)} "
                "fields: remove it, or fetch the file again"
            )
        yield reader.line_num, row


def _answer(key: Key, sheet: Sheet, row: dict[str, str], where: Path, line: int) -> Answer:
    """An answer that the page may have given."""
    turns = dict(key.orders[sheet.listener])
    trial = row["trial"]
    if trial not in turns:
        raise _wrong(row, "trial", f"one of listener {sheet.listener + 1}", where, line)
    shown = key.shown(trial, turns[trial])
    kind = KINDS[key.kind]
    if row["stimulus"] not in (["|".join(shown)] if kind.sounds else shown):
        raise _wrong(row, "stimulus", f"what {trial} plays: {', '.join(shown)}", where, line)
    value = _number(row, "value", where, line)
    if value not in (kind.values or range(101)):
        values = ", ".join(map(str, kind.values)) or "a whole number from 0 to 100"
        raise _wrong(row, "value", values, where, line)
    plays, seconds = (_number(row, name, where, line) for name in ("plays", "seconds"))
    return Answer(trial, row["stimulus"], value, int(plays), seconds)


def _number(row: dict[str, str], name: str, where: Path, line: int) -> float:
    try:
        value = float(row[name])
        if abs(value) < 1e9:
            return value
    except ValueError:
        pass
    raise _wrong(row, name, "a number", where, line)


def _wrong(row: dict[str, str], name: str, expected: str, where: Path, line: int) -> UserError:
    return UserError(f"{where}, line {line}: {name}: found {row[name]!r}, expected {expected}")


def _require_once(sheet: Sheet) -> None:
    """Raises UserError where one sound of a page has two answers."""
    seen: set[tuple[str, str]] = set()
    for answer in sheet.answers:
        what = answer.trial, answer.stimulus
        if what in seen:
            raise UserError(
                f"{sheet.where}: found two answers of rater {sheet.rater!r} to {answer.trial} ({answer.stimulus}), "
                "expected one: remove the wrong one"
            )
        seen.add(what)


def as_csv(rows: Iterable[Sequence[object]], head: bool = True) -> str:
    """Rows of COLUMNS as the page writes them."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    if head:
        writer.writerow(COLUMNS)
    writer.writerows(rows)
    return out.getvalue()
