"""Tables of a Kaldi data directory: one `key value` a line, UTF-8, sorted by the bytes of the
key.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, NoReturn

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open

#: Tables that may lie in a data directory and are keyed by utterance.
BY_UTTERANCE = (
    "text",
    "raw_text",
    "utt2spk",
    "utt2dur",
    "utt2num_samples",
    "utt2speed",
    "utt2augment",
    "utt2snr",
    "utt2gender",
    "utt2accent",
    "utt2age",
    "utt2lang",
    "utt2sid",
    "utt2lid",
    "durations",
    "spembs.scp",
    "xvector.scp",
)
#: Tables that are keyed by speaker; all others that are known by utterance or recording.
BY_SPEAKER = frozenset(
    {
        *("spk2utt", "spk2gender", "spk2sid", "spk2lang", "spk2accent", "spk2age"),
        *("spk_spembs.scp", "spk_xvector.scp"),
    }
)
#: Tables that tell of people, who may have kept it to themselves: these may lack speakers or
#: utterances. So may vectors, which one table or another may have.
PARTIAL = frozenset(
    {
        *("spk2accent", "spk2age", "utt2accent", "utt2age"),
        *("spembs.scp", "xvector.scp", "spk_spembs.scp", "spk_xvector.scp"),
    }
)
#: What some editors put before the first byte of UTF-8 text; read past, and reported by `check`.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


KNOWN = frozenset({"wav.scp", "segments", "reco2dur", "feats.scp", *BY_UTTERANCE, *BY_SPEAKER})


def is_table(path: Path) -> bool:
    """Whether a file of a data directory is one of the tables known here."""
    return path.name in KNOWN and path.is_file()


class Segment(NamedTuple):
    """A stretch of a recording: `utt recording start end`, in seconds; no end: that of the recording."""

    recording: str
    start: float
    end: float | None


def sort_key(key: str) -> bytes:
    """The order of `LC_ALL=C sort`: by bytes of UTF-8 (the same as by code points)."""
    return key.encode("utf-8")


def decode(data: bytes, path: Path, first: int = 1) -> str:
    """UTF-8 bytes of a file, from line `first` on, as text, without a byte order mark before it.

    Raises:
        UserError: naming the file, line and offending bytes if they are not UTF-8.
    """
    try:
        text = data.decode("utf-8")
        return text.removeprefix("\ufeff") if first == 1 else text
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + first
        raise UserError(
            f"{path}, line {line}: found bytes {data[error.start : error.start + 4]!r} that are "
            "not UTF-8, expected UTF-8 text: convert the file, e.g. iconv -f latin1 -t utf-8"
        ) from None


def read_table(
    path: str | Path, *, empty: bool = False, sorted_only: bool = False
) -> dict[str, str]:
    """Read a table into a dictionary in the order of the file.

    Only a newline ends a line (a Unicode line separator within a text does not), and only spaces
    and tabs separate a key from its value.

    Args:
        path: the file.
        empty: allow a key without a value (its value is then "").
        sorted_only: require the keys in C order.

    Raises:
        UserError: file missing, not UTF-8, a key twice, a value missing, an empty line or keys out
            of order; the message names file and line.
    """
    path = Path(path)
    table: dict[str, str] = {}
    for number, line in enumerate(lines_of(path), 1):
        key, value = split_line(line)
        if key in table:
            second_time(path, key, number)
        if not key or not (value or empty):
            missing_value(path, key, number)
        table[key] = value
    if sorted_only:
        for number, (before, key) in enumerate(pairwise(table), 2):
            if before > key:
                wrong_order(path, before, key, number)
    return table


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file without their newlines, one after the other.

    Raises:
        UserError: no such file, or naming the line that is not UTF-8.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, expected a table of `key value` lines: check the path"
        )
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            text = decode(line, path, number)
            yield text.removesuffix("\n")


def read_lines(path: Path) -> list[str]:
    """All of them at once; see lines_of."""
    return list(lines_of(path))


def split_line(line: str) -> tuple[str, str]:
    """`key value` -> (key, value), without white space at the ends; a carriage return is a space anywhere."""
    line = line.replace("\r", " ").strip()
    key, _, value = line.partition(" ")
    if "\t" in key:
        key, _, value = line.partition("\t")
    return key, value.strip()


def missing_value(path: Path, key: str, number: int) -> NoReturn:
    """Raises UserError for a line that lacks its value or key."""
    what = "an empty text" if path.name == "text" else "no value"
    found = f"{what} for {key!r}, expected `{key} VALUE`" if key else "an empty line"
    raise UserError(
        f"{path}, line {number}: found {found}: complete the line or remove it (fix_data removes "
        "it)"
    )


def second_time(path: Path, key: str, number: int) -> NoReturn:
    """Raises UserError for a key that an earlier line has, too."""
    first = next(n for n, line in enumerate(lines_of(path), 1) if split_line(line)[0] == key)
    raise UserError(
        f"{path}: found {key!r} twice, in lines {first} and {number}, expected every key once: "
        "remove one of the two lines, or run fix_data on the directory, which keeps the first"
    )


def wrong_order(path: Path, before: str, key: str, number: int) -> NoReturn:
    """Raises UserError for a key that should have come earlier."""
    raise UserError(
        f"{path}, line {number}: found {key!r} after {before!r}, expected keys sorted as by "
        "`LC_ALL=C sort`: run fix_data on the directory"
    )


def write_table(path: str | Path, table: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """Write `table` sorted by key, atomically.

    A value may be empty where the table's meaning allows it (a decoder that found nothing).

    Raises:
        UserError: if a key is empty or holds white space, or a value a line break or outer white
            space.
    """
    path = Path(path)
    rows = sorted(table.items() if isinstance(table, Mapping) else table)
    for key, value in rows:
        check_row(path, key, value)
    with atomic_open(path) as stream:
        stream.write("".join(f"{key} {value}\n" if value else f"{key}\n" for key, value in rows))


def check_row(path: Path, key: str, value: str) -> None:
    """Raises UserError for a row that could not be read back."""
    if key.split() != [key]:
        raise UserError(f"{path}: key {key!r} is empty or holds white space, expected a plain id")
    if "\n" in value or "\r" in value or value != value.strip():
        raise UserError(f"{path}: value {value!r} of {key!r} must be one line without outer spaces")


def invert(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """`utt -> spk` to `spk -> "utt utt ..."`, both sorted."""
    groups: dict[str, list[str]] = {}
    for utt in sorted(utt2spk):
        groups.setdefault(utt2spk[utt], []).append(utt)
    return {spk: " ".join(groups[spk]) for spk in sorted(groups)}


def write_spk2utt(directory: str | Path) -> None:
    """Rebuild `spk2utt` from `utt2spk`."""
    directory = Path(directory)
    write_table(directory / "spk2utt", invert(read_table(directory / "utt2spk")))


def read_segments(path: str | Path) -> dict[str, Segment]:
    """Read `segments`: `utt recording start end`, seconds with 0 <= start < end, or -1 for the end.

    Raises:
        UserError: as read_table, or a line that does not hold such a segment.
    """
    return {utt: segment_of(path, utt, value) for utt, value in read_table(path).items()}


def segment_of(path: str | Path, utt: str, value: str) -> Segment:
    """A value of `segments`.

    Raises:
        UserError: it is none.
    """
    segment = parse_segment(value)
    if segment is None:
        raise UserError(
            f"{path}: found {value!r} for {utt!r}, expected {SEGMENT}: correct the line"
        )
    return segment


#: What a value of `segments` holds, in words.
SEGMENT = "`RECORDING START END` with 0 <= START < END in seconds (END -1: to the recording's end)"


def parse_segment(value: str) -> Segment | None:
    """A value of `segments`; None if it is none.

    >>> parse_segment("tape 1.5 -1")
    Segment(recording='tape', start=1.5, end=None)
    """
    try:
        recording, first, last = value.split()
        start, end = float(first), float(last)
    except ValueError:
        return None
    if end == -1 and 0 <= start < math.inf:
        return Segment(recording, start, None)
    return Segment(recording, start, end) if 0 <= start < end < math.inf else None


class Number(NamedTuple):
    """What a table of numbers may hold."""

    meaning: str
    low: float
    high: float


NUMBERS = {
    "utt2dur": Number("seconds", 0.0, sys.float_info.max),
    "utt2speed": Number("a speed from 0.1 to 10", 0.1, 10.0),
}


def is_number(name: str, value: str) -> bool:
    """Whether a table of NUMBERS may hold `value`.

    >>> is_number("utt2dur", "1.5"), is_number("utt2dur", "-1"), is_number("utt2dur", "nan")
    (True, False, False)
    """
    try:
        return NUMBERS[name].low <= float(value) <= NUMBERS[name].high
    except ValueError:
        return False


def numbers_in(table: Mapping[str, str], path: Path) -> dict[str, float]:
    """The values of a table of NUMBERS, which the path's name says.

    Raises:
        UserError: naming an utterance whose value is none.
    """
    return {utt: require_number(path, utt, value) for utt, value in table.items()}


def require_number(path: Path, utt: str, value: str) -> float:
    """A value of a table of NUMBERS, which the path's name says.

    Raises:
        UserError: it is none.
    """
    if not is_number(path.name, value):
        raise UserError(
            f"{path}: found {value!r} for {utt!r}, expected {NUMBERS[path.name].meaning}: correct "
            "the line or remove the file and have it made again"
        )
    return float(value)
