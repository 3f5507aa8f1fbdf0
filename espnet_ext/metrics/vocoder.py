"""How close speech made of a recording's own spectrogram is to that recording: frame against frame, no warping.

- mcd: mel-cepstral distortion in dB over WORLD's envelopes, as in espnet_ext.metrics.tts.
- lsd: log-spectral distance in dB (Gray and Markel 1976): over the bins of a 1024-point Fourier transform (hop 256)
  the root mean square of the difference of 10 log10 of the powers, averaged over frames. Powers are held above a
  millionth of the recording's largest, so that digital silence does not decide.
- mel_correlation: Pearson correlation of all entries of the two log mel spectrograms (80 bands).
- log_f0_rmse, voicing_error: as in espnet_ext.metrics.tts.
- pesq: ITU-T P.862.2 (wide band, 16 kHz; P.862 at 8 kHz), by the package pesq.
- stoi: short-time objective intelligibility (Taal et al. 2011), by the package pystoi.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError
from espnet_ext.metrics.tts import analyse, compare_f0

if TYPE_CHECKING:
    import numpy as np

_N_FFT, _HOP, _BANDS = 1024, 256, 80
_RANGE = 1e-6  # of the largest power: 60 dB below


@dataclass(frozen=True)
class VocoderScore:
    """One utterance; None where nothing can be said or a package is missing."""

    mcd: float  # dB
    lsd: float  # dB
    mel_correlation: float  # -1 ... 1
    log_f0_rmse: float | None  # natural logarithm
    voicing_error: float  # percent
    pesq: float | None  # 1 ... 4.6
    stoi: float | None  # 0 ... 1

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


METRICS = tuple(VocoderScore.__dataclass_fields__)


def compare(hyp: np.ndarray, ref: np.ndarray, rate: int) -> VocoderScore:
    """Score speech made of a recording's spectrogram against it, both (S,) floats at the same `rate` in Hz.

    The longer one is cut: a vocoder makes whole frames.

    Raises:
        UserError: if what both have is shorter than 50 ms or a window, or pyworld is missing.
    """
    import numpy as np

    length = min(len(hyp), len(ref))
    if length < _N_FFT:
        raise UserError(f"found {length} samples in common, expected at least {_N_FFT}")
    hyp, ref = (np.asarray(x[:length], dtype=np.float64) for x in (hyp, ref))
    (hyp_f0, hyp_mc), (ref_f0, ref_mc) = analyse(hyp, rate), analyse(ref, rate)
    distance = np.sqrt(2.0 * ((hyp_mc[:, 1:] - ref_mc[:, 1:]) ** 2).sum(1))
    rmse, _, voicing = compare_f0(hyp_f0, ref_f0)
    made, recorded = _power(hyp), _power(ref)
    return VocoderScore(
        10.0 / math.log(10.0) * float(distance.mean()),
        log_spectral_distance(made, recorded),
        mel_correlation(made, recorded, rate),
        rmse,
        voicing,
        pesq(hyp, ref, rate),
        stoi(hyp, ref, rate),
    )


def _power(wave: np.ndarray) -> np.ndarray:
    """Squared amplitudes of the short-time Fourier transform, (frames, bins)."""
    import numpy as np

    window = np.hanning(_N_FFT + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(wave, _N_FFT)[::_HOP]
    return np.abs(np.fft.rfft(frames * window, axis=1)) ** 2


def log_spectral_distance(hyp: np.ndarray, ref: np.ndarray) -> float:
    """In dB, of two power spectrograms (frames, bins)."""
    import numpy as np

    floor = max(float(ref.max()) * _RANGE, 1e-20)
    difference = 10.0 * np.log10(np.maximum(hyp, floor) / np.maximum(ref, floor))
    return float(np.sqrt((difference**2).mean(1)).mean())


def mel_correlation(hyp: np.ndarray, ref: np.ndarray, rate: int) -> float:
    """Of the log mel spectrograms of two power spectrograms (frames, bins); 0 where one is constant."""
    import numpy as np

    from espnet_ext.audio.mel import mel_filters

    filters = mel_filters(rate, _N_FFT, _BANDS).T
    floor = max(float(ref.max()) * _RANGE, 1e-20)
    a, b = (np.log(np.maximum(x, floor) @ filters + 1e-20).ravel() for x in (hyp, ref))
    spread = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / spread if spread > 1e-12 else 0.0


def pesq(hyp: np.ndarray, ref: np.ndarray, rate: int) -> float | None:
    """None where the package is not installed or finds no speech."""
    try:
        from pesq import PesqError
        from pesq import pesq as measure
    except ImportError:
        return None
    wanted = 8000 if rate < 16000 else 16000
    pair = [_resampled(x, rate, wanted) for x in (ref, hyp)]
    try:
        return float(measure(wanted, *pair, "nb" if wanted == 8000 else "wb"))
    except (PesqError, ValueError):
        return None


def stoi(hyp: np.ndarray, ref: np.ndarray, rate: int) -> float | None:
    """None where the package is not installed or the utterance too short."""
    try:
        from pystoi import stoi as measure
    except ImportError:
        return None
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # how it says "too short"
        try:
            return float(measure(ref, hyp, rate))
        except (RuntimeWarning, ValueError):
            return None


def _resampled(wave: np.ndarray, rate: int, wanted: int) -> Any:
    import soxr

    return wave if rate == wanted else soxr.resample(wave, rate, wanted)


def score_files(utterance: str, hyp: str, ref: str) -> VocoderScore:
    """Score the audio of two wav.scp entries; the recording is brought to the rate of the other.

    Raises:
        UserError: naming the utterance, if one cannot be read or is too short.
    """
    from espnet_ext.audio.read import load

    samples, rate = load(hyp)
    try:
        return compare(samples, load(ref, rate)[0], rate)
    except UserError as error:
        raise UserError(f"utterance {utterance}, {hyp} against {ref}: {error}") from error


def values(scores: Sequence[VocoderScore], metric: str) -> list[float]:
    """What is known of one metric."""
    found = (getattr(score, metric) for score in scores)
    return [value for value in found if value is not None]
