"""The clean-up chain: steps that are all off until a recipe asks for them.

They run in the order of `Cleaning`'s fields, after resampling, on float samples (T, C).
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from espnet_ext.audio.vad import Vad, speech
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np


_GATE = 1024  # samples in a window of the spectral gate


@dataclass(frozen=True)
class Cleaning:
    """What to do to a recording; None or 0 leaves a step out.

    Attributes:
        highpass: takes away everything below so many Hz, also a DC offset: a Butterworth filter run forwards and
            backwards, so that it shifts nothing in time; -3 dB at the frequency itself, -18 dB an octave below. 20
            is usual.
        denoise: how much of the noise goes, 0 to 1, by spectral gating (Sainburg et al. 2020); what noise is, the
            pauses say.
        trim: silence before and after the speech is cut off but for so many seconds.
        preemphasis: y[t] = x[t] - preemphasis * x[t - 1]; 0.97 is usual. Features with one of their own want none here.
        rms: brings the root mean square to so many dBFS (0 dBFS is a square wave at full scale), e.g. -26.
        loudness: brings the loudness to so many LUFS (ITU-R BS.1770-4), e.g. -23; at most one of rms and loudness.
        peak: alone: brings the highest peak to so many dBFS, e.g. -1; beside rms or loudness: the level stays so much
            lower that no peak is above it.
        dither: noise of triangular distribution, in steps of 16-bit audio, before rounding; 1 is usual.
    """

    highpass: float | None = None
    denoise: float = 0.0
    trim: float | None = None
    preemphasis: float = 0.0
    rms: float | None = None
    loudness: float | None = None
    peak: float | None = None
    dither: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            "highpass": (0.1, 1000),
            "denoise": (0, 1),
            "trim": (0, 60),
            "preemphasis": (0, 1),
            "rms": (-90, 0),
            "loudness": (-70, 0),
            "peak": (-90, 0),
            "dither": (0, 100),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UserError(f"clean: found {name}={value}, expected {low} to {high}")
        if self.rms is not None and self.loudness is not None:
            raise UserError("clean: found both rms and loudness, expected one: they set the same")


#: no step at all
AS_IT_IS = Cleaning()


def parse_cleaning(text: str) -> Cleaning:
    """`"highpass=20 peak=-1"` as steps.

    >>> parse_cleaning("highpass=20 peak=-1").peak
    -1.0

    Raises:
        UserError: for an unknown step or a value out of its range.
    """
    known = [field.name for field in fields(Cleaning)]
    numbers: dict[str, Any] = {}
    for word in text.replace(",", " ").split():
        name, _, value = word.partition("=")
        if name not in known:
            raise UserError(f"clean: found {name!r}, expected some of {', '.join(known)}")
        try:
            numbers[name] = float(value)
        except ValueError:
            raise UserError(f"clean: found {word!r}, expected {name}=NUMBER") from None
    return Cleaning(**numbers)


def clean(samples: np.ndarray, rate: int, steps: Cleaning, name: str = "") -> np.ndarray:
    """Apply the steps.

    Args:
        samples: (T, C) float32 in [-1, 1].
        rate: sampling rate in Hz.
        steps: which.
        name: what dither follows from: the same utterance gets the same noise.

    Returns:
        (T', C) float32; T' < T only with `trim`. Silence stays silence.
    """
    if steps.highpass:
        samples = highpass(samples, rate, steps.highpass)
    if steps.denoise:
        samples = denoise(samples, rate, steps.denoise)
    if steps.trim is not None:
        samples = trim(samples, rate, steps.trim)
    if steps.preemphasis:
        samples = preemphasis(samples, steps.preemphasis)
    samples = samples * _gain(samples, rate, steps)
    return dithered(samples, steps.dither, name) if steps.dither else samples


def highpass(samples: np.ndarray, rate: int, hertz: float) -> np.ndarray:
    """Butterworth of second order, forwards and backwards: |H|^2 squared, no phase; -3 dB at `hertz`.

    Raises:
        UserError: if `hertz` is not below half the rate.
    """
    from scipy.signal import sosfiltfilt

    if hertz >= rate / 2:
        raise UserError(
            f"clean: found highpass={hertz:g} at {rate} Hz, expected less than {rate / 2:g}: everything would go"
        )
    wide = samples.astype("float64")  # poles this near to 1 need it
    if not len(samples):
        return samples
    pad = min(len(samples) - 1, 3 * round(rate / hertz))
    return sosfiltfilt(_sections(rate, hertz), wide, axis=0, padtype="even", padlen=pad).astype(
        "float32"
    )


@lru_cache(maxsize=4)
def _sections(rate: int, hertz: float) -> Any:
    from scipy.signal import butter

    # two passes give 1 / (1 + (corner / f)^4): the corner for which that is 1 / sqrt(2) at hertz
    corner = hertz * (math.sqrt(2) - 1) ** 0.25
    return butter(2, corner, "highpass", fs=rate, output="sos")


def preemphasis(samples: np.ndarray, coefficient: float) -> np.ndarray:
    """y[t] = x[t] - coefficient * x[t - 1], with silence before the beginning; (T, C) -> (T, C)."""
    found = samples.copy()
    found[1:] -= samples.dtype.type(coefficient) * samples[:-1]
    return found


def trim(samples: np.ndarray, rate: int, keep: float, vad: Vad = Vad()) -> np.ndarray:
    """From `keep` seconds before the first speech to as much behind the last; all of it where there is no speech."""
    found = speech(samples.mean(axis=1), rate, vad)
    if not found:
        return samples
    first = max(0, round((found[0][0] - keep) * rate))
    return samples[first : round((found[-1][1] + keep) * rate)]


def denoise(samples: np.ndarray, rate: int, amount: float) -> np.ndarray:
    """Stationary spectral gating of every channel; the noise is measured in the pauses, else over everything.

    Raises:
        UserError: if the package noisereduce is not there.
    """
    import numpy as np

    try:
        from noisereduce import reduce_noise
    except ImportError:
        raise UserError(
            "found no package noisereduce, expected it for denoise: pip install noisereduce==3.0.3"
        ) from None
    if len(samples) < _GATE or not samples.any():
        return samples
    quiet = np.ones(len(samples), bool)
    for start, end in speech(samples.mean(axis=1), rate):
        quiet[round(start * rate) : round(end * rate)] = False
    noise = samples[quiet] if quiet.sum() > max(0.2 * rate, _GATE) else samples
    channels = [
        reduce_noise(x, rate, stationary=True, y_noise=n, prop_decrease=amount)
        for x, n in zip(samples.T, noise.T, strict=True)
    ]
    return np.stack(channels, axis=1).astype(np.float32)


def _gain(samples: np.ndarray, rate: int, steps: Cleaning) -> np.float32:
    """What all channels are multiplied by."""
    import numpy as np

    highest = float(np.abs(samples).max(initial=0.0))
    wanted = 0.0
    if steps.rms is not None:
        wanted = steps.rms - rms_level(samples)
    elif steps.loudness is not None:
        wanted = steps.loudness - loudness(samples, rate)
    if highest == 0 or not math.isfinite(wanted):
        return np.float32(1)
    if steps.peak is not None:
        up = steps.peak - 20 * math.log10(highest)
        alone = steps.rms is None and steps.loudness is None
        wanted = up if alone else min(wanted, up)
    return np.float32(10 ** (wanted / 20))


def rms_level(samples: np.ndarray) -> float:
    """Root mean square over time and channels in dBFS; -inf for silence."""
    import numpy as np

    power = float(np.square(samples, dtype=np.float64).mean())
    return 10 * math.log10(power) if power else -math.inf


def loudness(samples: np.ndarray, rate: int) -> float:
    """Gated loudness in LUFS (ITU-R BS.1770-4) of the first channel of (T, C); -inf for silence.

    One shorter than the 400 ms that the recommendation looks at is repeated until it is long enough.

    Raises:
        UserError: if the package pyloudnorm is not there.
    """
    import numpy as np

    try:
        from pyloudnorm import Meter
    except ImportError:
        raise UserError(
            "found no package pyloudnorm, expected it for loudness: pip install pyloudnorm==0.2.0"
        ) from None
    first = samples[:, 0].astype(np.float64)
    if not first.any():
        return -math.inf
    repeats = -(-round(0.5 * rate) // len(first))
    with np.errstate(divide="ignore"):
        return float(Meter(rate).integrated_loudness(np.tile(first, repeats)))


def dithered(samples: np.ndarray, steps: float, name: str) -> np.ndarray:
    """Noise of triangular distribution, `steps` 16-bit steps to either side, that follows from `name`."""
    import numpy as np

    random = np.random.default_rng(zlib.crc32(name.encode()))
    noise = random.random(samples.shape, np.float32) - random.random(samples.shape, np.float32)
    return samples + noise * np.float32(steps / 32768)
