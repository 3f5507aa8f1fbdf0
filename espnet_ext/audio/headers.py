"""What the header of a sound file says against what the file holds.

libsndfile reads a wav whose header promises more than the file holds as if it were just shorter, so
such damage has to be looked for.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

#: A program that writes to a pipe does not know the length and puts down 0 or about the largest there
#: is (espeak-ng and sox 0x7FFFF000, ffmpeg 0xFFFFFFFF).
_UNKNOWN = 0x7FFF0000
_SIGNS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"NIST": "sphere", b"ID3": "mp3"}
_SUFFIXES = {
    "wav": {".wav", ".wv1", ".wv2"},
    "flac": {".flac"},
    "ogg": {".ogg", ".oga", ".opus"},
    "sphere": {".sph", ".wav", ".wv1", ".wv2", ".nist"},
    "mp3": {".mp3"},
}


class Fault(NamedTuple):
    """What is wrong with a header: `truncated` or `header`, and a sentence about it."""

    kind: str
    message: str


def header_faults(path: str | Path) -> list[Fault]:
    """What a file's header gets wrong; empty where it is right or of a kind not looked into.

    Args:
        path: of a sound file; one that cannot be opened has no faults here (reading it will tell).
    """
    try:
        with open(path, "rb") as stream:
            sign = stream.read(12)
            kind = next((k for s, k in _SIGNS.items() if sign.startswith(s)), "")
            faults = _wrong_name(Path(path), kind)
            if kind == "wav" and sign[8:] == b"WAVE":
                faults += _riff(stream, os.fstat(stream.fileno()).st_size)
    except OSError:
        return []
    return faults


def _wrong_name(path: Path, kind: str) -> list[Fault]:
    suffix = path.suffix.lower()
    known = {s for names in _SUFFIXES.values() for s in names}
    if not kind or suffix not in known or suffix in _SUFFIXES[kind]:
        return []
    return [Fault("header", f"named {suffix} but a {kind} file: name it *.{kind}")]


def _riff(stream: BinaryIO, size: int) -> list[Fault]:
    """Faults of a RIFF/WAVE file, from its format and data chunks; `stream` stands behind WAVE."""
    faults: list[Fault] = []
    while len(head := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            return faults + _data(length, size - stream.tell())
        body = stream.read(min(length, 1 << 16))
        if name == b"fmt " and len(body) >= 16:
            faults += _format(body)
        stream.seek(length - len(body) + length % 2, os.SEEK_CUR)
    return [*faults, Fault("truncated", "no data chunk: the file ends within its header")]


def _format(body: bytes) -> list[Fault]:
    code, channels, rate, byte_rate, align, bits = struct.unpack_from("<HHIIHH", body)
    if code not in (1, 3, 0xFFFE) or not bits:
        return []  # compressed: these figures mean something else
    wanted = channels * -(-bits // 8)
    if align != wanted or byte_rate != rate * wanted:
        return [
            Fault(
                "header",
                f"its header contradicts itself: {rate} Hz x {channels} channels x {bits} bits is "
                f"{rate * wanted} bytes a second in blocks of {wanted}, but it says {byte_rate} and "
                f"{align}: rate, channels or bits are wrong",
            )
        ]
    return []


def _data(length: int, there: int) -> list[Fault]:
    if length <= there or length >= _UNKNOWN:
        return []
    lost = f" ({100 * (length - there) / length:.0f} % lost)"
    return [
        Fault(
            "truncated",
            f"found {there} bytes of samples, expected {length} as its header says{lost}: the file is "
            "cut off; fetch it again",
        )
    ]
