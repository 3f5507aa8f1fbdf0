"""What the shares of a set have done so far: records, one a line, found by utterance without holding them."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from espnet_ext.audio.write import ark_length

#: The place of audio that had the right form already and stays where it is.
UNMOVED = "="


class Record(NamedTuple):
    """One line of a log.

    Attributes:
        utt: the utterance.
        key: of its source and form, see espnet_ext.audio.form.key_of.
        rate: Hz.
        channels: how many.
        samples: how many; 0 if it was left out.
        size: bytes of the sound file.
        place: relative to SET/data, or UNMOVED.
        facts: a word on it, such as what espnet_ext.audio.measures found in the source; "-" for none.
    """

    utt: str
    key: int
    rate: int = 0
    channels: int = 0
    samples: int = 0
    size: int = 0
    place: str = "-"
    facts: str = "-"

    def line(self) -> bytes:
        """The record as a line of a log."""
        return (" ".join(str(field) for field in self) + "\n").encode()


def parsed(line: bytes) -> Record | None:
    """A record from its line; None where a kill or a power cut left something else."""
    if not line.endswith(b"\n"):
        return None
    try:
        utt, key, rate, channels, samples, size, place, facts = line[:-1].decode().split(" ")
        return Record(
            utt, int(key), int(rate), int(channels), int(samples), int(size), place, facts
        )
    except ValueError:
        return None


def records_in(path: Path) -> Iterator[Record]:
    """Those of a log's whole lines; none where there is no log."""
    if not path.is_file():
        return
    with open(path, "rb") as stream:
        for line in stream:
            if record := parsed(line):
                yield record


def ark_end(record: Record) -> int:
    """Where the record of an ark ends; 0 for a file of its own."""
    offset = record.place.rpartition(":")[2]
    return int(offset) + ark_length(record.size) if offset.isdigit() else 0


class Usable:
    """Whether the audio that a record tells of is there, in full (a power cut may have lost it)."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.sizes: dict[str, int] = {}  # of arks

    def __call__(self, record: Record) -> bool:
        if not record.samples:
            return False
        if record.place == UNMOVED:  # its key tells of size and time of the file
            return True
        ark = record.place.rpartition(":")[0]
        try:
            if not ark:
                return os.stat(self.data / record.place).st_size == record.size
            if ark not in self.sizes:
                self.sizes[ark] = os.stat(self.data / ark).st_size
            return self.sizes[ark] >= ark_end(record)
        except OSError:
            return False


class Logs:
    """The logs of all shares of a set, as they are now: sixteen bytes a record are held.

    Args:
        out: the set.
    """

    def __init__(self, out: Path) -> None:
        import numpy as np

        self.usable = Usable(out / "data")
        paths = sorted((out / "shares").glob("*.log"))
        self.streams: list[IO[bytes]] = [open(path, "rb") for path in paths]  # noqa: SIM115  # see __exit__
        hashes, places = array("q"), array("q")
        for number, stream in enumerate(self.streams):
            at = 0
            for line in stream:
                hashes.append(hash(line.partition(b" ")[0]))
                places.append(at * len(self.streams) + number)
                at += len(line)
        order = np.argsort(hashes, kind="stable")
        self.hashes = array("q", np.asarray(hashes)[order].tobytes())
        self.places = array("q", np.asarray(places)[order].tobytes())

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self.streams:
            stream.close()

    def find(self, utt: str, key: int) -> tuple[int, Record] | None:
        """The place of a record with that key whose audio is there, or of one that was left out; and the record."""
        value, left_out = hash(utt.encode()), None
        for index in range(bisect_left(self.hashes, value), len(self.hashes)):
            if self.hashes[index] != value:
                break
            record = self._parsed(self.places[index])
            if record is None or (record.utt, record.key) != (utt, key):
                continue
            if self.usable(record):
                return self.places[index], record
            if not record.samples:
                left_out = self.places[index], record
        return left_out

    def at(self, place: int) -> Record:
        """The record at a place that `find` gave."""
        record = self._parsed(place)
        assert record is not None
        return record

    def _parsed(self, place: int) -> Record | None:
        offset, number = divmod(place, len(self.streams))
        self.streams[number].seek(offset)
        return parsed(self.streams[number].readline())
