"""Say everything that is wrong with a data directory, in one go; of sorted tables no more than a line is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

from espnet_ext.datadir.stream import Row, in_step, inverted
from espnet_ext.datadir.tables import (
    BY_SPEAKER,
    BY_UTTERANCE,
    BYTE_ORDER_MARK,
    NUMBERS,
    PARTIAL,
    SEGMENT,
    is_number,
    is_table,
    lines_of,
    parse_segment,
    split_line,
)
from espnet_ext.errors import UserError

SHOWN = 10


class Problems(list[str]):
    """Sentences, each naming a file (and line) and what was found there."""

    def report(self, directory: Path) -> str:
        """The first ten problems and how many more there are."""
        lines = "".join(f"\n  {problem}" for problem in self[:SHOWN])
        more = f"\n  ... and {len(self) - SHOWN} more" if len(self) > SHOWN else ""
        count = "1 problem" if len(self) == 1 else f"{len(self)} problems"
        return (
            f"{directory}: found {count}, expected a valid data directory:{lines}{more}\n  Correct "
            f"them by hand, or run `python -m espnet_ext.bin.fix_data {directory}`, which sorts, "
            "keeps the utterances common to all tables and says what it dropped."
        )


def validate(directory: str | Path, *, text: bool = True, audio: bool = True) -> None:
    """Check a data directory.

    Args:
        directory: where the tables lie.
        text: `text` must be there.
        audio: `wav.scp` must be there.

    Raises:
        UserError: listing what is wrong (the first ten) and what to do.
    """
    directory = Path(directory)
    problems = check(directory, text=text, audio=audio)
    if problems:
        raise UserError(problems.report(directory))


def check(directory: str | Path, *, text: bool = True, audio: bool = True) -> Problems:
    """All problems of a data directory; empty if it is valid."""
    directory = Path(directory)
    problems = Problems()
    if not directory.is_dir():
        return Problems([f"{directory}: no such directory"])
    paths = [p for p in sorted(directory.iterdir()) if is_table(p)]
    tables = {p.name: _scan(p, problems) for p in paths}
    needed = ["utt2spk", "spk2utt"] + ["text"] * text + ["wav.scp"] * audio
    problems.extend(f"{name}: missing" for name in needed if name not in tables)
    _numbers(tables, problems)
    _same_utterances(tables, problems)
    _same_speakers(tables, problems)
    _recordings(tables, problems)
    return problems


@dataclass(frozen=True)
class _Scanned:
    """A table that has been looked through: read again when it is sorted, else held.

    Attributes:
        path: the file.
        held: its rows, of a key that occurs twice the last; None where its keys ascend.
    """

    path: Path
    held: dict[str, str] | None

    def rows(self) -> Iterator[Row]:
        """Its rows, each key once, ascending."""
        if self.held is not None:
            return iter(sorted(self.held.items()))
        return map(split_line, lines_of(self.path))

    def keys(self) -> Iterator[str]:
        """Their keys."""
        return (key for key, _ in self.rows())


def _scan(path: Path, problems: Problems) -> _Scanned:
    """Look through the lines of a table."""
    before, number, ascending, returns = "", 0, True, 0
    try:
        for number, line in enumerate(lines_of(path), 1):
            returns += "\r" in line
            key, value = split_line(line)
            where = f"{path.name}, line {number}"
            if not value:
                what = "empty text" if path.name == "text" else "no value"
                problems.append(f"{where}: {what} for {key!r}" if key else f"{where}: empty line")
            if key.split() != [key] and key:
                problems.append(f"{where}: id {key!r} holds white space")
            ascending = ascending and before < key
            before = key
    except UserError as error:
        problems.append(str(error).partition(": convert")[0].replace(str(path), path.name))
        return _Scanned(path, {})
    problems.extend(f"{path.name}: {what}" for what in _foreign(path, number, returns))
    return _Scanned(path, None if ascending else _out_of_order(path, problems))


def _out_of_order(path: Path, problems: Problems) -> dict[str, str]:
    """The rows of a table whose keys do not ascend, without empty lines; names the lines where."""
    table: dict[str, str] = {}
    lines: dict[str, int] = {}
    before = ""
    for number, (key, value) in enumerate(map(split_line, lines_of(path)), 1):
        where = f"{path.name}, line {number}"
        if not key:
            continue  # has been named
        if key in table:
            problems.append(f"{where}: {key!r} again, first in line {lines[key]}")
        elif before > key:
            problems.append(f"{where}: {key!r} after {before!r}: not sorted as by `LC_ALL=C sort`")
        before, table[key] = key, value
        lines.setdefault(key, number)
    return table


def _foreign(path: Path, lines: int, returns: int) -> Iterator[str]:
    """What other systems leave in a text file and Kaldi's tools take for a part of ids and values."""
    if not lines:
        yield "the file is empty"
    with open(path, "rb") as stream:
        if stream.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
            yield "begins with a byte order mark (BOM), which would belong to the first id"
    if returns:
        yield f"{returns} lines hold a carriage return (CRLF), expected a newline alone"


