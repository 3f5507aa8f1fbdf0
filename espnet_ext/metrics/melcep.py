"""Mel-cepstra from power spectra, in numpy.

The steps are those of `sp2mc` in SPTK/pysptk: log power spectrum -> real cepstrum of the
minimum-phase filter -> first-order all-pass frequency warping (A. V. Oppenheim and D. H. Johnson,
"Discrete representation of signals", Proc. IEEE 1972; SPTK calls it `freqt`). The warping is
linear, so it is one matrix.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# order and warping by sampling rate, of ESPnet's evaluate_mcd.py (`_get_best_mcep_params`)
_BY_RATE = {
    16000: (23, 0.42),
    22050: (34, 0.45),
    24000: (34, 0.46),
    44100: (39, 0.53),
    48000: (39, 0.55),
}


def parameters(rate: int) -> tuple[int, float]:
    """Order and all-pass constant for a sampling rate in Hz, those of the nearest known rate."""
    return _BY_RATE[min(_BY_RATE, key=lambda known: abs(known - rate))]


@functools.lru_cache(maxsize=16)
def warping(order: int, alpha: float, length: int) -> np.ndarray:
    """The matrix of `freqt`: cepstrum of `length` coefficients -> order + 1 warped ones.

    Column n holds the warped coefficients of the unit cepstrum at quefrency n; each follows from
    the one before by the all-pass recursion.

    Returns:
        (order + 1, length).
    """
    import numpy as np

    matrix = np.zeros((order + 1, length))
    matrix[0, 0] = 1.0
    for n in range(1, length):
        old, new = matrix[:, n - 1], matrix[:, n]
        new[0] = alpha * old[0]
        if order:
            new[1] = (1.0 - alpha * alpha) * old[0] + alpha * old[1]
        for m in range(2, order + 1):
            new[m] = old[m - 1] + alpha * (old[m] - new[m - 1])
    return matrix


def sp2mc(power: np.ndarray, order: int, alpha: float) -> np.ndarray:
    """Mel-cepstrum of power spectra.

    Args:
        power: (T, F), positive; F = n_fft / 2 + 1 bins from 0 to half the sampling rate.
        order: highest coefficient.
        alpha: all-pass constant, 0 <= alpha < 1; 0 leaves the frequency axis as it is.

    Returns:
        (T, order + 1) with c such that log power = 2 sum over m of c[m] cos(m w'), w' the warped
        frequency.
    """
    import numpy as np

    bins = power.shape[-1]
    # of log |H|^2, so half of it; folding the mirror image onto it doubles all but two
    cepstrum = np.fft.irfft(np.log(power), axis=-1)[..., :bins]
    cepstrum[..., [0, -1]] /= 2.0
    return cepstrum @ warping(order, alpha, bins).T


def mc2sp(mel_cepstrum: np.ndarray, alpha: float, bins: int) -> np.ndarray:
    """Power spectra (T, bins) of mel-cepstra (T, order + 1): the inverse of `sp2mc`, smoothed."""
    import numpy as np

    w = np.linspace(0.0, np.pi, bins)
    warped = w + 2.0 * np.arctan2(alpha * np.sin(w), 1.0 - alpha * np.cos(w))
    basis = np.cos(np.outer(np.arange(mel_cepstrum.shape[-1]), warped))  # (order + 1, bins)
    return np.exp(2.0 * mel_cepstrum @ basis)
