"""Change the sampling rate or the speed of audio; soxr at its HQ setting, deterministic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def resample(samples: np.ndarray, found: float, wanted: float) -> np.ndarray:
    """Resample along time.

    Args:
        samples: (T,) or (T, C), float32.
        found: its sampling rate in Hz.
        wanted: the rate of the result in Hz.

    Returns:
        about T * wanted / found samples, same channels and type.
    """
    import soxr

    if found == wanted:
        return samples
    return soxr.resample(samples, found, wanted, quality="HQ")


def resampled(blocks: Iterable[np.ndarray], found: float, wanted: float) -> Iterator[np.ndarray]:
    """`resample` for audio that comes in blocks (N, C) of float32: together they are the same to the bit."""
    import soxr

    if found == wanted:
        yield from blocks
        return
    stream = last = None
    for block in blocks:
        stream = stream or soxr.ResampleStream(
            found, wanted, block.shape[1], dtype="float32", quality="HQ"
        )
        if last is not None:
            yield stream.resample_chunk(last)
        last = block
    if stream is not None:
        yield stream.resample_chunk(last, last=True)


def as_float(samples: np.ndarray) -> np.ndarray:
    """Integers, such as int16, to float32 in [-1, 1); anything else as it is.

    Unsigned ones, as some readers give 8-bit files, have silence in the middle.
    """
    import numpy as np

    if samples.dtype.kind not in "iu":
        return samples
    if samples.dtype.kind == "u":
        half = (np.iinfo(samples.dtype).max + 1.0) / 2
        return ((samples - half) / half).astype(np.float32)
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max + 1.0)


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play `factor` times as fast, pitch and tempo together, as `sox ... speed FACTOR` does.

    1.1 gives a shorter, higher sound: the samples are taken to be at `factor` times their rate and
    brought back (Ko et al. 2015, Audio augmentation for speech recognition).
    """
    return resample(samples, factor, 1.0)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Float in [-1, 1] to int16, rounded, clipped at the ends of the range."""
    import numpy as np

    scaled = np.rint(samples * np.float32(32768.0))
    return np.clip(scaled, -32768, 32767).astype(np.int16)
