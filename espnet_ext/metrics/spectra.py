"""Distances between short-time spectra, for speech made by vocoders and by synthesisers.

All are of the power spectra of 1024-point Hann windows, frame for frame; who compares speech of another
timing aligns the frames first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

N_FFT, HOP, BANDS = 1024, 256, 80
RANGE = 1e-6  # of the largest power: what lies 60 dB below it and deeper is alike


def power(wave: np.ndarray) -> np.ndarray:
    """Squared amplitudes of the short-time Fourier transform, every 256 samples: (frames, bins).

    Args:
        wave: (S,), S >= 1024.
    """
    import numpy as np

    return _power(np.lib.stride_tricks.sliding_window_view(wave, N_FFT)[::HOP])


def power_every(wave: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """The same with frame k centred at k times `seconds`, silence around: (floor(S / rate / seconds) + 1, bins).

    These are the places of WORLD's frames, so that one path aligns both.
    """
    import numpy as np

    count = int(len(wave) / rate / seconds + 1e-9) + 1
    padded = np.pad(wave, (N_FFT // 2, N_FFT))
    starts = np.round(np.arange(count) * seconds * rate).astype(int)
    return _power(np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[starts])


def _power(frames: np.ndarray) -> np.ndarray:
    import numpy as np

    window = np.hanning(N_FFT + 1)[:-1]
    return np.asarray(np.abs(np.fft.rfft(frames * window, axis=1)) ** 2)


def _floor(spectra: np.ndarray) -> float:
    return max(float(spectra.max()) * RANGE, 1e-20)


def log_spectral_distance(hyp: np.ndarray, ref: np.ndarray) -> float:
    """In dB, of two power spectrograms (frames, bins), their levels included (Gray and Markel 1976).

    The root mean square over the bins of the difference of 10 log10 of the powers, averaged over frames; powers are
    held above a millionth of the recording's largest, so that digital silence does not decide.
    """
    import numpy as np

    floor = _floor(ref)
    difference = 10.0 * np.log10(np.maximum(hyp, floor) / np.maximum(ref, floor))
    return float(np.sqrt((difference**2).mean(1)).mean())


def log_mel(spectra: np.ndarray, rate: int) -> np.ndarray:
    """Natural logarithm of 80 mel bands of power spectra (frames, bins), those 60 dB below the loudest bin held up."""
    import numpy as np

    from espnet_ext.audio.mel import mel_filters

    filters = mel_filters(rate, N_FFT, BANDS).T
    return np.asarray(np.log(np.maximum(spectra, _floor(spectra)) @ filters + 1e-20))


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's for each column of two arrays (N, K): (K,); 0 where one is constant."""
    import numpy as np

    a, b = a - a.mean(0), b - b.mean(0)
    spread = np.sqrt((a * a).mean(0) * (b * b).mean(0))
    return np.asarray(np.where(spread > 1e-12, (a * b).mean(0) / np.maximum(spread, 1e-12), 0.0))


def mel_correlation(hyp: np.ndarray, ref: np.ndarray, rate: int) -> float:
    """Pearson's correlation over all values (frames times bands) of the log-mel of two power spectrograms.

    A gain does not change it. Part of it is what all speech has in common: lower bands are louder.
    """
    a, b = (log_mel(x, rate).reshape(-1, 1) for x in (hyp, ref))
    return float(_correlations(a, b)[0])


def band_correlation(hyp: np.ndarray, ref: np.ndarray, rate: int) -> float:
    """Pearson's correlation over the frames in each band of the log-mel, averaged over the bands: what moves.

    Bands in which nothing moves in the recording are left out; 0 if that is all.
    """
    a, b = log_mel(hyp, rate), log_mel(ref, rate)
    moving = b.std(0) > 1e-6
    return float(_correlations(a[:, moving], b[:, moving]).mean()) if moving.any() else 0.0


def energy_error(hyp: np.ndarray, ref: np.ndarray) -> float:
    """Root mean square, in dB, of the difference of the frames' energies of two power spectrograms (frames, bins).

    Levels count; energies are held above a millionth of the recording's largest.
    """
    import numpy as np

    a, b = hyp.sum(1), ref.sum(1)
    floor = _floor(b)
    difference = 10.0 * np.log10(np.maximum(a, floor) / np.maximum(b, floor))
    return float(np.sqrt((difference**2).mean()))
