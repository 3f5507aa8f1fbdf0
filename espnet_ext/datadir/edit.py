"""Fix, split, subset, combine and copy data directories."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path

from espnet_ext.datadir.tables import (
    BY_SPEAKER,
    BY_UTTERANCE,
    NUMBERS,
    PARTIAL,
    SEGMENT,
    Segment,
    decode,
    invert,
    is_number,
    is_table,
    lines_of,
    numbers_in,
    parse_segment,
    read_segments,
    read_table,
    split_line,
    write_table,
)
from espnet_ext.errors import UserError
from espnet_ext.files import write_json

Tables = dict[str, dict[str, str]]
#: What the draws of `utt2augment` are made from: a JSON object that goes wherever that table goes.
#: Among tables it is one, too: name of an option -> its value as JSON.
AUGMENT = "augment.json"


def read_all(directory: str | Path, empty: Collection[str] = ()) -> Tables:
    """Every known table, read strictly (see read_table); those in `empty` may lack values.

    Raises:
        UserError: no such directory, a broken table, or an augment.json that is no JSON object.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(
            f"{directory}: no such directory, expected a data directory: check the path"
        )
    paths = [p for p in sorted(directory.iterdir()) if is_table(p)]
    tables = {p.name: read_table(p, empty=p.name in empty) for p in paths}
    if "utt2augment" in tables and (directory / AUGMENT).is_file():
        tables[AUGMENT] = _read_options(directory / AUGMENT)
    return tables


def _read_options(path: Path) -> dict[str, str]:
    try:
        options = json.loads(decode(path.read_bytes(), path))
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise UserError(
            f"{path}: found no JSON object, expected the options of augment_audio: run that again"
        )
    return {name: json.dumps(value) for name, value in options.items()}


