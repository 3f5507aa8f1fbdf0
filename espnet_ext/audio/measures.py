"""How good a recording is: all figures in one pass over its samples, in memory of constant size."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from espnet_ext.audio.read import BLOCK, blocks

if TYPE_CHECKING:
    import numpy as np

FLOOR_DB = -120.0  # what stands for the level of digital silence
_BIN_DB = 0.25  # width of the histogram of frame levels
_BINS = round(-FLOOR_DB / _BIN_DB) + 41  # up to +10 dBFS
_ALL_FRAMES = 64  # so many have their spectrum taken, and a quarter of those after them
_TOP_RUN = 3  # so many samples at the very top in a row are clipped, not a peak
_CLIFF_DB, _CLIFF_WIDTH, _CLIFF_LOWEST, _BAND = 15.0, 250.0, 1500.0, 125.0  # see _bandwidth

#: E[ln|z|] subtracted from ln E[|z|], for speech whose amplitudes follow a gamma distribution of shape
#: 0.4 in Gaussian noise, at SNRs of -20, -15, ... 100 dB: the statistic of WADA-SNR (Kim and Stern
#: 2008, Robust signal-to-noise ratio estimation based on waveform amplitude distribution analysis).
_WADA = (
    0.4093, 0.4097, 0.4120, 0.4237, 0.4617, 0.5434, 0.6672, 0.8121, 0.9556, 1.0845, 1.1939, 1.2840,
    1.3571, 1.4158, 1.4626, 1.5000, 1.5298, 1.5534, 1.5722, 1.5872, 1.5991, 1.6085, 1.6160, 1.6219,
    1.6266,
)  # fmt: skip


@dataclass(frozen=True)
class Measures:
    """What one pass over the samples tells; levels of the first channel, the rest of all channels.

    Attributes:
        rate: Hz.
        channels: how many.
        seconds: length.
        level: root mean square, dBFS (0 = a square wave at full scale; -120 = digital silence).
        peak: largest magnitude, dBFS.
        noise: level of the quiet frames (32 ms; 10th percentile of those with any sound), dBFS.
        snr: power above that noise over that noise, dB; too low where nobody pauses.
        wada: the same from the distribution of amplitudes (WADA-SNR), dB; -20 to 100.
        clipped: share of samples cut off at the top, 0 to 1.
        clip_run: longest run of such samples.
        dc: mean of the samples, -1 to 1.
        speech: share of frames that stand out from the noise, 0 to 1; 0 where nothing does.
        bandwidth: Hz above which the spectrum falls off a cliff; rate / 2 where it does not.
        digest: of the samples, equal where (and only where) two recordings are equal.
    """

    rate: int
    channels: int
    seconds: float
    level: float
    peak: float
    noise: float
    snr: float
    wada: float
    clipped: float
    clip_run: int
    dc: float
    speech: float
    bandwidth: float
    digest: str

    def packed(self) -> str:
        """The values as one word, for logs and tables."""
        values = vars(self).values()
        return ",".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in values)


def measure_samples(samples: np.ndarray, rate: int) -> Measures:
    """Measure samples (T, C) with T > 0, int16 or finite float32 in [-1, 1], at `rate` Hz."""
    meter = Meter(rate, samples.shape[1])
    for at in range(0, len(samples), BLOCK):
        meter.add(samples[at : at + BLOCK])
    return meter.result()


def measure(
    entry: str, utt: str = "", *, start: float = 0.0, end: float | None = None
) -> tuple[Measures, int]:
    """Measure a `wav.scp` entry or a stretch of it, a block at a time.

    Args:
        entry: path, `ark:offset` or `command |`.
        utt: the utterance, for messages.
        start, end: seconds; None: to the end of the file.

    Returns:
        the measures and the number of samples.

    Raises:
        AudioError: unreadable, empty, shorter than its header says, or not finite.
    """
    meter: Meter | None = None
    for rate, block in blocks(entry, utt, start, end):
        meter = meter or Meter(rate, block.shape[1])
        meter.add(block)
    assert meter is not None
    return meter.result(), meter.samples


class Meter:
    """Adds up blocks of one recording; its memory does not grow with them.

    Args:
        rate: Hz.
        channels: how many each block has.
    """

    def __init__(self, rate: int, channels: int) -> None:
        import numpy as np

        self.rate, self.channels, self.samples, self.frames = rate, channels, 0, 0
        self.size = 1 << max(4, round(math.log2(0.032 * rate)))  # samples of a frame
        self.window = np.hanning(self.size).astype(np.float32)
        self.spectrum = np.zeros(self.size // 2 + 1)
        self.levels = np.zeros(_BINS, dtype=np.int64)
        self.rest = np.zeros(0, dtype=np.float32)
        self.sum = self.squares = self.magnitudes = self.logs = self.peak = 0.0
        self.clipped = self.clip_run = 0
        self.hash = hashlib.blake2b(f"{rate} {channels} ".encode(), digest_size=8)

    def add(self, block: np.ndarray) -> None:
        """Add samples (N, C) with N > 0, int16 or float32 in [-1, 1]."""
        import numpy as np

        self.hash.update(np.ascontiguousarray(block).data)
        first = block[:, 0]
        if first.dtype.kind == "i":
            first = first.astype(np.float32) * np.float32(1 / 32768)
        magnitude = np.abs(first)
        self.samples += len(first)
        self.sum += float(first.sum(dtype=np.float64))
        self._add_tops(magnitude if block.shape[1] == 1 else _magnitudes(block))
        self.magnitudes += float(magnitude.sum(dtype=np.float64))
        np.maximum(magnitude, 2**-16, out=magnitude)  # half a step of 16 bits: what a zero may be
        self.logs += float(np.log(magnitude, out=magnitude).sum(dtype=np.float64))
        self._add_frames(first)

    def _add_tops(self, magnitude: np.ndarray) -> None:
        """Samples that stay at the block's very top (or at full scale) for some time."""
        import numpy as np

        peak = float(magnitude.max())
        self.peak = max(self.peak, peak)
        if peak < 0.1:
            return
        top = np.flatnonzero(magnitude.ravel() >= min(peak, 32767 / 32768))
        starts = np.flatnonzero(np.diff(top, prepend=-2) != 1)
        runs = np.diff(starts, append=len(top))
        runs = runs[runs >= _TOP_RUN]
        if len(runs):
            self.clipped += int(runs.sum())
            self.clip_run = max(self.clip_run, int(runs.max()))

    def _add_frames(self, samples: np.ndarray) -> None:
        import numpy as np

        if len(self.rest):
            samples = np.concatenate([self.rest, samples])
        whole = len(samples) // self.size * self.size
        self.rest = samples[whole:].copy()
        if not whole:
            return
        frames = samples[:whole].reshape(-1, self.size)
        power = np.einsum("ts,ts->t", frames, frames, dtype=np.float32) / self.size
        self._add_levels(power)
        number = np.arange(self.frames, self.frames + len(frames))
        self.frames += len(frames)
        # For the long-term spectrum every fourth is as good as all, of which the transforms would be most of the work.
        some = frames[(number < _ALL_FRAMES) | (number % 4 == 0)]
        spectra = np.fft.rfft(some * self.window)  # numpy, for importing scipy.fft takes 0.4 s
        self.spectrum += np.einsum("tf,tf->f", spectra.real, spectra.real, dtype=np.float64)
        self.spectrum += np.einsum("tf,tf->f", spectra.imag, spectra.imag, dtype=np.float64)

    def _add_levels(self, power: np.ndarray) -> None:
        import numpy as np

        self.squares += float(power.sum(dtype=np.float64)) * self.size
        decibels = 10 * np.log10(np.maximum(power, 1e-13))
        bins = np.clip((decibels - FLOOR_DB) / _BIN_DB, 0, _BINS - 1).astype(np.int64)
        self.levels += np.bincount(bins, minlength=_BINS)

    def result(self) -> Measures:
        """The figures of all blocks so far (at least one)."""
        import numpy as np

        framed = self.samples - len(self.rest)
        if not framed:  # shorter than a frame
            framed = len(self.rest)
            self._add_levels(np.mean(np.square(self.rest), keepdims=True))
            self.squares = float(np.square(self.rest).sum(dtype=np.float64))
        power = self.squares / framed
        noise, speech = _levels(self.levels)
        return Measures(
            rate=self.rate,
            channels=self.channels,
            seconds=self.samples / self.rate,
            level=_decibels(power),
            peak=_decibels(self.peak**2),
            noise=noise,
            snr=_ratio(power, 10 ** (noise / 10)),
            wada=_wada(self.magnitudes / self.samples, self.logs / self.samples),
            clipped=self.clipped / (self.samples * self.channels),
            clip_run=self.clip_run,
            dc=self.sum / self.samples,
            speech=speech,
            bandwidth=_bandwidth(self.spectrum, self.rate),
            digest=self.hash.hexdigest(),
        )


