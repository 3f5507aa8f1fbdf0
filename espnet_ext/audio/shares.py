"""Shares of a set being formatted: audio and a log that tells the truth whatever kills the process.

A finished utterance is one line in `SET/shares/JOBofN.log`, written after its audio is in place. Names in
`SET/data` tell of what is inside, so nothing that a finished set points to is ever written over. Logs are read
through espnet_ext.audio.logs.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from espnet_ext.audio.logs import Record, Usable, ark_end, records_in
from espnet_ext.audio.write import ark_record
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open


class Wanted:
    """The utterances of a share with their keys, eight bytes each: which records of a log still count.

    Args:
        keys: (utterance, key), ascending.
    """

    def __init__(self, keys: Iterable[tuple[str, int]] = ()) -> None:
        digest, hashes = hashlib.sha1(), array("q")
        self.first = self.last = ""
        for utt, key in keys:
            self.first, self.last = self.first or utt, utt
            hashes.append(hash((utt, key)))
            digest.update(f"{utt} {key}\n".encode())
        self.hashes, self.name = array("q", sorted(hashes)), digest.hexdigest()[:8]

    def counts(self, record: Record) -> bool:
        """Whether a record is of another share, or of the utterance as it is now."""
        if not self.first <= record.utt <= self.last:
            return True
        value = hash((record.utt, record.key))
        place = bisect_left(self.hashes, value)
        return place < len(self.hashes) and self.hashes[place] == value


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
    def opened(self, wanted: Wanted) -> Iterator[Share]:
        """Take the share; records that do not count any more leave its log.

        Raises:
            UserError: if another process has it.
        """
        # other audio or another form goes into an ark of its own
        self.ark_name = f"{self.name}.{wanted.name}.ark"
        self.data.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._lock(stack.enter_context(open(self.log_path.with_suffix(".lock"), "ab")))
            end = self._clean_log(wanted)
            self.log = stack.enter_context(open(self.log_path, "ab", buffering=0))
            if self.ark:
                self.bytes = stack.enter_context(open(self.data / self.ark_name, "ab"))
                self.bytes.truncate(end)
                self.bytes.seek(0, os.SEEK_END)
            try:
                yield self
            finally:
                self.beside.unlink(missing_ok=True)

    def _lock(self, stream: IO[bytes]) -> None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.log_path}: found another process working on this share, expected none: "
                "wait for it"
            ) from None

    def _clean_log(self, wanted: Wanted) -> int:
        """Drop what a killed process left of its last line, and records that no longer hold.

        Returns:
            where the last of those in the share's ark ends.
        """
        for leftover in self.log_path.parent.glob(f".{self.log_path.name}.tmp-*"):
            leftover.unlink()  # of a process that was killed
        end, usable = 0, Usable(self.data)
        with atomic_open(self.log_path, "wb") as stream:
            for record in records_in(self.log_path):
                if usable(record) and wanted.counts(record):
                    stream.write(record.line())
                    if record.place.startswith(f"{self.ark_name}:"):
                        end = max(end, ark_end(record))
        return end

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
        place = f"{folder}/{file_stem(utt)}.{_digest(sound)}.{self.suffix}"
        with _named(self.data / place):
            with open(self.beside, "wb") as stream:
                stream.write(sound)
            (self.data / folder).mkdir(exist_ok=True)
            os.replace(self.beside, self.data / place)
        return place


def file_stem(utt: str) -> str:
    """What stands for an utterance in a file's name, at most 200 bytes: file systems take 255.

    >>> file_stem("ann/1"), len(file_stem("д" * 100))
    ('ann%2F1', 200)
    """
    stem = quote(utt, safe="")
    return stem if len(stem) <= 200 else f"{stem[:159]}-{hashlib.sha1(utt.encode()).hexdigest()}"


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


def prune(data: Path, needed: Iterable[Record]) -> None:
    """Remove the audio of earlier forms: what none of these records has its place in."""
    kept = array("q", sorted({hash(r.place.rpartition(":")[0] or r.place) for r in needed}))
    for folder, names in _sounds(data):
        for name in names:
            value = hash(f"{folder}{name}")
            place = bisect_left(kept, value)
            if place == len(kept) or kept[place] != value:
                (data / folder / name).unlink(missing_ok=True)


def _sounds(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Folders (with a slash, or "" for `data` itself) and the names of the sound files and arks in them."""
    inner = sorted(p.name for p in data.iterdir() if p.is_dir())
    yield "", [name for name in os.listdir(data) if name.endswith(".ark")]
    for folder in inner:
        found = os.listdir(data / folder)
        yield f"{folder}/", [name for name in found if name.endswith((".flac", ".wav"))]