def write_all(directory: str | Path, tables: Mapping[str, Mapping[str, str]]) -> None:
    """Write tables, `spk2utt` from `utt2spk`; `utt2spk` comes last, the sign of a whole.

    A whole takes the place of what was there: known tables that are not among `tables` are removed.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if AUGMENT in tables:
        options = {name: json.loads(value) for name, value in tables[AUGMENT].items()}
        write_json(directory / AUGMENT, options)
    for name in sorted(tables.keys() - {"utt2spk", "spk2utt", AUGMENT}):
        write_table(directory / name, tables[name])
    if "utt2spk" in tables:
        if "utt2augment" not in tables:
            (directory / AUGMENT).unlink(missing_ok=True)
        for path in [p for p in directory.iterdir() if is_table(p)]:
            if path.name not in {*tables, "spk2utt"}:
                path.unlink(missing_ok=True)
        write_table(directory / "spk2utt", invert(tables["utt2spk"]))
        write_table(directory / "utt2spk", tables["utt2spk"])


def keyed_by(name: str, segments: bool) -> str:
    """What the keys of a known table are: "speaker", "recording" (of `segments`, if there are any), "utterance"."""
    if name in BY_SPEAKER:
        return "speaker"
    return "recording" if segments and name in ("wav.scp", "reco2dur") else "utterance"


def keep(tables: Tables, utterances: Collection[str]) -> Tables:
    """The tables restricted to `utterances`, with the speakers and recordings that these use."""
    wanted = utterances if isinstance(utterances, (set, dict)) else set(utterances)
    keys = {
        "utterance": wanted,
        "speaker": {s for u, s in tables["utt2spk"].items() if u in wanted},
        "recording": {v.split()[0] for u, v in tables.get("segments", {}).items() if u in wanted},
    }
    kept: Tables = {}
    for name in [n for n in tables if n not in ("spk2utt", AUGMENT)]:
        known = keys[keyed_by(name, "segments" in tables)]
        kept[name] = {k: v for k, v in tables[name].items() if k in known}
    if AUGMENT in tables and "utt2augment" in kept:
        kept[AUGMENT] = tables[AUGMENT]
    for name in [n for n in kept if n in PARTIAL and not kept[n]]:
        del kept[name]  # nobody is left of whom it told
    return kept


def fix(directory: str | Path, *, min_seconds: float | None = None) -> dict[str, str]:
    """Sort the tables, drop what is broken, keep the utterances common to all, rebuild `spk2utt`.

    Of a key that occurs twice the first line stays.

    Args:
        directory: a data directory; changed in place, each table atomically.
        min_seconds: drop shorter utterances too, if `utt2dur` is there.

    Returns:
        what was dropped: id (or "file:line") -> reason.

    Raises:
        UserError: if `utt2spk` is missing, a table is not UTF-8 or nothing would be left.
    """
    directory = Path(directory)
    dropped: dict[str, str] = {}
    paths = [p for p in sorted(directory.iterdir()) if is_table(p)] if directory.is_dir() else []
    tables = {p.name: read_loosely(p, dropped) for p in paths}
    if "utt2spk" not in tables:
        raise UserError(
            f"{directory}/utt2spk: not found, expected `utt speaker` lines: write it first"
        )
    _drop_broken(tables, dropped)
    common = _common(directory, tables, dropped)
    if min_seconds is not None:
        durations = numbers_in(tables.get("utt2dur", {}), directory / "utt2dur")
        for utt in [u for u in common if durations.get(u, math.inf) < min_seconds]:
            dropped[utt] = f"shorter than {min_seconds} s"
            common.remove(utt)
    if not common:
        raise UserError(
            f"{directory}: found no utterance that all of {', '.join(tables)} share, expected at "
            "least one: check that the ids agree; nothing was changed"
        )
    kept = keep(tables, common)
    _leave_out_incomplete(kept, dropped)
    write_all(directory, kept)
    return dropped


def _drop_broken(tables: Tables, dropped: dict[str, str]) -> None:
    """Lines that could be read but not used: white space within ids (such as a no-break space), and
    segments and numbers that are none.
    """
    for name, table in tables.items():
        bad = {k: f"{name}: the id holds white space" for k in table if k.split() != [k]}
        if name == "utt2spk":
            what = "utt2spk: the speaker {!r} holds white space"
            bad |= {u: what.format(s) for u, s in table.items() if s.split() != [s]}
        if name == "segments":
            what = f"segments: found {{!r}}, expected {SEGMENT}"
            bad |= {u: what.format(v) for u, v in table.items() if parse_segment(v) is None}
        if name in NUMBERS:
            what = f"{name}: found {{!r}}, expected {NUMBERS[name].meaning}"
            bad |= {u: what.format(v) for u, v in table.items() if not is_number(name, v)}
        for key, reason in bad.items():
            del table[key]
            dropped[key] = reason


def _leave_out_incomplete(tables: Tables, dropped: dict[str, str]) -> None:
    """Tables of speakers that lack some of them: Kaldi and training want all or none."""
    speakers = set(tables["utt2spk"].values())
    for name in sorted(BY_SPEAKER - PARTIAL - {"spk2utt"}):
        lacking = sorted(speakers - tables.get(name, dict.fromkeys(speakers)).keys())
        if lacking:
            dropped[name] = f"left out, for it lacks {len(lacking)} speakers, such as {lacking[0]}"
            del tables[name]


def read_loosely(path: Path, dropped: dict[str, str]) -> dict[str, str]:
    """What is good of a table, the first line of each key; `dropped` gets the rest with reasons.

    Args:
        path: the file.
        dropped: receives id (or "file:line") -> reason.

    Raises:
        UserError: the file is missing or not UTF-8.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(lines_of(path), 1):
        key, value = split_line(line)
        if not key or not value:
            what = "empty text" if path.name == "text" else "no value"
            dropped[key or f"{path.name}:{number}"] = f"{path.name}, line {number}: {what}"
        elif key in table:
            dropped[f"{path.name}:{number}"] = f"{key!r} a second time"
        else:
            table[key] = value
    return table


def _common(directory: Path, tables: Tables, dropped: dict[str, str]) -> set[str]:
    common = set(tables["utt2spk"])
    everyones = [n for n in BY_UTTERANCE if n not in PARTIAL]
    names = [n for n in (*everyones, "segments", "feats.scp") if n in tables]
    if "segments" not in tables and "wav.scp" in tables:
        names.append("wav.scp")
    everything = common.union(*(tables[n] for n in names))
    for name in names:
        for utt in everything - tables[name].keys():
            dropped.setdefault(utt, f"not in {name}")
        common &= tables[name].keys()
    if "segments" in tables and "wav.scp" in tables:
        for utt in sorted(common):
            recording = tables["segments"][utt].split()[0]
            if recording not in tables["wav.scp"]:
                dropped[utt] = f"its recording {recording!r} is not in wav.scp"
                common.remove(utt)
    return common


