"""Every sound of a data directory is made anew, in shares that go on where they were stopped.

A sound is a file of its own whose name holds a key of what it was made of, so that it is there whole or not at all, and
nothing that a finished directory points to is ever written over. What else is known of it is a line in
`OUT/shares/JOBofN.log`, written before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.errors import UserError
from espnet_ext.progress import progress

if TYPE_CHECKING:
    import numpy as np

    from espnet_ext.datadir.edit import Tables

#: (utterance, wav.scp entry) -> int16 samples (N,) or (N, C), rate in Hz, and facts by the name of their table.
Make = Callable[[str, str], "tuple[np.ndarray, int, dict[str, str]]"]
#: Tables that no longer hold when the sound is another one.
CONSUMED = ("wav.scp", "reco2dur", "utt2num_samples", "utt2dur", "feats.scp")


@dataclass(frozen=True)
class Remaking:
    """How sounds are made anew.

    Attributes:
        make: makes one; called in any order and in any process.
        identity: changes whenever `make` would make something else.
        label: what is done, for the progress.
        audio_format: flac or wav, 16-bit.
    """

    make: Make
    identity: str
    label: str
    audio_format: str = "flac"


def remake(data: Path, out: Path, job: int, jobs: int, how: Remaking) -> bool:
    """Do one share of a data directory, and the tables of `out` when it was the last one.

    Args:
        data: a data directory without segments.
        out: gets `data/`, `shares/` and the tables, with a table for each fact.
        job: which share, counted from 1.
        jobs: how many shares.
        how: what is done.

    Returns:
        whether `out` is complete.

    Raises:
        UserError: no data directory, one with segments, or sound that cannot be read.
    """
    from espnet_ext.audio.write import encode, write_bytes
    from espnet_ext.datadir.edit import read_all

    tables = read_all(data)
    _check(data, tables)
    scp = tables["wav.scp"]
    paths = {utt: out / "data" / _name(utt, entry, how) for utt, entry in scp.items()}
    names = sorted(paths)
    mine = names[len(names) * (job - 1) // jobs : len(names) * job // jobs]
    todo = [utt for utt in mine if not paths[utt].is_file()]
    (out / "shares").mkdir(parents=True, exist_ok=True)
    with open(out / "shares" / f"{job}of{jobs}.log", "a", encoding="utf-8", buffering=1) as log:
        for utt in progress(todo, len(todo), f"{how.label} {out.name} {job}/{jobs}"):
            samples, rate, facts = how.make(utt, scp[utt])
            about = [paths[utt].name, len(samples), rate, facts]
            log.write(f"\n{json.dumps(about)}\n")  # the first end of line ends what a kill left
            write_bytes(paths[utt], encode(samples, rate, how.audio_format))
    return _merge(out, tables, paths)


def _check(data: Path, tables: Tables) -> None:
    lost = [name for name in ("wav.scp", "utt2spk") if name not in tables]
    if lost or "segments" in tables:
        found = f"no {lost[0]}" if lost else "segments"
        raise UserError(
            f"{data}: found {found}, expected a data directory with a sound for each utterance: run "
            "format_audio on it first"
        )


def _name(utt: str, entry: str, how: Remaking) -> str:
    """Of the file: in one of 256 directories, for some file systems are slow with 100,000 files in one."""
    from espnet_ext.audio.read import ark_offset
    from espnet_ext.audio.shares import file_stem

    path = Path(ark_offset(entry)[0])
    state = path.stat() if path.is_file() else None
    about = (entry, state and (state.st_size, state.st_mtime_ns), how.identity)
    key = hashlib.sha1(repr(about).encode()).hexdigest()[:12]
    folder = hashlib.sha1(utt.encode()).hexdigest()[:2]
    return f"{folder}/{file_stem(utt)}.{key}.{how.audio_format}"


def _merge(out: Path, tables: Tables, paths: dict[str, Path]) -> bool:
    """Write the tables if every utterance is done; says whether they are."""
    from espnet_ext.datadir.edit import write_all
    from espnet_ext.files import locked

    if not all(path.is_file() for path in paths.values()):
        return False
    known = {name: (samples, rate, facts) for name, samples, rate, facts in _logged(out)}
    done = {name: table for name, table in tables.items() if name not in CONSUMED}
    done |= {name: {} for name in ("wav.scp", "utt2num_samples", "utt2dur")}
    for utt, path in paths.items():
        samples, rate, facts = known[path.name]
        done["wav.scp"][utt] = str(path)
        done["utt2num_samples"][utt] = str(samples)
        done["utt2dur"][utt] = f"{samples / rate:.6f}"
        for name, value in facts.items():
            done.setdefault(name, {})[utt] = value
    with locked(out / "shares" / "merge.lock"):
        write_all(out, done)
        needed = set(paths.values())
        for path in [p for p in (out / "data").glob("??/*") if p not in needed]:
            path.unlink(missing_ok=True)  # made of something else, earlier
    return True


def _logged(out: Path) -> Iterator[tuple[str, int, int, dict[str, str]]]:
    """The whole lines of all logs."""
    for path in sorted((out / "shares").glob("*.log")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                name, samples, rate, facts = json.loads(line)
            except ValueError:  # an empty line, or one that a kill has cut
                continue
            yield name, samples, rate, facts
