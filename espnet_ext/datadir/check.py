"""Say everything that is wrong with a data directory, in one go."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from espnet_ext.datadir.tables import (
    BY_SPEAKER,
    BY_UTTERANCE,
    BYTE_ORDER_MARK,
    NUMBERS,
    PARTIAL,
    invert,
    is_number,
    is_table,
    read_lines,
    read_segments,
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
    tables = {p.name: _scan(p, problems) for p in sorted(directory.iterdir()) if is_table(p)}
    needed = ["utt2spk", "spk2utt"] + ["text"] * text + ["wav.scp"] * audio
    problems.extend(f"{name}: missing" for name in needed if name not in tables)
    _numbers(tables, problems)
    _same_utterances(tables, problems)
    _same_speakers(tables, problems)
    _recordings(directory, tables, problems)
    return problems


def _scan(path: Path, problems: Problems) -> dict[str, str]:
    table: dict[str, str] = {}
    lines: dict[str, int] = {}
    before = ""
    try:
        rows = read_lines(path)
    except UserError as error:
        problems.append(str(error).partition(": convert")[0].replace(str(path), path.name))
        return table
    if not rows:
        problems.append(f"{path.name}: the file is empty")
    problems.extend(f"{path.name}: {what}" for what in _foreign(path.read_bytes()))
    for number, line in enumerate(rows, 1):
        key, value = split_line(line)
        where = f"{path.name}, line {number}"
        if not value:
            what = "empty text" if path.name == "text" else "no value"
            problems.append(f"{where}: {what} for {key!r}" if key else f"{where}: empty line")
        if key.split() != [key] and key:
            problems.append(f"{where}: id {key!r} holds white space")
        if key in table:
            problems.append(f"{where}: {key!r} again, first in line {lines[key]}")
        elif before > key:
            problems.append(f"{where}: {key!r} after {before!r}: not sorted as by `LC_ALL=C sort`")
        before, table[key] = key, value
        lines.setdefault(key, number)
    return table


def _foreign(data: bytes) -> list[str]:
    """What other systems leave in a text file and Kaldi's tools take for a part of ids and values."""
    found = []
    if data.startswith(BYTE_ORDER_MARK):
        found.append("begins with a byte order mark (BOM), which would belong to the first id")
    count = data.count(b"\r\n")
    if count:
        found.append(f"{count} lines end with a carriage return (CRLF), expected a newline alone")
    return found


def _numbers(tables: dict[str, dict[str, str]], problems: Problems) -> None:
    for name in sorted(NUMBERS.keys() & tables.keys()):
        bad = [utt for utt, value in tables[name].items() if value and not is_number(name, value)]
        if bad:
            found = f"{len(bad)} values, expected {NUMBERS[name].meaning}, such as"
            problems.append(f"{name}: found {found} {tables[name][bad[0]]!r} for {bad[0]!r}")


def _same_utterances(tables: dict[str, dict[str, str]], problems: Problems) -> None:
    reference = tables.get("utt2spk")
    if reference is None:
        return
    names = [n for n in (*BY_UTTERANCE, "segments", "feats.scp") if n in tables]
    if "segments" not in tables and "wav.scp" in tables:
        names.append("wav.scp")
    for name in names:
        _difference(name, tables[name].keys() - reference.keys(), "utt2spk", problems)
        if name not in PARTIAL:
            _difference("utt2spk", reference.keys() - tables[name].keys(), name, problems)


def _difference(name: str, extra: Iterable[str], other: str, problems: Problems) -> None:
    extra = sorted(extra)
    if extra:
        shown = ", ".join(extra[:3]) + (", ..." if len(extra) > 3 else "")
        problems.append(f"{name}: {len(extra)} ids that {other} does not have: {shown}")


def _same_speakers(tables: dict[str, dict[str, str]], problems: Problems) -> None:
    utt2spk, spk2utt = tables.get("utt2spk"), tables.get("spk2utt")
    if utt2spk is None or spk2utt is None:
        return
    if {s: sorted(u.split()) for s, u in spk2utt.items()} != {
        s: u.split() for s, u in invert(utt2spk).items()
    }:
        problems.append("spk2utt: does not say the same as utt2spk")
    for name in sorted(BY_SPEAKER & tables.keys() - {"spk2utt"}):
        _difference(name, tables[name].keys() - spk2utt.keys(), "spk2utt", problems)
        if name not in PARTIAL:
            _difference("spk2utt", spk2utt.keys() - tables[name].keys(), name, problems)
    speakers = list(spk2utt)
    order = [spk for _, spk in sorted(utt2spk.items())]
    changes = [spk for one, spk in zip(["", *order], order, strict=False) if one != spk]
    if sorted(speakers) != changes:
        problems.append(
            "utt2spk: sorted by utterance the speakers are not sorted: ids must start with the "
            "speaker's id"
        )


def _recordings(directory: Path, tables: dict[str, dict[str, str]], problems: Problems) -> None:
    if "segments" not in tables or "wav.scp" not in tables:
        return
    try:
        used = {segment.recording for segment in read_segments(directory / "segments").values()}
    except UserError as error:
        problems.append(str(error).partition(": correct")[0].replace(f"{directory}/", ""))
        return
    _difference("segments", used - tables["wav.scp"].keys(), "wav.scp", problems)