def split(directory: str | Path, parts: int, out: str | Path | None = None) -> list[Path]:
    """Split into `parts` contiguous shares of utterances, `OUT/splitN/K` as Kaldi names them."""
    tables = read_all(directory)
    utterances = sorted(tables["utt2spk"])
    if not 1 <= parts <= len(utterances):
        raise UserError(
            f"{directory}: found {len(utterances)} utterances, expected at least {parts} for "
            f"{parts} parts: ask for fewer parts"
        )
    base = Path(out or directory) / f"split{parts}"
    paths = [base / str(part + 1) for part in range(parts)]
    for part, path in enumerate(paths):
        low, high = (len(utterances) * p // parts for p in (part, part + 1))
        write_all(path, keep(tables, set(utterances[low:high])))
    return paths


def subset(directory: str | Path, out: str | Path, utterances: Collection[str]) -> None:
    """Copy only `utterances` of a directory to `out`.

    Raises:
        UserError: if one of them is not there or there is none.
    """
    tables = read_all(directory)
    absent = sorted(set(utterances) - tables["utt2spk"].keys())
    if absent or not utterances:
        found = (
            f"{len(absent)} ids that are not in it: {', '.join(absent[:3])}" if absent else "no id"
        )
        raise UserError(
            f"{directory}: asked for {found}, expected ids of its utt2spk: check the list"
        )
    write_all(out, keep(tables, set(utterances)))


def copy(
    directory: str | Path, out: str | Path, *, utt_prefix: str = "", spk_prefix: str = ""
) -> None:
    """Copy a directory with prefixes before its utterance and speaker ids (see prefixed)."""
    write_all(out, prefixed(read_all(directory), utt_prefix, spk_prefix))


def prefixed(tables: Tables, utt: str, spk: str) -> Tables:
    """Tables with a prefix before every utterance id and one before every speaker id.

    Recordings keep their ids where `segments` refers to them.
    """
    recordings = {"wav.scp", "reco2dur"} if "segments" in tables else set()
    done: Tables = {}
    for name, table in tables.items():
        before = "" if name in {*recordings, AUGMENT} else spk if name in BY_SPEAKER else utt
        done[name] = {before + key: value for key, value in table.items()}
    done["utt2spk"] = {u: spk + s for u, s in done["utt2spk"].items()}
    done.pop("spk2utt", None)
    return done


def utt2dur(directory: str | Path) -> dict[str, float]:
    """Seconds of every utterance: from `utt2dur`, else from segments or audio and written there."""
    directory = Path(directory)
    if (directory / "utt2dur").is_file():
        return numbers_in(read_table(directory / "utt2dur"), directory / "utt2dur")
    if (directory / "segments").is_file():
        segments = read_segments(directory / "segments")
    else:
        segments = {utt: Segment(utt, 0.0, None) for utt in read_table(directory / "wav.scp")}
    seconds = _lengths(directory, segments)
    write_table(directory / "utt2dur", {u: f"{s:.6f}" for u, s in seconds.items()})
    return seconds


def _lengths(directory: Path, segments: Mapping[str, Segment]) -> dict[str, float]:
    """Seconds of each segment; the audio is asked only for those that last to its end."""
    from espnet_ext.audio.read import seconds_of

    ends: dict[str, float] = {}
    scp: dict[str, str] = {}
    for utt, segment in segments.items():
        if segment.end is None and segment.recording not in ends:
            scp = scp or read_table(directory / "wav.scp")
            if segment.recording not in scp:
                raise UserError(
                    f"{directory}/segments: found the recording {segment.recording!r} for {utt!r}, "
                    "expected one of wav.scp: run fix_data on the directory"
                )
            ends[segment.recording] = seconds_of(scp[segment.recording], segment.recording)
    return {
        u: (ends[s.recording] if s.end is None else s.end) - s.start for u, s in segments.items()
    }
