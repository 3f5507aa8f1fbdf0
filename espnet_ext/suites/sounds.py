"""What test conditions do to sound beyond augmentation's effects: each takes its numbers or a generator.

Mono float32 (T,), in and out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from espnet_ext.audio.effects import power, repeated, through_codec

if TYPE_CHECKING:
    import numpy as np

FRAME = 0.02  # seconds that a packet of a telephone call holds


def coloured_noise(random: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Noise whose power falls by 0 to 6 dB an octave, its level drifting by some dB within seconds."""
    import numpy as np

    spectrum = np.fft.rfft(random.standard_normal(length))
    hertz = np.fft.rfftfreq(length, 1 / rate)
    steepness = random.uniform(0, 1)  # of the amplitude: 0 white, 0.5 pink, 1 brown
    noise = np.fft.irfft(spectrum / np.maximum(hertz, 50.0) ** steepness, length)
    points = max(2, math.ceil(length / rate) + 1)
    drift = np.interp(
        np.linspace(0, 1, length), np.linspace(0, 1, points), random.normal(0, 2, points)
    )
    noise *= 10 ** (drift / 20)
    return (noise / (np.abs(noise).max() + 1e-12)).astype(np.float32)


def babble(voices: list[np.ndarray], starts: list[int], length: int) -> np.ndarray:
    """Voices of equal power, each from its start on and again from its beginning, added up."""
    import numpy as np

    mixed = np.zeros(length, np.float32)
    for voice, start in zip(voices, starts, strict=True):
        gain = 1 / math.sqrt(power(voice) or 1.0)
        mixed += np.float32(gain) * repeated(voice, start % len(voice), length)
    return mixed


def band(samples: np.ndarray, rate: int, low: float, high: float) -> np.ndarray:
    """What lies between two frequencies in Hz (Butterworth, 36 dB an octave), as far as the rate reaches."""
    import numpy as np
    from scipy.signal import butter, sosfilt

    top = min(high, 0.49 * rate)
    sections = butter(6, [low, top], "bandpass", fs=rate, output="sos")
    return np.asarray(sosfilt(sections, samples), dtype=np.float32)


def telephone(samples: np.ndarray, rate: int, codec: str = "mulaw") -> np.ndarray:
    """A telephone call: 300 to 3400 Hz, sampled at 8 kHz and coded."""
    return through_codec(band(samples, rate, 300.0, 3400.0), rate, codec)


def clip(samples: np.ndarray, share: float) -> np.ndarray:
    """Overdriven so far that a share of the samples, the loudest, lie at the ends of the range.

    Args:
        samples: (T,), T >= 1.
        share: 0 to 1.
    """
    import numpy as np

    limit = float(np.quantile(np.abs(samples), 1 - share))
    return np.clip(samples / limit, -1, 1).astype(np.float32) if limit else samples


def lose_packets(
    samples: np.ndarray, rate: int, share: float, random: np.random.Generator, burst: float = 2.0
) -> np.ndarray:
    """A call that loses packets of 20 ms in bursts (E. N. Gilbert 1960); nothing is heard in their place.

    Args:
        samples: (T,).
        rate: in Hz.
        share: of the packets that are lost on average, 0 to less than 1.
        random: which ones.
        burst: mean number of packets lost in a row; more where a share of most packets needs it.
    """
    import numpy as np

    size = max(1, round(FRAME * rate))
    number = -(-len(samples) // size)
    lots = random.random(number + 1)
    burst = max(burst, share / (1 - share))  # one packet between two bursts at least
    stay, start = 1 - 1 / burst, share / (1 - share) / burst
    lost, state = np.zeros(number, bool), bool(lots[-1] < share)
    for n in range(number):
        state = bool(lots[n] < (stay if state else start))
        lost[n] = state
    return samples * ~np.repeat(lost, size)[: len(samples)]


def at_level(samples: np.ndarray, decibel: float) -> np.ndarray:
    """At a root mean square of so many dB below full scale; silence stays."""
    import numpy as np

    loud = power(samples)
    return samples * np.float32(10 ** (decibel / 20) / math.sqrt(loud)) if loud else samples


def between_pauses(
    samples: np.ndarray, rate: int, seconds: float, random: np.random.Generator
) -> np.ndarray:
    """With as many seconds of next to nothing (noise at -70 dBFS) before and after."""
    import numpy as np

    pause = (10 ** (-70 / 20) * random.standard_normal((2, round(seconds * rate)))).astype(
        np.float32
    )
    return np.concatenate([pause[0], samples, pause[1]])
