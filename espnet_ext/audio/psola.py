"""The pitch of a voice moved in the waveform, its formants and its length left as they are.

Time-domain pitch-synchronous overlap-add: E. Moulines and F. Charpentier, "Pitch-synchronous waveform processing
techniques for text-to-speech synthesis using diphones", Speech Communication 9, 1990. One window of two periods
around each pulse of the voice is a grain; the grains are set down nearer to each other, or farther apart. What has no
voice stays as it is, to the sample.

Letters in shapes: S samples, F frames of F0, K pulses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: a voice of fewer periods than that stays as it is: it has no pitch that could be heard
FEWEST = 3
#: seconds without voice that do not part two stretches: shorter than any consonant
BRIDGED = 0.016
#: grains are cut from the signal at so many times its rate: a period that is off by half a sample is noise in the
#: upper harmonics
FINE = 8
#: how alike neighbouring periods are, at least, where the voice goes on behind the frames whose F0 was found
ALIKE = 0.5
#: periods over which the fundamental is averaged, and the place of the energy within a period
NEAR, FAR = 3, 12


@dataclass(frozen=True)
class Stretch:
    """Speech with one unbroken voice.

    Attributes:
        marks: (K,), places of its pulses in samples, rising, not whole.
    """

    marks: np.ndarray

    @property
    def periods(self) -> tuple[np.ndarray, np.ndarray]:
        """Samples from each pulse to the one before and to the one after, (K,) each."""
        import numpy as np

        gaps = np.diff(self.marks)
        return np.concatenate((gaps[:1], gaps)), np.concatenate((gaps, gaps[-1:]))


def shift_pitch(
    samples: np.ndarray, rate: int, hertz: np.ndarray, step: float, semitones: np.ndarray
) -> np.ndarray:
    """Move the pitch.

    Args:
        samples: (S,) float.
        rate: Hz.
        hertz: (F,), F0 of frames that are centred at k * step seconds, 0 where there is no voice; it need not reach to
            the ends of the voice.
        step: seconds.
        semitones: (F,), how far each frame's pitch is moved.

    Returns:
        (S,) float32.
    """
    import numpy as np

    samples = np.asarray(samples, np.float64)
    hertz = _to_the_ends(samples, rate, hertz, step)
    at = np.arange(len(hertz)) * step * rate
    stretches = [s for s in pulses(samples, rate, hertz, step) if len(s.marks) > FEWEST]
    moved = [(s, np.interp(s.marks, at, semitones)) for s in stretches]
    moved = [(s, by) for s, by in moved if np.abs(by).max() > 1e-3]
    if not moved:
        return samples.astype(np.float32)
    fine = _finer(samples)
    voice = np.zeros(len(samples))
    share = np.zeros(len(samples))  # of the signal that is in the grains, where they were
    for stretch, by in moved:
        every = np.arange(len(stretch.marks))
        _add(share, np.ones_like(fine), stretch, every, stretch.marks)
        _add(voice, fine, stretch, *_placed(stretch, by))
    return (samples * (1 - share) + voice).astype(np.float32)


def _placed(stretch: Stretch, semitones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pulses are set down, and where: the new ones are whole turns of a phase that runs faster or slower."""
    import numpy as np

    marks = stretch.marks
    faster = 2 ** (semitones / 12)
    turns = np.concatenate(([0.0], np.cumsum((faster[1:] + faster[:-1]) / 2)))
    places = np.interp(np.arange(int(turns[-1] + 0.5) + 1), turns, marks)
    last = int(turns[-1] + 0.5)
    if last > turns[-1]:  # half a period at most behind the end
        places[last] = marks[-1] + (last - turns[-1]) * stretch.periods[1][-1] / faster[-1]
    after = np.clip(np.searchsorted(marks, places), 1, len(marks) - 1)
    nearer = after - (places - marks[after - 1] < marks[after] - places)
    return nearer, places


def _finer(samples: np.ndarray) -> np.ndarray:
    """The signal at FINE times its rate; every so manieth sample is one of the signal's own."""
    import numpy as np
    from scipy.signal import resample_poly

    fine = resample_poly(samples, FINE, 1)
    fine[::FINE] = samples
    return np.asarray(fine)


