"""Speech into a file or a pipe, piece by piece."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.inference.speech import Speech

#: endings of files' names that are written
FORMS = (".wav", ".flac", ".ogg")
_UNKNOWN = 0xFFFFFFFF  # a length, in a pipe


def check_name(output: str) -> None:
    """Refuse a file's name whose ending says no form that is written.

    Raises:
        UserError: for such a name.
    """
    if output != "-" and Path(output).suffix.lower() not in FORMS:
        raise UserError(
            f"--output: found {output}, expected a name that ends in {', '.join(FORMS)}, or - for standard output"
        )


def write_speech(pieces: Iterable[Speech], output: str, rate: int, live: bool) -> float:
    """Write speech as it comes.

    Args:
        pieces: mono.
        output: a file's name.
        rate: Hz.
        live: under its name from the first piece on, for who listens meanwhile; else only when it is whole. It never
            stays half written.

    Returns:
        Seconds of speech.

    Raises:
        UserError: see `check_name`.
    """
    check_name(output)
    import soundfile

    path, samples = Path(output), 0
    pieces = begun(pieces)
    opened: Any = open(path, "wb") if live else atomic_open(path, "wb")  # noqa: SIM115
    try:
        with (
            opened as file,
            soundfile.SoundFile(file, "w", rate, 1, format=path.suffix[1:].upper()) as stream,
        ):
            for piece in pieces:
                for start in range(0, len(piece.wave), 10 * rate):  # Ogg crashes on minutes at once
                    stream.write(piece.wave[start : start + 10 * rate])
                stream.flush()
                file.flush()
                samples += len(piece.wave)
    except BaseException:
        path.unlink(missing_ok=True) if live else None
        raise
    return samples / rate


def begun(pieces: Iterable[Speech]) -> Iterable[Speech]:
    """The same, its first one made already: what cannot be spoken costs no file that was there."""
    waiting = iter(pieces)
    first = next(waiting, None)
    return waiting if first is None else chain([first], waiting)


def pipe_speech(pieces: Iterable[Speech], pipe: BinaryIO, rate: int) -> float:
    """Write speech as WAV of unknown length, 16 bits, into what cannot go back; returns its seconds."""
    shape = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    head = struct.pack("<4sI4s4s", b"RIFF", _UNKNOWN, b"WAVE", b"fmt ")
    pipe.write(head + shape + struct.pack("<4sI", b"data", _UNKNOWN))
    samples = 0
    for piece in pieces:
        pipe.write((np.clip(piece.wave, -1, 1) * 32767).round().astype("<i2").tobytes())
        pipe.flush()
        samples += len(piece.wave)
    return samples / rate
