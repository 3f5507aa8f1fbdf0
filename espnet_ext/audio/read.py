"""Read audio: what libsndfile knows (wav, flac, mp3, ogg, opus, NIST sphere, ...), parts of Kaldi arks, pipes,
headerless PCM; shorten inside sphere, m4a and the like through espnet_ext.audio.foreign.

Arrays are (T, C): T samples of C channels, float32 in [-1, 1] or int16.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from espnet_ext.audio.headers import UNKNOWN, header_faults, stream_faults
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import soundfile


#: Encodings whose samples are exactly 16-bit numbers.
SIXTEEN_BITS = frozenset({"PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW"})
#: Samples that `blocks` reads at a time: 33 s at 16 kHz, so that nearly every utterance is one block.
BLOCK = 1 << 19


class AudioError(UserError):
    """Audio that cannot be used: unreadable, empty, of a wrong rate, not finite."""


class CutOff(AudioError):
    """Audio that begins well but ends early, or is damaged on the way."""


class NotFinite(AudioError):
    """Samples that are not numbers, or infinite."""


class NoSamples(AudioError):
    """Audio of length zero."""


@contextmanager
def opened(entry: str, utt: str = "") -> Iterator[soundfile.SoundFile]:
    """A `wav.scp` entry (path, `ark:offset` or `command |`) as an open soundfile.SoundFile.

    Args:
        entry: what stands in wav.scp.
        utt: the utterance, for messages.

    Raises:
        AudioError: if it cannot be read.
        CutOff: if its header promises more than there is, which libsndfile would take for a shorter file.
    """
    import soundfile

    try:
        source = _source(entry)
        for fault in header_faults(source) if isinstance(source, str) else stream_faults(source):
            if fault.kind == "truncated":
                raise CutOff(f"{_who(utt, entry)}: {fault.message}")
        if not isinstance(source, str):
            source.seek(0)
        with _opened(source) as stream:
            yield stream
    except (soundfile.SoundFileError, OSError, EOFError, AssertionError) as error:
        if isinstance(error, OSError) and error.filename is None:
            raise
        raise AudioError(
            f"{_who(utt, entry)}: found unreadable audio ({_reason(error)}), expected wav, flac, "
            "mp3, ogg, opus or sphere: check the file, or remove the utterance"
        ) from None


def _opened(source: str | BinaryIO) -> soundfile.SoundFile:
    import soundfile

    try:
        return soundfile.SoundFile(source)
    except (TypeError, ValueError) as error:  # what soundfile says of a *.raw without a header
        raise EOFError(f"no header that tells of rate and channels; {error}") from None
    except soundfile.SoundFileError:
        from espnet_ext.audio.foreign import decode, foreign_format

        kind = foreign_format(source) if isinstance(source, str) else None
        if kind is None:
            raise
        return soundfile.SoundFile(BytesIO(decode(str(source), kind)))


def _reason(error: BaseException) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".") or type(error).__name__


def _who(utt: str, entry: str) -> str:
    return f"utterance {utt!r}, {entry}" if utt else entry


def _source(entry: str) -> str | BinaryIO:
    # a file may be called so: whoever named it shall not have it run
    if entry.endswith("|") and not os.path.isfile(entry):
        return BytesIO(_piped(entry[:-1]))
    path, offset = ark_offset(entry)
    if offset is None:
        return path
    with open(path, "rb") as ark:
        ark.seek(offset)
        return BytesIO(_ark_record(ark))


def ark_offset(entry: str) -> tuple[str, int | None]:
    """`some.ark:123` -> ("some.ark", 123); any other entry -> (entry, None)."""
    path, colon, offset = entry.rpartition(":")
    if colon and offset.isdigit() and not Path(entry).exists():
        return path, int(offset)
    return entry, None


def _ark_record(ark: BinaryIO) -> bytes:
    """The sound file inside an ark: kaldiio's `AUDIO` + length + file, or a bare RIFF file."""
    flag = ark.read(5)
    if flag == b"AUDIO":
        size = int.from_bytes(ark.read(1), "little")
        length = int.from_bytes(ark.read(size), "little")
        return _all_of(ark, length)
    if flag[:4] == b"RIFF":
        rest = flag + ark.read(3)
        length = int.from_bytes(rest[4:8], "little")
        return rest + (ark.read() if length >= UNKNOWN else _all_of(ark, length))
    raise EOFError(f"no sound at this offset of the ark, found bytes {flag!r}")


def _all_of(ark: BinaryIO, length: int) -> bytes:
    found = ark.read(length)
    if len(found) < length:
        raise EOFError(f"the ark ends after {len(found)} of this record's {length} bytes")
    return found


@lru_cache(maxsize=1)  # the segments of one recording come one after another
def _piped(command: str) -> bytes:
    done = subprocess.run(command, shell=True, capture_output=True)
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise EOFError(f"the command ended with status {done.returncode}: {last}")
    return done.stdout


def read(
    entry: str,
    utt: str = "",
    *,
    start: float = 0.0,
    end: float | None = None,
    dtype: str = "float32",
) -> tuple[np.ndarray, int]:
    """Read a `wav.scp` entry or a stretch of it, without decoding what is not asked for.

    Args:
        entry: path, `ark:offset` or `command |`.
        utt: the utterance, for messages.
        start: seconds.
        end: seconds; None or a value past the end of the file: to its end.
        dtype: "float32" (in [-1, 1]), "int16", or "native": int16 where the file holds no more than
            that, else float32.

    Returns:
        samples (T, C) with T > 0, and the sampling rate in Hz.

    Raises:
        AudioError: unreadable, empty, or (float files) NaN or infinite values.
    """
    with opened(entry, utt) as stream:
        first, last = _stretch(stream, _who(utt, entry), start, end)
        if dtype == "native":
            dtype = native(stream)
        samples = stream.read(last - first, dtype=dtype, always_2d=True)
        rate = int(stream.samplerate)
    if len(samples) < last - first:
        raise CutOff(
            f"{_who(utt, entry)}: found {len(samples)} samples, expected {last - first} as its "
            "header says: the file is cut off; fetch it again or remove the utterance"
        )
    _require_finite(samples, 0, _who(utt, entry))
    return samples, rate


def blocks(
    entry: str, utt: str = "", start: float = 0.0, end: float | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """(rate, samples (N, C)) of a stretch, block by block; else as `read` with dtype "native"."""
    from soundfile import SoundFileError

    who = _who(utt, entry)
    with opened(entry, utt) as stream:
        first, last = _stretch(stream, who, start, end)
        dtype = native(stream)
        for at in range(first, last, BLOCK):
            wanted = min(BLOCK, last - at)
            try:
                block = stream.read(wanted, dtype=dtype, always_2d=True)
                found = f"{at + len(block)} samples"
            except SoundFileError:
                block, found = (), f"damage after sample {at}"
            if len(block) < wanted:
                raise CutOff(
                    f"{who}: found {found}, expected {last} samples as its header says: the file is "
                    "damaged or cut off; fetch it again or remove the utterance"
                )
            _require_finite(block, at, who)
            yield int(stream.samplerate), block


def native(stream: soundfile.SoundFile) -> str:
    """int16 where the file holds no more than that, else float32."""
    return "int16" if stream.subtype in SIXTEEN_BITS else "float32"


def _stretch(
    stream: soundfile.SoundFile, who: str, start: float, end: float | None
) -> tuple[int, int]:
    """First sample and the one behind the last of a stretch in seconds; goes to the first."""
    first = round(start * stream.samplerate)
    last = stream.frames if end is None else min(round(end * stream.samplerate), stream.frames)
    if last <= first:
        part = f" between {start:g} s and {'its end' if end is None else f'{end:g} s'}"
        raise NoSamples(
            f"{who}: found no samples{part} (the file has {stream.frames}), expected audio: remove "
            "the utterance or mend the file"
        )
    if first:
        stream.seek(first)
    return first, last


def _require_finite(samples: np.ndarray, at: int, who: str) -> None:
    """Raises NotFinite with the place of the first such sample; `at` is where `samples` begin."""
    import numpy as np

    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        bad = int(np.argwhere(~np.isfinite(samples))[0][0])
        raise NotFinite(
            f"{who}: found {samples[bad].tolist()} at sample {at + bad}, expected finite numbers: "
            "mend the file or remove the utterance"
        )


def load(path: str | Path, rate: int | None = None) -> tuple[np.ndarray, int]:
    """Read a whole file as mono float32 (T,), channels averaged, resampled to `rate` if given; more is never held."""
    import numpy as np

    from espnet_ext.audio.resample import as_float, resampled

    stream = blocks(str(path))
    found, first = next(stream)
    wanted = rate or found
    parts = itertools.chain([first], (block for _, block in stream))
    mono = (as_float(part).mean(axis=1, keepdims=True, dtype="float32") for part in parts)
    return np.concatenate([*resampled(mono, found, wanted)])[:, 0], wanted


def seconds_of(entry: str, utt: str = "") -> float:
    """Length of a `wav.scp` entry in seconds, from its header."""
    with opened(entry, utt) as stream:
        return float(stream.frames) / float(stream.samplerate)


def read_raw(
    path: str | Path, rate: int, endian: str | None = None, channels: int = 1
) -> tuple[np.ndarray, int]:
    """Read headerless 16-bit PCM.

    Args:
        path: the file.
        rate: its sampling rate, returned as it is.
        endian: "big" or "little"; None: whichever gives the smoother signal (see endianness).
        channels: how many are interleaved.

    Returns:
        int16 samples (T,), or (T, C) of several channels, in the machine's byte order, and the rate.

    Raises:
        AudioError: empty, or not a whole number of samples.
    """
    import numpy as np

    data = Path(path).read_bytes()
    if not data or len(data) % (2 * channels):
        raise AudioError(
            f"{path}: found {len(data)} bytes, expected 16-bit samples of {channels} channels without "
            f"a header (a multiple of {2 * channels}, more than none): check the file"
        )
    order = endian or endianness([data])
    samples = np.frombuffer(data, ">i2" if order == "big" else "<i2").astype(np.int16)
    return samples if channels == 1 else samples.reshape(-1, channels), rate


def endianness(pieces: Iterable[bytes]) -> str:
    """The byte order of 16-bit PCM, "big" or "little": the one with the smaller total variation.

    Sound is smooth; read in the wrong order its fast-changing low byte becomes the high byte and it
    looks like loud noise. Silence says nothing; a tie gives "little".
    """
    import numpy as np

    variation = {"big": 0.0, "little": 0.0}
    for data in pieces:
        whole = data[: len(data) // 2 * 2]
        for order, kind in (("big", ">i2"), ("little", "<i2")):
            steps = np.diff(np.frombuffer(whole, kind).astype(np.float64))
            variation[order] += float(np.abs(steps).sum())
    return "big" if variation["big"] < variation["little"] else "little"
