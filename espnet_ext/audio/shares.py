"""Shares of a set being formatted: audio and a log that tells the truth whatever kills the process.

A finished utterance is one line in `SET/shares/JOBofN.log`, written after its audio is in place. Names in
`SET/data` tell of what is inside, so nothing that a finished set points to is ever written over; `prune` removes
what no table needs any more.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote

from espnet_ext.audio.write import ark_length, ark_record
from espnet_ext.errors import UserError

#: The place of audio that had the right form already and stays where it is.
UNMOVED = "="


class Record(NamedTuple):
    """One line of a log.

    `samples` is 0 if left out, `place` is relative to SET/data (or UNMOVED), `measures` is what
    espnet_ext.audio.measures found in the source, packed.
    """

    utt: str
    key: str
    rate: int
    samples: int
    size: int
    place: str
    measures: str = "-"

    def line(self) -> bytes:
        """The record as a line of a log."""
        return (" ".join(str(field) for field in self) + "\n").encode()


class Share:
    """The audio and the log of one share, open for adding; one process at a time."""

    def __init__(self, out: Path, name: str, audio_format: str) -> None:
        self.data, self.name = out / "data", name
        self.suffix, self.ark = audio_format, audio_format.endswith(".ark")
        self.log_path = out / "shares" / f"{name}.log"
        self.beside = self.data / f".writing-{name}"
        self.ark_name = ""
        self.bytes: IO[bytes] | None = None

    @contextmanager
    def opened(self, wanted: Mapping[str, str]) -> Iterator[Share]:
        """Take the share; of an utterance in `wanted` a record counts only with that key.

        Raises:
            UserError: if another process has it.
        """
        # other audio or another form goes into an ark of its own
        self.ark_name = f"{self.name}.{_digest(repr(sorted(wanted.items())).encode())}.ark"
        self.data.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab+", buffering=0) as self.log:
            self._lock()
            sizes: dict[str, int] = {}
            records = [
                r
                for r in read_log(self.log_path)
                if wanted.get(r.utt, r.key) == r.key and usable(self.data, r, sizes)
            ]
            self._rewrite_log(records)
            if self.ark:
                mine = [r for r in records if r.place.startswith(f"{self.ark_name}:")]
                self.bytes = open(self.data / self.ark_name, "ab")  # noqa: SIM115  # closed below
                self.bytes.truncate(max((_ark_end(r) for r in mine), default=0))
                self.bytes.seek(0, os.SEEK_END)
            try:
                yield self
            finally:
                if self.bytes:
                    self.bytes.close()
                self.beside.unlink(missing_ok=True)

    def _lock(self) -> None:
        try:
            fcntl.flock(self.log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.log_path}: found another process working on this share, expected none: "
                "wait for it"
            ) from None

    def _rewrite_log(self, records: list[Record]) -> None:
        """Drop what a killed process left of its last line, and records that no longer hold."""
        data = b"".join(record.line() for record in records)
        if self.log_path.read_bytes().startswith(data):
            self.log.truncate(len(data))
        else:
            self.log.truncate(0)
            self.log.write(data)

    def add(self, record: Record, sound: bytes) -> None:
        """Store the sound, then say so in the log; size and place are filled in."""
        utt = record.utt
        place = self._to_ark(utt, sound) if self.ark else self._to_file(utt, sound)
        self.note(record._replace(size=len(sound), place=place))

    def note(self, record: Record) -> None:
        """Append a record to the log."""
        with _named(self.log_path):
            if self.log.write(record.line()) != len(record.line()):
                raise OSError(errno.ENOSPC, "No space left on device", str(self.log_path))

    def _to_ark(self, utt: str, sound: bytes) -> str:
        assert self.bytes is not None
        with _named(self.data / self.ark_name):
            record, offset = ark_record(utt, sound)
            place = f"{self.ark_name}:{self.bytes.tell() + offset}"
            self.bytes.write(record)
            self.bytes.flush()
        return place

    def _to_file(self, utt: str, sound: bytes) -> str:
        # 256 directories: some file systems are slow with 100,000 files in one.
        folder = _digest(utt.encode())[:2]
        place = f"{folder}/{quote(utt, safe='')}.{_digest(sound)}.{self.suffix}"
        with _named(self.data / place):
            with open(self.beside, "wb") as stream:
                stream.write(sound)
            (self.data / folder).mkdir(exist_ok=True)
            os.replace(self.beside, self.data / place)
        return place


def _digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()[:8]


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give an error of the operating system the file's name, which a failed write lacks."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds `path`; the lock goes with the process, however it ends."""
    with open(path, "ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _ark_end(record: Record) -> int:
    """Where the record of an ark ends."""
    offset = record.place.rpartition(":")[2]
    return int(offset) + ark_length(record.size) if offset.isdigit() else 0


def read_log(path: Path) -> list[Record]:
    """The whole lines of a log; what a kill or a power cut left of others does not count."""
    *lines, _ = path.read_bytes().split(b"\n")
    return [record for line in lines if (record := _parsed(line))]


def _parsed(line: bytes) -> Record | None:
    try:
        utt, key, rate, samples, size, place, *measures = line.decode("utf-8").split(" ")
        return Record(utt, key, int(rate), int(samples), int(size), place, *measures)
    except (ValueError, TypeError):
        return None


def finished(out: Path) -> dict[str, list[Record]]:
    """What all logs of a set together say, by utterance."""
    found: dict[str, list[Record]] = {}
    for path in sorted((out / "shares").glob("*.log")):
        for record in read_log(path):
            found.setdefault(record.utt, []).append(record)
    return found


def prune(data: Path, needed: Iterable[Record]) -> None:
    """Remove the audio of earlier forms: what none of these records has its place in."""
    kept = {r.place.rpartition(":")[0] or r.place for r in needed}
    for pattern in ("*.ark", "??/*.flac", "??/*.wav"):
        for path in data.glob(pattern):
            if path.relative_to(data).as_posix() not in kept:
                path.unlink(missing_ok=True)


def usable(data: Path, record: Record, sizes: dict[str, int]) -> bool:
    """Whether the audio that a record tells of is there, in full (a power cut may have lost it)."""
    if not record.samples:
        return False
    if record.place == UNMOVED:  # its key tells of size and time of the file
        return True
    path = record.place.rpartition(":")[0]
    try:
        if not path:
            return os.stat(data / record.place).st_size == record.size
        if path not in sizes:
            sizes[path] = os.stat(data / path).st_size
        return sizes[path] >= _ark_end(record)
    except OSError:
        return False