def measured(blocks: Iterable[np.ndarray], meter: Meter) -> Iterator[np.ndarray]:
    """The blocks as they are, each measured on its way."""
    for block in blocks:
        meter.add(block)
        yield block


def _magnitudes(block: np.ndarray) -> np.ndarray:
    """All channels' magnitudes in [0, 1], one channel after the other."""
    import numpy as np

    scale = np.float32(1 / 32768 if block.dtype.kind == "i" else 1)
    return np.abs(block.T.astype(np.float32) * scale)


def _decibels(power: float) -> float:
    return max(FLOOR_DB, 10 * math.log10(power)) if power > 0 else FLOOR_DB


def _ratio(power: float, noise: float) -> float:
    """SNR in dB of a signal in noise, from the power of both together; -10 to 100."""
    if power <= 1e-12:
        return -10.0
    return min(100.0, 10 * math.log10(max(power / noise - 1, 0.1)))


def _levels(histogram: np.ndarray) -> tuple[float, float]:
    """The noise's level in dBFS and the share of frames that stand out from it.

    Frames of digital silence (a pause that was cut away) say nothing of the noise. What lies 40 % of
    the way from the quiet frames (10th percentile) to the loud ones (95th) is speech, but at least
    what lies 30 dB below the loud ones; where both are within 6 dB nothing stands out.
    """
    import numpy as np

    sounding = histogram.copy()
    sounding[0] = 0
    total = int(sounding.sum())
    if not total:
        return FLOOR_DB, 0.0
    reached = np.cumsum(sounding)
    low, high = (
        FLOOR_DB + _BIN_DB * (int(np.searchsorted(reached, q * total)) + 0.5) for q in (0.10, 0.95)
    )
    if high - low < 6:
        return low, 0.0
    limit = max(high - 30, low + 0.4 * (high - low))
    loud = sounding[math.ceil((limit - FLOOR_DB) / _BIN_DB) :].sum()
    return low, float(loud / histogram.sum())