def _numbers(tables: dict[str, _Scanned], problems: Problems) -> None:
    for name in sorted(NUMBERS.keys() & tables.keys()):
        bad = [(u, v) for u, v in tables[name].rows() if v and not is_number(name, v)]
        if bad:
            found = f"{len(bad)} values, expected {NUMBERS[name].meaning}, such as"
            problems.append(f"{name}: found {found} {bad[0][1]!r} for {bad[0][0]!r}")


def _same_utterances(tables: dict[str, _Scanned], problems: Problems) -> None:
    reference = tables.get("utt2spk")
    if reference is None:
        return
    names = [n for n in (*BY_UTTERANCE, "segments", "feats.scp") if n in tables]
    if "segments" not in tables and "wav.scp" in tables:
        names.append("wav.scp")
    for name in names:
        _compare(name, tables[name].keys(), "utt2spk", reference.keys(), problems)


def _compare(
    name: str, keys: Iterable[str], other: str, others: Iterable[str], problems: Problems
) -> None:
    """Two tables whose ascending keys should be the same, or (PARTIAL) the first among the second."""
    extra, lacking = _Few(), _Few()
    for key, left, right in in_step(keys, others):
        if not right:
            extra.add(key)
        if not left:
            lacking.add(key)
    extra.tell(name, other, problems)
    if name not in PARTIAL:
        lacking.tell(other, name, problems)


class _Few:
    """Counts ids and remembers the first three."""

    def __init__(self) -> None:
        self.count, self.first = 0, list[str]()

    def add(self, key: str) -> None:
        self.count += 1
        if len(self.first) < 3:
            self.first.append(key)

    def tell(self, name: str, other: str, problems: Problems) -> None:
        """Say that these ids of `name` are not in `other`."""
        if self.count:
            shown = ", ".join(self.first) + (", ..." if self.count > 3 else "")
            problems.append(f"{name}: {self.count} ids that {other} does not have: {shown}")


def _same_speakers(tables: dict[str, _Scanned], problems: Problems) -> None:
    utt2spk, spk2utt = tables.get("utt2spk"), tables.get("spk2utt")
    if utt2spk is None or spk2utt is None:
        return
    pairs = zip_longest(inverted(utt2spk.rows()), spk2utt.rows(), fillvalue=("", ""))
    if any(s != t or u.split() != sorted(v.split()) for (s, u), (t, v) in pairs):
        problems.append("spk2utt: does not say the same as utt2spk")
    for name in sorted(BY_SPEAKER & tables.keys() - {"spk2utt"}):
        _compare(name, tables[name].keys(), "spk2utt", spk2utt.keys(), problems)
    order = (speaker for _, speaker in utt2spk.rows())
    if any(one > two for one, two in pairwise(order)):
        problems.append(
            "utt2spk: sorted by utterance the speakers are not sorted: ids must start with the "
            "speaker's id"
        )


def _recordings(tables: dict[str, _Scanned], problems: Problems) -> None:
    """Every segment is one, of a recording that is there; held are the recordings that are named."""
    segments, scp = tables.get("segments"), tables.get("wav.scp")
    if segments is None or scp is None:
        return
    used = set[str]()
    for utt, value in segments.rows():
        segment = parse_segment(value)
        if segment is None:
            problems.append(f"segments: found {value!r} for {utt!r}, expected {SEGMENT}")
            return
        used.add(segment.recording)
    lost = _Few()
    for key, left, right in in_step(sorted(used), scp.keys()):
        if left and not right:
            lost.add(key)
    lost.tell("segments", "wav.scp", problems)