def _add(
    sound: np.ndarray, fine: np.ndarray, stretch: Stretch, which: np.ndarray, places: np.ndarray
) -> None:
    """Set grains down: of pulses `which` (G,), cut from `fine`, at `places` (G,), into `sound` (S,).

    The windows of neighbouring pulses add up to 1.
    """
    import numpy as np

    before, after = (width[which, None] for width in stretch.periods)
    reach = int(max(before.max(), after.max())) + 2
    at = np.round(places).astype(int)[:, None] + np.arange(-reach, reach + 1)
    off = at - places[:, None]
    window = np.where(off < 0, 1 + off / before, 1 - off / after).clip(0)
    window = np.sin(np.pi / 2 * window) ** 2
    source = np.round((stretch.marks[which, None] + off) * FINE).astype(int)
    inside = (window > 0) & (at >= 0) & (at < len(sound)) & (source >= 0) & (source < len(fine))
    grains = window[inside] * fine[source[inside]]
    sound += np.bincount(at[inside], grains, minlength=len(sound))


def pulses(samples: np.ndarray, rate: int, hertz: np.ndarray, step: float) -> list[Stretch]:
    """Stretches of voice and where their pulses are: one a period, where the period's energy is.

    Args:
        samples: (S,); rate: Hz.
        hertz: (F,), F0, 0 where there is no voice; step: seconds from frame to frame.
    """
    import numpy as np

    found = []
    at = np.arange(len(hertz)) * step * rate
    voiced = np.flatnonzero(hertz > 0)
    parts = np.split(voiced, np.flatnonzero(np.diff(voiced) > 1 + BRIDGED / step) + 1)
    for part in parts:
        if len(part) < 2:
            continue
        begin = max(0, int(at[part[0]] - step * rate / 2))
        end = min(len(samples), int(at[part[-1]] + step * rate / 2))
        every = np.arange(begin, end)
        track = np.exp(np.interp(every, at[part], np.log(hertz[part])))
        marks = begin + _marks(samples[begin:end], track / rate)
        found.append(Stretch(marks))
    return found


def _to_the_ends(samples: np.ndarray, rate: int, hertz: np.ndarray, step: float) -> np.ndarray:
    """F0 carried on, frame by frame, while the signal still repeats itself: DIO leaves out where a voice sets in."""
    import numpy as np

    found = np.array(hertz, np.float64)
    for on in (1, -1):
        for k in range(len(found))[::on]:
            if not found[k] and 0 <= k - on < len(found) and found[k - on]:
                period, alike = _period(samples, round(k * step * rate), rate / found[k - on])
                found[k] = rate / period if alike > ALIKE else 0.0
    return found


def _period(samples: np.ndarray, at: int, near: float) -> tuple[float, float]:
    """The period at a sample, within 7 % of `near`, and how alike it is to the next one, up to 1."""
    import numpy as np

    low, high, width = int(near * 0.93), int(near * 1.07) + 1, int(near * 1.3)
    begin = at - (width - int(near)) // 2
    if begin < high or begin + width > len(samples):
        return near, 0.0
    now, before = samples[begin : begin + width], samples[begin - high : begin - low + width]
    past = np.lib.stride_tricks.sliding_window_view(before, width)
    alike = past @ now / np.sqrt((past**2).sum(1) * (now @ now) + 1e-12)
    best = int(alike.argmax())
    return float(high - best), float(alike[best])


def _marks(samples: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """(K,), places of the pulses of one stretch.

    Its fundamental is brought down to 0 Hz by the F0 that was measured; what is left over of its phase says where the
    periods really are. Pulses are where the energy is, on the average of some periods.

    Args:
        samples: (S,).
        turns: (S,), F0 in periods a sample.
    """
    import numpy as np

    period = 1 / turns.mean()
    phase = 2 * np.pi * np.cumsum(turns)
    left = np.angle(_smooth(samples * np.exp(-1j * phase), NEAR * period))
    most = 0.2 * 2 * np.pi * turns[1:]  # a fifth faster or slower than was measured
    drift = np.clip(np.diff(np.unwrap(left)), -most, most)
    phase = phase + left[0] + np.concatenate(([0.0], np.cumsum(drift)))
    middle = _smooth(samples**2 * np.exp(-1j * phase), FAR * period)
    phase = phase + np.unwrap(np.angle(middle))
    phase = np.maximum.accumulate(phase) / (2 * np.pi)
    whole = np.arange(np.ceil(phase[0]), np.floor(phase[-1]) + 1)
    return np.interp(whole, phase, np.arange(len(samples)))


def _smooth(values: np.ndarray, width: float) -> np.ndarray:
    """A mean with a Hann window of `width` samples, shorter at the ends."""
    import numpy as np
    from scipy.signal import fftconvolve

    window = np.hanning(2 * max(1, round(width / 2)) + 1)
    full = fftconvolve(values, window, mode="full")
    over = len(window) // 2
    return np.asarray(full[over : over + len(values)])
