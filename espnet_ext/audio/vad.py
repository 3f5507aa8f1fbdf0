"""Where somebody speaks: stretches of speech in a recording."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Stretches = list[tuple[float, float]]
METHODS = ("auto", "silero", "energy")


@dataclass(frozen=True)
class Vad:
    """How speech is told from the rest.

    Attributes:
        method: "silero" (a neural network, needs the package silero-vad), "energy" (level above the noise floor;
            for clean recordings), or "auto": silero where it is installed, else energy.
        begin: speech begins where its probability reaches this, 0 to 1.
        keep: and lasts until the probability falls below this.
        least_speech: shorter stretches do not count, in seconds.
        least_pause: shorter pauses do not part two stretches, in seconds.
        pad: added before and after each stretch, in seconds (half the pause where that is less).
    """

    method: str = "auto"
    begin: float = 0.5
    keep: float = 0.35
    least_speech: float = 0.25
    least_pause: float = 0.1
    pad: float = 0.03


def speech(samples: np.ndarray, rate: int, options: Vad = Vad()) -> Stretches:
    """The stretches of a recording in which somebody speaks.

    Args:
        samples: (T,) float32 in [-1, 1].
        rate: sampling rate in Hz.
        options: how.

    Returns:
        (start, end) in seconds, in order, apart from each other, within the recording; none if nobody speaks.

    Raises:
        UserError: for an unknown method, or "silero" without its package.
    """
    from espnet_ext.audio import silero

    if options.method not in METHODS:
        raise UserError(f"VAD method: found {options.method!r}, expected {', '.join(METHODS)}")
    neural = options.method == "silero" or (options.method == "auto" and silero.available())
    if not len(samples):
        return []
    if neural:
        likely = neural_probabilities(samples, rate)
        frame = silero.FRAME_SECONDS
    else:
        likely, frame = energy_probabilities(samples, rate), _ENERGY_FRAME
    return stretches(likely.tolist(), frame, len(samples) / rate, options)


def neural_probabilities(samples: np.ndarray, rate: int) -> np.ndarray:
    """Probability of speech by Silero's network, (N,) float32, one for every 32 ms.

    Args:
        samples: (T,) float32 in [-1, 1].
        rate: any rate in Hz; 8 kHz and 16 kHz are taken as they are, others are brought to 16 kHz.
    """
    from espnet_ext.audio import silero
    from espnet_ext.audio.resample import resample

    if rate not in silero.RATES:
        samples, rate = resample(samples, rate, 16000), 16000
    return silero.probabilities(samples, rate)


#: seconds
_ENERGY_FRAME = 0.01
#: dB: half way up from the noise floor is this far, at least
_LEAST_RISE = 12.0


def energy_probabilities(samples: np.ndarray, rate: int) -> np.ndarray:
    """A stand-in for a probability of speech from levels alone, (N,) float32, one for every 10 ms.

    The level of 30 ms (smoothed) between the noise floor (tenth percentile) and the speech's own level (95th), as
    a number from 0 to 1; a recording whose levels lie within 12 dB, or all under -60 dBFS, has no speech.
    """
    import numpy as np

    hop = max(1, round(rate * _ENERGY_FRAME))
    number = -(-len(samples) // hop)
    padded = np.zeros(number * hop, np.float32)
    padded[: len(samples)] = samples
    power = np.square(padded.reshape(number, hop)).mean(axis=1, dtype=np.float64)
    smooth = np.convolve(power, np.full(3, 1 / 3), "same")[:number] if number >= 3 else power
    level = 10 * np.log10(smooth + 1e-12)
    floor, top = np.percentile(level, [10, 95])
    if top - floor < _LEAST_RISE or top < -60:
        return np.zeros(number, np.float32)
    # half of the way is a fixed 12 dB over the floor or the middle, whichever is lower
    half = min(_LEAST_RISE, (top - floor) / 2)
    return np.clip((level - floor) / (2 * half), 0, 1).astype(np.float32)


def stretches(likely: Sequence[float], frame: float, length: float, options: Vad) -> Stretches:
    """Probabilities, one for each `frame` seconds of `length` seconds, to stretches of speech.

    A stretch begins at `options.begin`; it ends where the probability falls below `options.keep` and has not come
    back to `options.begin` a pause later.
    """
    runs: list[tuple[int, int]] = []
    start = quiet = -1  # frames: of the open stretch, and of its first silence; -1: none
    for index, value in enumerate(likely):
        if value >= options.begin:
            start, quiet = (index if start < 0 else start), -1
        elif start >= 0 and value < options.keep:
            quiet = index if quiet < 0 else quiet
            if (index - quiet) * frame >= options.least_pause:
                runs.append((start, quiet))
                start = quiet = -1
    if start >= 0:
        runs.append((start, len(likely)))
    found = [(a * frame, min(b * frame, length)) for a, b in runs]
    return _padded([s for s in found if s[1] - s[0] > options.least_speech], length, options.pad)


def _padded(found: Stretches, length: float, pad: float) -> Stretches:
    """Each stretch with `pad` seconds on either side, up to the middle of the pause beside it."""
    edges = [-length, *(edge for stretch in found for edge in stretch), 2 * length]
    wider = []
    for k in range(len(found)):
        before, start, end, after = edges[2 * k : 2 * k + 4]
        start = max(0.0, start - min(pad, (start - before) / 2))
        wider.append((start, min(length, end + min(pad, (after - end) / 2))))
    return wider


def cut(found: Stretches, longest: float, shortest: float, pause: float = 0.5) -> Stretches:
    """Stretches joined over pauses, from the shortest pause on, as long as no segment gets longer than `longest`.

    Args:
        found: from `speech`.
        longest: seconds; a stretch without a pause that is longer is cut into equal parts.
        shortest: seconds; what is shorter in the end is left out.
        pause: longer ones always part.

    Returns:
        (start, end) in seconds, in order.
    """
    groups: list[Stretches] = []
    for start, end in found:
        number = math.ceil((end - start) / longest)
        step = (end - start) / number
        parts = [(start + k * step, start + (k + 1) * step) for k in range(number)]
        if groups and start - groups[-1][-1][1] <= pause:
            groups[-1] += parts
        else:
            groups.append(parts)
    joined = [part for group in groups for part in _joined(group, longest)]
    return [part for part in joined if part[1] - part[0] >= shortest]


def _joined(parts: Stretches, longest: float) -> Stretches:
    """Neighbours become one, the nearest first, while none gets longer than `longest`."""
    while True:
        gaps = [
            (after[0] - before[1], k)
            for k, (before, after) in enumerate(itertools.pairwise(parts))
            if after[1] - before[0] <= longest
        ]
        if not gaps:
            return parts
        _, k = min(gaps)
        parts = [*parts[:k], (parts[k][0], parts[k + 1][1]), *parts[k + 2 :]]
