"""Mel filters, the same numbers as librosa's without its second and a half of imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.
_STEP, _CORNER = 200.0 / 3.0, 1000.0
_RATIO = 6.4 ** (1.0 / 27.0)


def hertz_to_mel(hertz: np.ndarray, htk: bool = False) -> np.ndarray:
    """Hertz -> mel, by Slaney's scale or HTK's 2595 log10(1 + f / 700)."""
    import numpy as np

    if htk:
        return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))
    above = _CORNER / _STEP + np.log(np.maximum(hertz, _CORNER) / _CORNER) / np.log(_RATIO)
    return np.where(hertz < _CORNER, hertz / _STEP, above)


def mel_to_hertz(mel: np.ndarray, htk: bool = False) -> np.ndarray:
    """The inverse of `hertz_to_mel`."""
    import numpy as np

    if htk:
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    corner = _CORNER / _STEP
    above = _CORNER * _RATIO ** (np.maximum(mel, corner) - corner)
    return np.where(mel < corner, mel * _STEP, above)


def mel_filters(
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
) -> np.ndarray:
    """Triangular filters of equal area (Slaney's normalisation); arguments are named as librosa names them.

    Args:
        sr: sampling rate in Hz.
        n_fft: length of the Fourier transform.
        n_mels: number of filters.
        fmin, fmax: edges of the lowest and the highest filter in Hz; None = sr / 2.
        htk: use HTK's mel scale.

    Returns:
        (n_mels, n_fft // 2 + 1), float32.
    """
    import numpy as np

    edges = hertz_to_mel(np.array([fmin, sr / 2 if fmax is None else fmax], dtype=float), htk)
    corners = mel_to_hertz(np.linspace(edges[0], edges[1], n_mels + 2), htk)
    bins = np.fft.rfftfreq(n_fft, 1.0 / sr)
    slopes = corners[:, None] - bins[None]
    widths = np.diff(corners)
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    area = 2.0 / (corners[2:] - corners[:-2])
    return np.asarray(triangles * area[:, None], dtype=np.float32)
