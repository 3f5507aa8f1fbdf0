"""Write 16-bit audio, whole or not at all: single files and Kaldi arks of sound files."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: What --audio_format may be.
FORMATS = ("flac", "wav", "flac.ark", "wav.ark")


def encode(samples: np.ndarray, rate: int, container: str) -> bytes:
    """int16 samples (T,) or (T, C) as the bytes of a 16-bit "flac" or "wav" file."""
    import soundfile

    out = BytesIO()
    soundfile.write(out, samples, rate, format=container.upper(), subtype="PCM_16")
    return out.getvalue()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` beside `path`, then rename; parents are made.

    Unlike espnet_ext.files it does not force the data to the disk: with a file per utterance that
    would cost more than everything else. Who relies on the file after a power cut checks its size.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        try:
            beside.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data)
        os.replace(beside, path)
    except BaseException as error:
        try:
            beside.unlink(missing_ok=True)
        except OSError:
            pass
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def write(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write int16 samples to a .wav or .flac file, atomically."""
    write_bytes(path, encode(samples, rate, Path(path).suffix.lstrip(".")))


def ark_record(key: str, sound: bytes) -> tuple[bytes, int]:
    """A sound file as kaldiio stores it in an ark: `KEY AUDIO<length><file>`.

    Returns:
        the bytes of the record and the offset within it that belongs into wav.scp.
    """
    head = key.encode("utf-8") + b" "
    size = _length_bytes(len(sound))
    return head + b"AUDIO" + bytes([size]) + len(sound).to_bytes(size, "little") + sound, len(head)


def ark_length(size: int) -> int:
    """Bytes from the offset of an ark_record to its end, for a sound file of `size` bytes."""
    return len(b"AUDIO") + 1 + _length_bytes(size) + size


def _length_bytes(length: int) -> int:
    return max(1, (length.bit_length() + 7) // 8)
