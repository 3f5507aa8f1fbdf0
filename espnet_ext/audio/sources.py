"""Where the utterances of a data directory come from, read line by line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from espnet_ext.datadir.stream import Follower, read_through, rows, rows_if_any
from espnet_ext.datadir.tables import read_table, segment_of
from espnet_ext.errors import UserError


class Source(NamedTuple):
    """Where an utterance comes from: a wav.scp entry, a stretch of it in seconds, a speed, the number of a draw."""

    entry: str
    start: float
    end: float | None
    speed: float
    draw: str = "0"  # which is none: it is not augmented


#: an entry as it is, behind its path
WHOLE = (0.0, None, 1.0, "0")


def sources(data: Path) -> Iterator[tuple[str, Source]]:
    """Every utterance of a data directory, in ascending order; held is no more than the recordings of `segments`.

    Raises:
        UserError: a table that cannot be read, or a recording that is not in wav.scp.
    """
    speeds = Follower(rows_if_any(data / "utt2speed"))
    draws = Follower(rows_if_any(data / "utt2augment"))
    for utt, entry, start, end in _stretches(data):
        yield utt, Source(entry, start, end, float(speeds.get(utt) or 1.0), draws.get(utt) or "0")


def _stretches(data: Path) -> Iterator[tuple[str, str, float, float | None]]:
    """(utterance, entry, start, end)."""
    path = data / "segments"
    if not path.is_file():
        for utt, entry in rows(data / "wav.scp"):
            yield utt, entry, 0.0, None
        return
    recordings = read_table(data / "wav.scp")
    for utt, value in rows(path):
        recording, start, end = segment_of(path, utt, value)
        if recording not in recordings:
            raise UserError(
                f"{path}: found the recording {recording!r} for {utt!r}, expected one of wav.scp: "
                "run fix_data on the directory"
            )
        yield utt, recordings[recording], start, end


def count_sources(data: Path) -> int:
    """How many utterances a data directory has; all its tables are read on the way.

    Raises:
        UserError: a table that is not there, is empty or cannot be read.
    """
    read_through(data)
    if not (data / "wav.scp").is_file():
        raise UserError(f"{data}/wav.scp: not found, expected a data directory: run stage 1 first")
    count = sum(1 for _ in sources(data))
    if not count:
        name = "segments" if (data / "segments").is_file() else "wav.scp"
        raise UserError(f"{data}/{name}: found no line, expected utterances: run stage 1 again")
    return count


@dataclass(frozen=True)
class Part:
    """One job's utterances of a data directory, read from its tables each time they are gone through.

    Attributes:
        data: the directory.
        start, stop: the first line of the whole's `sources`, counted from 0, and the one behind the last.
    """

    data: Path
    start: int
    stop: int

    @classmethod
    def of(cls, data: Path, job: int, jobs: int) -> Part:
        """The `job`-th of `jobs` (counted from 1), each as long as the others."""
        count = count_sources(data)
        return cls(data, count * (job - 1) // jobs, count * job // jobs)

    def __iter__(self) -> Iterator[tuple[str, Source]]:
        return islice(sources(self.data), self.start, self.stop)

    def __len__(self) -> int:
        return self.stop - self.start


def file_state(path: str) -> tuple[int, int]:
    """Size and time of a file; zeros where there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns
