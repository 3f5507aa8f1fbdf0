"""What is given to a recogniser: files and arrays of any rate, as many at a time as are searched together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from espnet_ext.audio.read import read
from espnet_ext.audio.resample import as_float, resample
from espnet_ext.errors import UserError

#: A file (or what stands in wav.scp), or samples (T,) or (T, C).
Given = str | Path | np.ndarray
#: Utterances, and seconds of sound, that are recognised together: enough to find many of like length, and little enough
#: to hold.
WINDOW, SECONDS = 128, 900.0
#: Lowest and highest sampling rate, Hz.
RATES = 100, 10_000_000
#: Seconds of sound that are recognised as one: attention needs memory by the square.
LONGEST = 1800.0


def _silence() -> np.ndarray:
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class Sound:
    """Samples, or why there are none.

    Attributes:
        samples: (T,) or (T, C), float in [-1, 1] or integers.
        rate: in Hz; None = the model's.
        error: what a person is told; then there are no samples.
    """

    samples: np.ndarray = field(default_factory=_silence)
    rate: int | None = None
    error: str | None = None


def sound_of(given: Given, rate: int | None = None, utt: str = "") -> Sound:
    """A sound, read if it is a file; `rate` is that of an array.

    Raises:
        UserError: if a file cannot be read, an array has another form, or the rate is none.
    """
    if rate is not None and not (
        isinstance(rate, (int, float, np.number)) and RATES[0] <= rate <= RATES[1]
    ):
        raise UserError(f"rate: found {rate!r:.80}, expected that of the samples in Hz, e.g. 16000")
    if isinstance(given, str | Path):
        samples, found = read(str(given), utt)
        return Sound(samples, found)
    if hasattr(given, "detach"):  # a tensor, on whatever device
        given = given.detach().cpu()
    samples = np.asarray(given)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] > len(samples) > 0):
        raise UserError(
            f"found audio of shape {samples.shape}, expected (T,) or (T, C), time first: transpose it"
        )
    if samples.dtype.kind not in "iuf":
        raise UserError(
            f"found audio of type {samples.dtype}, expected floats in [-1, 1] or integers"
        )
    return Sound(samples, rate)


def sound_or_error(given: Given, rate: int | None = None, utt: str = "") -> Sound:
    """The same, with the error in the sound: those beside it lose nothing."""
    try:
        return sound_of(given, rate, utt)
    except UserError as error:
        return Sound(error=str(error))


def as_heard(sound: Sound, rate: int | None, channels: bool) -> np.ndarray:
    """(T,) float32 at a model's rate (None: any); (T, C) where the model hears several channels."""
    samples = as_float(sound.samples).astype(np.float32, copy=False)
    if samples.ndim == 2 and not channels:
        samples = samples.mean(axis=1)
    if sound.rate is None or rate is None or sound.rate == rate or not len(samples):
        return samples
    return resample(samples, sound.rate, rate)


def wrong(samples: np.ndarray, rate: int | None) -> str | None:
    """Why sound (T,) or (T, C) at a rate (None: 16 kHz) cannot be recognised; None if it can."""
    if not np.isfinite(samples).all():
        return "found samples that are no numbers (NaN or infinite), expected audio in [-1, 1]"
    seconds = len(samples) / (rate or 16000)
    if seconds > LONGEST:
        return (
            f"found {seconds:.0f} s of sound, expected at most {LONGEST:.0f} at once: `transcribe` cuts recordings of "
            "any length at their pauses"
        )
    return None


def too_long(seconds: float) -> str:
    """Why a sound that memory does not hold was not recognised."""
    return (
        f"found {seconds:.0f} s of sound, more than the memory there is can recognise at once, expected less: "
        "`transcribe` cuts a recording at its pauses, into pieces of at most --longest seconds"
    )


def windows(
    sounds: Iterable[Sound],
    rate: int | None = None,
    most: float = SECONDS,
    count: int = WINDOW,
) -> Iterator[list[Sound]]:
    """As many at a time as are recognised together.

    Args:
        sounds: any number.
        rate: of those without one.
        most: seconds.
        count: sounds.

    Raises:
        UserError: for a count that is none.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(
            f"window: found {count!r}, expected how many utterances are recognised together, 1 or more"
        )
    held, seconds = list[Sound](), 0.0
    for sound in sounds:
        held.append(sound)
        seconds += len(sound.samples) / (sound.rate or rate or 16000)
        if len(held) == count or seconds >= most:
            yield held
            held, seconds = [], 0.0
    if held:
        yield held
