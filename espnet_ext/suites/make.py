"""Write a test set's evaluation suite: a data directory for each condition, SET-CONDITION, with its own audio or a
selection of the set's. `suite.json` in each says what it is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from espnet_ext.datadir import read_segments, read_table, subset, utt2dur, write_table
from espnet_ext.datadir.edit import Tables, read_all, write_all
from espnet_ext.errors import UserError
from espnet_ext.files import write_json
from espnet_ext.progress import progress
from espnet_ext.suites.conditions import Condition, Surroundings, condition, spoil
from espnet_ext.suites.texts import SELECTIONS, Texts

if TYPE_CHECKING:
    import numpy as np

VERSION = 1  # of what conditions do; another one remakes the audio
GAP = 0.3  # seconds between joined utterances
_OF_AUDIO = {
    "wav.scp",
    "segments",
    "reco2dur",
    "feats.scp",
    "utt2dur",
    "utt2num_samples",
    "durations",
}


@dataclass(frozen=True)
class Suite:
    """What to make.

    Attributes:
        conditions: names of audio conditions.
        selections: names of selections by text or length; those that find nothing are left out.
        seed: another one gives other noises and rooms.
        noise: a directory of sound files, or a table (id and file); None: synthesised noise.
        train_text: table of the training text, which says what is rare; None: nothing is.
        terms: file of technical terms, one a line; None: no selection by them.
        nj: processes.
    """

    conditions: tuple[str, ...]
    selections: tuple[str, ...] = tuple(SELECTIONS)
    seed: int = 0
    noise: Path | None = None
    train_text: Path | None = None
    terms: Path | None = None
    nj: int = 1


class Part(NamedTuple):
    """A stretch of a sound file: an utterance."""

    utt: str
    entry: str
    start: float
    end: float | None


class Task(NamedTuple):
    """One utterance to be written, under several conditions: what is read is read once.

    Attributes:
        utt: its id.
        parts: of it, in a row; usually one.
        goals: condition and file.
    """

    utt: str
    parts: tuple[Part, ...]
    goals: tuple[tuple[Condition, Path], ...]


Written = tuple[str, str, int, int]  # condition, utterance, samples, rate


def make_suite(data: Path, out: Path, suite: Suite) -> dict[str, int]:
    """Make a set's suite.

    Args:
        data: data directory of a test set; its name is the set's.
        out: gets `SET-CONDITION` for each condition and selection.
        suite: what to make.

    Returns:
        directory's name -> number of utterances; selections that found nothing have 0 and no directory.

    Raises:
        UserError: for an unknown condition, a broken data directory, or audio that cannot be read.
    """
    wanted = [condition(name) for name in suite.conditions]
    tables = read_all(data)
    _require_plain(data, tables)
    parts = _parts(data, tables)
    noises = tuple(noise_files(suite.noise)) if suite.noise else ()
    voices = {p.utt: (tables["utt2spk"][p.utt], *p[1:]) for p in parts}
    around = Surroundings(suite.seed, noises, voices)
    state = _state(around, tables)
    folders = {how.name: out / f"{data.name}-{how.name}" for how in wanted}
    for how in wanted:
        _prepare(folders[how.name], _record(data, how.name, how.kind, how.what, state))
    tasks = _tasks(data, parts, tables, wanted, folders)
    made: dict[str, dict[str, tuple[int, int]]] = {how.name: {} for how in wanted}
    done = progress(_work(tasks, around, suite.nj), len(tasks), f"suite of {data.name}")
    for written in done:
        for name, utt, samples, rate in written:
            made[name][utt] = (samples, rate)
    joined = {task.utt: task.parts for task in tasks}
    for how in wanted:
        _write_tables(folders[how.name], tables, made[how.name], joined)
    counts = {folders[name].name: len(rows) for name, rows in made.items()}
    return counts | _select(data, out, tables, suite)


def noise_files(place: Path) -> list[str]:
    """Sound files of a directory and those below it, or the entries of a table.

    Raises:
        UserError: if there is no such place, or none in it.
    """
    if not place.exists():
        raise UserError(
            f"{place}: not found, expected a directory of noises or a table (id and file): check --noise, or leave it "
            "out to have noise made"
        )
    if place.is_dir():
        known = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph"}
        found = sorted(str(p) for p in place.rglob("*") if p.suffix.lower() in known)
    else:
        found = list(read_table(place).values())
    if not found:
        raise UserError(
            f"{place}: found no sound file, expected noises: give another directory, or none to have noise made"
        )
    return found


def _require_plain(data: Path, tables: Tables) -> None:
    for name in ("wav.scp", "text", "utt2spk"):
        if name not in tables:
            raise UserError(f"{data}/{name}: not found, expected a data directory with it")
    for name in ("utt2speed", "utt2augment"):
        if name in tables:
            raise UserError(
                f"{data}/{name}: found a set whose sound is still to be made, expected one as it is heard: "
                "run format_audio first, and give what that wrote"
            )


def _parts(data: Path, tables: Tables) -> list[Part]:
    if "segments" not in tables:
        return [Part(utt, entry, 0.0, None) for utt, entry in tables["wav.scp"].items()]
    scp = tables["wav.scp"]
    found = read_segments(data / "segments").items()
    lost = [(utt, s.recording) for utt, s in found if s.recording not in scp]
    if lost:
        raise UserError(
            f"{data}/segments: found the recording {lost[0][1]!r} for {lost[0][0]!r}, expected one of wav.scp: "
            "run fix_data on the directory"
        )
    return [Part(utt, scp[s.recording], s.start, s.end) for utt, s in found]


def _state(around: Surroundings, tables: Tables) -> str:
    """A hash of what the audio follows from, so that what is there already can be kept."""
    from espnet_ext.audio.sources import file_state

    files = {entry for _, entry, *_ in around.voices.values()} | set(around.noises)
    sizes = {f: file_state(f.rpartition(":")[0] or f) for f in sorted(files) if f[-1:] != "|"}
    known = [VERSION, around.seed, around.noises, around.voices, sizes, tables["utt2spk"]]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _record(data: Path, name: str, kind: str, what: str, state: str) -> dict[str, Any]:
    facts = {"set": data.name, "condition": name, "kind": kind, "what": what}
    return {**facts, "data": str(data), "state": state}


def _prepare(folder: Path, record: dict[str, Any]) -> None:
    """Clear away the audio of another suite, then say what this one is."""
    path = folder / "suite.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("state") != record["state"]:
        shutil.rmtree(folder / "wav", ignore_errors=True)
    write_json(path, record)


def _tasks(
    data: Path,
    parts: Sequence[Part],
    tables: Tables,
    wanted: Sequence[Condition],
    folders: dict[str, Path],
) -> list[Task]:
    def goals(utt: str, hows: Sequence[Condition]) -> tuple[tuple[Condition, Path], ...]:
        return tuple((how, folders[how.name] / "wav" / f"{utt}.flac") for how in hows)

    plain = [how for how in wanted if how.kind != "joined"]
    tasks = [Task(p.utt, (p,), goals(p.utt, plain)) for p in parts] if plain else []
    for how in (how for how in wanted if how.kind == "joined"):
        seconds = utt2dur(data)
        for row in joined(parts, tables["utt2spk"], seconds, how.value):
            utt = f"{row[0].utt}-to-{len(row)}"
            tasks.append(Task(utt, row, goals(utt, [how])))
    return tasks


def joined(
    parts: Sequence[Part], utt2spk: dict[str, str], seconds: dict[str, float], least: float
) -> list[tuple[Part, ...]]:
    """Utterances of a speaker in a row, in their order, until they last `least` seconds; a shorter rest is one, too."""
    rows: list[list[Part]] = []
    length = 0.0
    for part in sorted(parts, key=lambda p: (utt2spk[p.utt], p.utt)):
        if not rows or length >= least or utt2spk[rows[-1][-1].utt] != utt2spk[part.utt]:
            rows.append([])
            length = 0.0
        rows[-1].append(part)
        length += seconds[part.utt] + GAP
    return [tuple(row) for row in rows]


_AROUND: Surroundings | None = None  # of a worker process


def _start(around: Surroundings) -> None:
    global _AROUND
    _AROUND = around


def _work(tasks: Sequence[Task], around: Surroundings, nj: int) -> Iterator[list[Written]]:
    if nj < 2 or len(tasks) < 2:
        _start(around)
        yield from map(_do, tasks)
        return
    import multiprocessing

    context = multiprocessing.get_context("fork")
    size = max(1, min(16, len(tasks) // (4 * nj)))
    with ProcessPoolExecutor(nj, context, initializer=_start, initargs=(around,)) as pool:
        yield from pool.map(_do, tasks, chunksize=size)


def _do(task: Task) -> list[Written]:
    """Write what of a task is not there yet."""
    import soundfile

    from espnet_ext.audio.resample import to_int16
    from espnet_ext.audio.write import write

    assert _AROUND is not None
    written: list[Written] = []
    heard: tuple[np.ndarray, int] | None = None
    for how, path in task.goals:
        if not path.is_file():
            heard = heard or _read(task.parts)
            samples = spoil(*heard, task.parts[0].utt, how, _AROUND)
            write(path, to_int16(samples), heard[1])
            written.append((how.name, task.utt, len(samples), heard[1]))
        else:
            facts = soundfile.info(str(path))
            written.append((how.name, task.utt, facts.frames, facts.samplerate))
    return written


def _read(parts: Sequence[Part]) -> tuple[np.ndarray, int]:
    """(T, C) float32 of all parts with gaps between them, and their rate."""
    import numpy as np

    from espnet_ext.audio.read import read

    found = [read(p.entry, p.utt, start=p.start, end=p.end) for p in parts]
    rate = found[0][1]
    gap = np.zeros((round(GAP * rate), found[0][0].shape[1]), np.float32)
    for part, (samples, other) in zip(parts, found, strict=True):
        if other != rate or samples.shape[1] != gap.shape[1]:
            raise UserError(
                f"{part.utt}: found {samples.shape[1]} channels at {other} Hz, expected {gap.shape[1]} at {rate} Hz "
                f"as in {parts[0].utt}: run format_audio on the set first"
            )
    pieces = [piece for samples, _ in found for piece in (gap, samples)]
    return np.concatenate(pieces[1:]), rate


def _write_tables(
    folder: Path,
    tables: Tables,
    made: dict[str, tuple[int, int]],
    tasks: dict[str, tuple[Part, ...]],
) -> None:
    """The set's tables about the new audio."""
    new: Tables = {name: {} for name in tables if name not in _OF_AUDIO and name != "spk2utt"}
    first = {utt: tasks[utt][0].utt for utt in made}
    for name in new:
        if name.startswith("spk2"):
            new[name] = dict(tables[name])
        elif name == "text":
            new[name] = {u: " ".join(tables[name][p.utt] for p in tasks[u]) for u in made}
        else:
            new[name] = {u: tables[name][v] for u, v in first.items() if v in tables[name]}
    new["wav.scp"] = {utt: str(folder / "wav" / f"{utt}.flac") for utt in made}
    new["utt2num_samples"] = {utt: str(samples) for utt, (samples, _) in made.items()}
    new["utt2dur"] = {utt: f"{samples / rate:.6f}" for utt, (samples, rate) in made.items()}
    write_all(folder, new)


def _select(data: Path, out: Path, tables: Tables, suite: Suite) -> dict[str, int]:
    """Write the selections; returns how many utterances each has."""
    trained = list(read_table(suite.train_text, empty=True).values()) if suite.train_text else []
    terms = suite.terms.read_text(encoding="utf-8").splitlines() if suite.terms else []
    texts = Texts(tables["text"], utt2dur(data), trained, [t for t in terms if t.strip()])
    counts = {}
    for name in suite.selections:
        choose, what = SELECTIONS[name]
        chosen, folder = choose(texts), out / f"{data.name}-{name}"
        counts[folder.name] = len(chosen)
        if not chosen:
            if (folder / "suite.json").is_file():
                shutil.rmtree(folder)  # of another text
            continue
        write_json(folder / "suite.json", _record(data, name, "selection", what, ""))
        words = {utt: " ".join(found) for utt, found in chosen.items() if found}
        if words:
            write_table(folder / "utt2terms", words)
        subset(data, folder, chosen)
    return counts