def _wada(magnitude: float, log: float) -> float:
    """SNR in dB from the mean magnitude and the mean of the logarithm of the magnitudes."""
    import numpy as np

    if magnitude < 2**-15:
        return -20.0
    return float(np.interp(math.log(magnitude) - log, _WADA, np.arange(-20, 101, 5)))


def _bandwidth(spectrum: np.ndarray, rate: int) -> float:
    """Where the long-term spectrum falls off a cliff, in Hz.

    Resampled, telephone and MP3 audio has next to nothing above some frequency: within 250 Hz the
    level drops by 15 dB or more and stays down. Speech itself falls slowly above 1.5 kHz (below, the
    gap after the first formant may be as deep). Of several such places the steepest counts.

    Args:
        spectrum: (F,) power from 0 Hz to rate / 2.
        rate: Hz.
    """
    import numpy as np

    count = int(rate / 2 // _BAND)
    if count < 24 or len(spectrum) <= count or not spectrum.any():
        return rate / 2
    edges = np.arange(count) * len(spectrum) // count
    sizes = np.diff(edges, append=len(spectrum))
    level = 10 * np.log10(np.add.reduceat(spectrum, edges) / sizes + 1e-20)
    gap = round(_CLIFF_WIDTH / _BAND)
    above = np.maximum.accumulate(level[::-1])[::-1]  # the loudest from this band on
    below = np.lib.stride_tricks.sliding_window_view(level, gap).min(axis=1)
    drop = below[: len(level) - 2 * gap] - above[2 * gap :]
    lowest = round(_CLIFF_LOWEST / _BAND)
    place = lowest + int(np.argmax(drop[lowest:]))
    return rate / 2 if drop[place] < _CLIFF_DB else float((place + 1.5 * gap) * _BAND)
