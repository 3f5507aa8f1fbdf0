"""Sound that is still coming: blocks of any size, rate and form, and files that are being written.

Letters in shapes: N samples, C channels.
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from espnet_ext.audio.resample import as_float
from espnet_ext.errors import UserError


def at_rate(blocks: Iterable[np.ndarray], found: float, wanted: float) -> Iterator[np.ndarray]:
    """Blocks (N,) or (N, C), float in [-1, 1] or integers -> (N,) float32 at another rate, without waiting for more.

    Samples that are no numbers are silence here, with one warning: a stream goes on.

    Raises:
        UserError: for a rate that is none, or a block of another form.
    """
    import soxr

    if not 0 < found < 1e7:
        raise UserError(f"rate: found {found!r}, expected that of the blocks in Hz, such as 16000")
    stream = None
    if found != wanted:
        stream = soxr.ResampleStream(found, wanted, 1, dtype="float32", quality="HQ")
    warned = False
    for block in blocks:
        samples = _mono(block)
        there = np.isfinite(samples)
        if not there.all():
            samples = np.where(there, samples, np.float32(0.0))
            if not warned:
                logging.warning("found samples that are no numbers: heard as silence")
            warned = True
        yield samples if stream is None else stream.resample_chunk(samples)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _mono(block: np.ndarray) -> np.ndarray:
    samples = np.asarray(block)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf":
        raise UserError(
            f"found a block of shape {samples.shape} and type {samples.dtype}, expected numbers, (N,) or (N, C)"
        )
    samples = as_float(samples).astype(np.float32, copy=False)
    return samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)


@dataclass(frozen=True)
class Form:
    """How samples stand in a file.

    Attributes:
        rate: Hz.
        channels: side by side.
        kind: numpy's name of a sample's type.
    """

    rate: int
    channels: int = 1
    kind: str = "<i2"

    @property
    def frame(self) -> int:
        """Bytes of a sample of all channels."""
        return self.channels * np.dtype(self.kind).itemsize


#: Format and bits of a WAV file -> numpy's name.
_KINDS = {(1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}
_EXTENSIBLE = 0xFFFE


def growing(
    path: str | Path, form: Form | None = None, idle: float = 2.0, wait: float = 0.05
) -> tuple[int, Iterator[np.ndarray]]:
    """A file that somebody still writes: its rate, and blocks (N, C) as they come.

    Args:
        path: a WAV file of 16 or 32-bit numbers, whatever length its header claims; or headerless samples.
        form: of headerless samples; None = a WAV file.
        idle: seconds without anything new after which it is taken to be over.
        wait: seconds between two looks.

    Raises:
        UserError: if no such file comes to be within `idle` seconds, or it is of another form.
    """
    path, end = Path(path), time.monotonic() + idle
    while True:
        try:
            with open(path, "rb") as stream:
                found, offset = (form, 0) if form is not None else _header(stream, path)
            return found.rate, _blocks(path, offset, found, idle, wait)
        except (FileNotFoundError, EOFError):
            if time.monotonic() >= end:
                raise UserError(
                    f"{path}: found no file with a WAV header after {idle:g} s, expected somebody to write one"
                ) from None
        time.sleep(wait)


def _blocks(path: Path, offset: int, form: Form, idle: float, wait: float) -> Iterator[np.ndarray]:
    rest, last = b"", time.monotonic()
    with open(path, "rb") as stream:
        stream.seek(offset)
        while True:
            if more := stream.read(1 << 16):
                rest, last = rest + more, time.monotonic()
                whole = len(rest) - len(rest) % form.frame
                if whole:
                    yield np.frombuffer(rest[:whole], form.kind).reshape(-1, form.channels)
                rest = rest[whole:]
            elif time.monotonic() - last >= idle:
                return
            else:
                time.sleep(wait)


def _header(stream: BinaryIO, path: Path) -> tuple[Form, int]:
    """What a WAV file's header says, and where its samples begin.

    Raises:
        EOFError: if it is not there yet.
        UserError: if it is that of something else.
    """
    riff = _all(stream, 12)
    form = None
    if (riff[:4], riff[8:]) == (b"RIFF", b"WAVE"):
        while (chunk := _all(stream, 8))[:4] != b"data":
            size = int.from_bytes(chunk[4:], "little")
            body = _all(stream, size + size % 2)
            if chunk[:4] == b"fmt " and size >= 16:
                form = _form(body)
    if form is None:
        raise UserError(
            f"{path}: found no WAV file of 16 or 32-bit samples, expected one; give the form of a headerless file, or "
            "use `transcribe` when it is complete"
        )
    return form, stream.tell()


def _form(body: bytes) -> Form | None:
    kind, channels, rate = struct.unpack("<HHI", body[:8])
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = int.from_bytes(body[24:26], "little")
    name = _KINDS.get((kind, int.from_bytes(body[14:16], "little")))
    return Form(rate, channels, name) if name and channels and rate else None


def _all(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found
