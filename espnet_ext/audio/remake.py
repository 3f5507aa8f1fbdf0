"""Every sound of a data directory is made anew, in shares that go on where they were stopped.

What format_audio does for one fixed purpose, for any function from a sound to another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.audio.shares import Record, Share, finished, locked, prune, usable
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
    from espnet_ext.audio.write import encode
    from espnet_ext.datadir.edit import read_all

    tables = read_all(data)
    _check(data, tables)
    keys = {utt: _key(entry, how) for utt, entry in tables["wav.scp"].items()}
    names = sorted(keys)
    mine = names[len(names) * (job - 1) // jobs : len(names) * job // jobs]
    sizes: dict[str, int] = {}
    with Share(out, f"{job}of{jobs}", how.audio_format).opened({u: keys[u] for u in mine}) as share:
        done = finished(out)
        todo = [u for u in mine if not _record(out, done.get(u, []), keys[u], sizes)]
        for utt in progress(todo, len(todo), f"{how.label} {out.name} {job}/{jobs}"):
            samples, rate, facts = how.make(utt, tables["wav.scp"][utt])
            packed = ",".join(f"{name}={value}" for name, value in facts.items()) or "-"
            record = Record(utt, keys[utt], rate, len(samples), 0, "", packed)
            share.add(record, encode(samples, rate, how.audio_format))
    return _merge(out, tables, keys)


def _check(data: Path, tables: Tables) -> None:
    lost = [name for name in ("wav.scp", "utt2spk") if name not in tables]
    if lost or "segments" in tables:
        found = f"no {lost[0]}" if lost else "segments"
        raise UserError(
            f"{data}: found {found}, expected a data directory with a sound for each utterance: run "
            "format_audio on it first"
        )


def _key(entry: str, how: Remaking) -> str:
    from espnet_ext.audio.format import file_state
    from espnet_ext.audio.read import ark_offset

    state = (entry, *file_state(ark_offset(entry)[0]), how.identity, how.audio_format)
    return hashlib.sha1(repr(state).encode()).hexdigest()[:16]


def _record(out: Path, records: list[Record], key: str, sizes: dict[str, int]) -> Record | None:
    """The first record with that key whose sound is there."""
    return next((r for r in records if r.key == key and usable(out / "data", r, sizes)), None)


def _merge(out: Path, tables: Tables, keys: dict[str, str]) -> bool:
    """Write the tables if every utterance is done; says whether they are."""
    from espnet_ext.datadir.edit import write_all

    logged, sizes = finished(out), dict[str, int]()
    found = {u: _record(out, logged.get(u, []), key, sizes) for u, key in keys.items()}
    records = {u: r for u, r in found.items() if r is not None}
    if len(records) < len(keys):
        return False
    done = {name: table for name, table in tables.items() if name not in CONSUMED}
    done["wav.scp"] = {u: f"{out}/data/{r.place}" for u, r in records.items()}
    done["utt2num_samples"] = {u: str(r.samples) for u, r in records.items()}
    done["utt2dur"] = {u: f"{r.samples / r.rate:.6f}" for u, r in records.items()}
    for utt, record in records.items():
        facts = [] if record.measures == "-" else record.measures.split(",")
        for name, _, value in (fact.partition("=") for fact in facts):
            done.setdefault(name, {})[utt] = value
    with locked(out / "shares" / "merge.lock"):
        write_all(out, done)
        prune(out / "data", records.values())
    return True
