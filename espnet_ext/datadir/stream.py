"""Tables read and written line by line, in step with one another: memory does not grow with a corpus.

Ascending rows are what makes it possible; a table that is not sorted is refused by line, for fix_data to sort.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import Generic, TypeVar

from espnet_ext.datadir.edit import AUGMENT, keyed_by
from espnet_ext.datadir.tables import (
    BY_SPEAKER,
    NUMBERS,
    PARTIAL,
    check_row,
    is_table,
    lines_of,
    missing_value,
    require_number,
    second_time,
    split_line,
    wrong_order,
)
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open

Row = tuple[str, str]
Value = TypeVar("Value")
#: Makes the same ascending ids each time.
Ids = Callable[[], Iterable[str]]


def rows(path: Path, *, empty: bool = False) -> Iterator[Row]:
    """(key, value) of a table's lines, in ascending order.

    Args:
        path: the file.
        empty: a key may lack its value.

    Raises:
        UserError: as read_table with `sorted_only`; of utt2dur and utt2speed also a value that is no such number.
    """
    before = ""
    for number, line in enumerate(lines_of(path), 1):
        key, value = split_line(line)
        if not key or not (value or empty):
            missing_value(path, key, number)
        if key == before:
            second_time(path, key, number)
        if key < before:
            wrong_order(path, before, key, number)
        if path.name in NUMBERS:
            require_number(path, key, value)
        before = key
        yield key, value


def rows_if_any(path: Path, *, empty: bool = False) -> Iterator[Row]:
    """As `rows`; none where there is no such file."""
    return rows(path, empty=empty) if path.is_file() else iter(())


def read_through(data: Path, empty: str = "") -> None:
    """Read every known table once, so that a broken line is found before anything is done.

    Args:
        data: a data directory.
        empty: a table that may lack values.

    Raises:
        UserError: no such directory or no utt2spk, or as `rows`.
    """
    if not data.is_dir():
        raise UserError(f"{data}: no such directory, expected a data directory: check the path")
    if not (data / "utt2spk").is_file():
        raise UserError(
            f"{data}/utt2spk: not found, expected a whole data directory: run stage 1 first"
        )
    for path in sorted(p for p in data.iterdir() if is_table(p)):
        for _ in rows(path, empty=path.name == empty):
            pass


def rows_however_broken(path: Path, *, empty: bool = False) -> Callable[[], Iterable[Row]]:
    """What gives the rows of a table that can be read, ascending; of a key that occurs twice the first.

    A table that is not sorted is held in memory.

    Args:
        path: the file.
        empty: a key without a value can be read, too.

    Raises:
        UserError: the file is not there or not UTF-8.
    """

    def good() -> Iterator[Row]:
        return ((k, v) for k, v in map(split_line, lines_of(path)) if k and (v or empty))

    if all(one[0] < two[0] for one, two in pairwise(good())):
        return good
    table: dict[str, str] = {}
    for key, value in good():
        table.setdefault(key, value)
    held = sorted(table.items())
    return lambda: held


class Follower(Generic[Value]):
    """Finds ascending keys in ascending rows, holding one of them.

    >>> ages = Follower([("ann", 30), ("cyd", 40)])
    >>> [ages.get(name) for name in ("ann", "bob", "cyd", "dan")]
    [30, None, 40, None]
    """

    def __init__(self, ascending: Iterable[tuple[str, Value]]) -> None:
        self.rows = iter(ascending)
        self.row = next(self.rows, None)

    def get(self, key: str) -> Value | None:
        """The value of a key no smaller than the one before; None where it has none."""
        while self.row is not None and self.row[0] < key:
            self.row = next(self.rows, None)
        return self.row[1] if self.row is not None and self.row[0] == key else None


def in_step(one: Iterable[str], two: Iterable[str]) -> Iterator[tuple[str, bool, bool]]:
    """Every key of either, ascending as these are, with whether it is in each.

    >>> list(in_step("ac", "bc"))
    [('a', True, False), ('b', False, True), ('c', True, True)]
    """
    ones, twos = iter(one), iter(two)
    left, right = next(ones, None), next(twos, None)
    while left is not None or right is not None:
        key = min(key for key in (left, right) if key is not None)
        yield key, key == left, key == right
        if key == left:
            left = next(ones, None)
        if key == right:
            right = next(twos, None)


def restricted(ascending: Iterable[Row], ids: Iterable[str]) -> Iterator[Row]:
    """The rows whose keys are among ascending ids."""
    wanted = Follower((key, True) for key in ids)
    return (row for row in ascending if wanted.get(row[0]))


@contextmanager
def written(path: Path) -> Iterator[Callable[[str, str], None]]:
    """A table that appears when the block ends: call what is given with ascending keys and their values.

    Raises:
        UserError: as write_table.
    """
    with atomic_open(path) as stream:

        def add(key: str, value: str) -> None:
            check_row(path, key, value)
            stream.write(f"{key} {value}\n" if value else f"{key}\n")

        yield add


def write_rows(path: Path, ascending: Iterable[Row]) -> None:
    """Write a table from ascending rows, atomically."""
    with written(path) as add:
        for key, value in ascending:
            add(key, value)


def write_kept(
    data: Path,
    out: Path,
    kept: Ids,
    *,
    new: frozenset[str] = frozenset(),
    consumed: frozenset[str] = frozenset(),
    empty: str = "",
) -> None:
    """Write a data directory restricted to some utterances, with the speakers and recordings that these use.

    As write_all does, it ends with spk2utt and utt2spk, and known tables that `data` does not have go.

    Args:
        data: the directory to take from; only speakers and recordings of `segments` are held in memory.
        out: the directory to write.
        kept: the utterances.
        new: tables that `out` has already, in place of those of `data`.
        consumed: tables that are not taken.
        empty: a table that may lack values.
    """
    names = {p.name for p in data.iterdir() if is_table(p)} - new - consumed - {"spk2utt"}
    wanted = _wanted(data, names, kept)
    out.mkdir(parents=True, exist_ok=True)

    def taken(name: str) -> Iterator[Row]:
        return restricted(rows(data / name, empty=name == empty), wanted(name))

    for name in sorted(names - {"utt2spk"}):
        chosen = taken(name)
        first = next(chosen, None)
        if first is None and name in PARTIAL:
            names.remove(name)  # nobody is left of whom it told
        else:
            write_rows(out / name, chain([first] if first else [], chosen))
    _leave_only(out, names | new, data if "utt2augment" in names else None)
    write_rows(out / "spk2utt", inverted(taken("utt2spk")))
    write_rows(out / "utt2spk", taken("utt2spk"))


def _wanted(data: Path, names: set[str], kept: Ids) -> Callable[[str], Iterable[str]]:
    """The keys that a table keeps."""
    segments = "segments" in names
    groups: dict[str, set[str]] = {"speaker": set(), "recording": set()}
    if names & BY_SPEAKER:
        groups["speaker"].update(s for _, s in restricted(rows(data / "utt2spk"), kept()))
    if segments:
        chosen = restricted(rows(data / "segments"), kept())
        groups["recording"].update(value.split()[0] for _, value in chosen)
    held = {group: sorted(keys) for group, keys in groups.items()}

    def wanted(name: str) -> Iterable[str]:
        group = keyed_by(name, segments)
        return kept() if group == "utterance" else held[group]

    return wanted


def _leave_only(out: Path, names: set[str], augmented: Path | None) -> None:
    """Remove known tables but for `names`, and take the options of utt2augment along."""
    if augmented and (augmented / AUGMENT).is_file():
        with atomic_open(out / AUGMENT, "wb") as stream:
            stream.write((augmented / AUGMENT).read_bytes())
    else:
        (out / AUGMENT).unlink(missing_ok=True)
    for path in [p for p in out.iterdir() if is_table(p)]:
        if path.name not in names | {"utt2spk", "spk2utt"}:
            path.unlink(missing_ok=True)


def inverted(ascending: Iterable[Row]) -> Iterator[Row]:
    """Rows of spk2utt from those of utt2spk; held are the bytes of the ids."""
    groups: dict[str, bytearray] = {}
    for utt, speaker in ascending:
        groups.setdefault(speaker, bytearray()).extend(b" " + utt.encode())
    for speaker in sorted(groups):
        yield speaker, groups.pop(speaker).decode().lstrip()
