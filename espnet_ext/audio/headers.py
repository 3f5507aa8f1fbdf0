"""What the header of a sound file says against what the file holds.

libsndfile reads a file whose header promises more than it holds as if it were just shorter, so such
damage has to be looked for.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import IO, NamedTuple

#: A program that writes to a pipe does not know the length and puts down 0 or about the largest there
#: is (espeak-ng and sox 0x7FFFF000, ffmpeg 0xFFFFFFFF).
UNKNOWN = 0x7FFF0000
_SIGNS = {
    b"RIFF": "wav",
    b"RF64": "wav",
    b"riff\x2e\x91\xcf\x11": "w64",
    b"FORM": "aiff",
    b".snd": "au",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"NIST": "sphere",
    b"ID3": "mp3",
}
_SUFFIXES = {
    "wav": {".wav", ".wv1", ".wv2", ".rf64"},
    "w64": {".w64", ".wav"},
    "aiff": {".aif", ".aiff", ".aifc"},
    "au": {".au", ".snd"},
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
            return [*_wrong_name(Path(path), _kind(stream)), *stream_faults(stream)]
    except OSError:
        return []


def stream_faults(stream: IO[bytes]) -> list[Fault]:
    """The same for what an open file, or one in memory, holds; it is left at any place."""
    kind, size = _kind(stream), stream.seek(0, os.SEEK_END)
    if kind not in _LOOKS:
        return []
    stream.seek(0)
    return _LOOKS[kind](stream, size)


def _kind(stream: IO[bytes]) -> str:
    stream.seek(0)
    sign = stream.read(12)
    kind = next((k for s, k in _SIGNS.items() if sign.startswith(s)), "")
    return "" if kind == "wav" and sign[8:] != b"WAVE" else kind


def _wrong_name(path: Path, kind: str) -> list[Fault]:
    suffix = path.suffix.lower()
    known = {s for names in _SUFFIXES.values() for s in names}
    if not kind or suffix not in known or suffix in _SUFFIXES[kind]:
        return []
    return [Fault("header", f"named {suffix} but a {kind} file: name it *.{kind}")]


def _riff(stream: IO[bytes], size: int) -> list[Fault]:
    """Faults of a RIFF or RF64 file, from its format and data chunks."""
    faults: list[Fault] = []
    long = 0  # bytes of samples, where they do not fit into 32 bits
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            known = long if length == 0xFFFFFFFF and long else length
            unknown = known == length >= UNKNOWN
            return faults if unknown else faults + _cut(known, size - stream.tell())
        body = stream.read(min(length, 1 << 16))
        if name == b"fmt " and len(body) >= 16:
            faults += _format(body)
        if name == b"ds64" and len(body) >= 16:
            long = int.from_bytes(body[8:16], "little")
        stream.seek(length - len(body) + length % 2, os.SEEK_CUR)
    return [*faults, Fault("truncated", "no data chunk: the file ends within its header")]


def _w64(stream: IO[bytes], size: int) -> list[Fault]:
    return _cut(int.from_bytes(stream.read(24)[16:], "little"), size, "bytes")


def _aiff(stream: IO[bytes], size: int) -> list[Fault]:
    return _cut(int.from_bytes(stream.read(8)[4:], "big") + 8, size, "bytes")


def _au(stream: IO[bytes], size: int) -> list[Fault]:
    start, length = struct.unpack(">II", stream.read(12).ljust(12, b"\0")[4:])
    return [] if length == 0xFFFFFFFF else _cut(length, size - start)


def _sphere(stream: IO[bytes], size: int) -> list[Fault]:
    """From sample_count; a compressed file (`pcm,embedded-shorten`) has no length that is known."""
    start = stream.read(16).split()[1:2]
    if not start or not start[0].isdigit():
        return []
    fields = dict(
        re.findall(rb"^(\w+) -\w+ (\S+)", stream.read(min(int(start[0]), 1 << 16)), re.MULTILINE)
    )
    if b"," in fields.get(b"sample_coding", b""):
        return []
    numbers = [fields.get(n, b"1") for n in (b"sample_n_bytes", b"channel_count")]
    numbers.append(fields.get(b"sample_count", b"0"))
    if not all(number.isdigit() for number in numbers):
        return []
    width, channels, count = map(int, numbers)
    return _cut(width * channels * count, size - int(start[0]))


def _ogg(stream: IO[bytes], size: int) -> list[Fault]:
    """From the last page: it says that it is the last, and is there in full (RFC 3533)."""
    stream.seek(max(0, size - (1 << 17)))  # a page has at most 65,307 bytes
    tail = stream.read()
    page = tail[tail.rfind(b"OggS\0") :]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) > 26 and len(page) >= 27 + page[26] + sum(lengths)
    if whole and page[5] & 4:
        return []
    return [
        Fault(
            "truncated",
            "found no page that ends the stream, expected one: the file is cut off; fetch it again",
        )
    ]


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


def _cut(length: int, there: int, what: str = "bytes of samples") -> list[Fault]:
    there = max(there, 0)
    if length <= there:
        return []
    lost = f" ({100 * (length - there) / length:.0f} % lost)"
    return [
        Fault(
            "truncated",
            f"found {there} {what}, expected {length} as its header says{lost}: the file is "
            "cut off; fetch it again",
        )
    ]


_LOOKS = {"wav": _riff, "w64": _w64, "aiff": _aiff, "au": _au, "sphere": _sphere, "ogg": _ogg}
