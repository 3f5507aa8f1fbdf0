"""How close synthesised speech is to a recording of the same sentence.

Both are analysed by WORLD (pyworld: F0 by DIO and StoneMask, envelope by CheapTrick) every 5 ms
and aligned by exact dynamic time warping on the mel-cepstra c1 ... cM.

- mcd: mel-cepstral distortion in dB, the mean over the path of 10 / ln 10 sqrt(2 sum over m >= 1 of
  (c_m - c'_m)^2) (R. Kubichek, "Mel-cepstral distance measure for objective speech quality
  assessment", 1993). Orders and warping are those of ESPnet's evaluate_mcd.py; that script takes
  SPTK's mel-cepstra of the windowed signal and counts the energy c0 as well, so its figures are
  not comparable with these.
- log_f0_rmse: root mean square of the difference of the natural logarithms of F0, over the pairs
  of frames on the path in which both are voiced, as ESPnet's evaluate_f0.py.
- f0_correlation: Pearson correlation of log F0 over the same pairs.
- voicing_error: pairs on the path of which just one is voiced, in percent.
- duration_ratio: length of the synthesised speech over that of the recording.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError
from espnet_ext.metrics.dtw import distances, dtw_path
from espnet_ext.metrics.melcep import parameters, sp2mc

if TYPE_CHECKING:
    import numpy as np

FRAME_MS = 5.0
F0_RANGE = (60.0, 600.0)  # Hz; wider ranges give DIO more octave errors
_SHORTEST = 0.05  # seconds


@dataclass(frozen=True)
class TtsScore:
    """One utterance; None where nothing can be said (no pair of voiced frames)."""

    mcd: float  # dB
    log_f0_rmse: float | None  # natural logarithm
    f0_correlation: float | None  # -1 ... 1
    voicing_error: float  # percent
    duration_ratio: float  # synthesised / recorded

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


METRICS = tuple(TtsScore.__dataclass_fields__)


def _pyworld() -> Any:
    try:
        with warnings.catch_warnings():  # pkg_resources is deprecated
            warnings.simplefilter("ignore")
            import pyworld
    except ImportError as error:
        raise UserError(
            f"scoring speech needs pyworld, found no module {error.name}; run "
            "`pip install pyworld` (it needs setuptools below 82)"
        ) from error
    return pyworld


def analyse(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """WORLD analysis of a waveform.

    Args:
        samples: (S,), floats in [-1, 1].
        rate: Hz.

    Returns:
        F0 (T,) in Hz, 0 where unvoiced, and mel-cepstra (T, order + 1), T = S / rate / 5 ms + 1.

    Raises:
        UserError: if the waveform is shorter than 50 ms or pyworld is missing.
    """
    import numpy as np

    if len(samples) < _SHORTEST * rate:
        raise UserError(
            f"found {len(samples)} samples at {rate} Hz, expected at least {_SHORTEST} s of speech"
        )
    world = _pyworld()
    x = np.ascontiguousarray(samples, dtype=np.float64)
    coarse, times = world.dio(x, rate, *F0_RANGE, frame_period=FRAME_MS)
    f0 = world.stonemask(x, coarse, times, rate)
    power = world.cheaptrick(x, f0, times, rate)
    return f0, sp2mc(np.maximum(power, 1e-16), *parameters(rate))


def compare(hyp: np.ndarray, ref: np.ndarray, rate: int) -> TtsScore:
    """Score synthesised speech against a recording, both (S,) floats at the same `rate` in Hz.

    Raises:
        UserError: if one is shorter than 50 ms or pyworld is missing.
    """
    hyp_f0, hyp_mc = analyse(hyp, rate)
    ref_f0, ref_mc = analyse(ref, rate)
    cost = distances(hyp_mc[:, 1:], ref_mc[:, 1:])
    i, j = dtw_path(cost).T
    mcd = 10.0 / math.log(10.0) * math.sqrt(2.0) * float(cost[i, j].mean())
    rmse, correlation, voicing = compare_f0(hyp_f0[i], ref_f0[j])
    return TtsScore(mcd, rmse, correlation, voicing, len(hyp) / len(ref))


def compare_f0(hyp: np.ndarray, ref: np.ndarray) -> tuple[float | None, float | None, float]:
    """Log-F0 RMSE, log-F0 correlation and voicing error (%) of two aligned contours (L,) in Hz."""
    import numpy as np

    both = (hyp > 0) & (ref > 0)
    voicing = 100.0 * float(((hyp > 0) != (ref > 0)).mean())
    if not both.any():
        return None, None, voicing
    a, b = np.log(hyp[both]), np.log(ref[both])
    rmse = float(np.sqrt(((a - b) ** 2).mean()))
    spread = float(a.std() * b.std())
    if spread < 1e-12:
        return rmse, None, voicing
    return rmse, float(((a - a.mean()) * (b - b.mean())).mean()) / spread, voicing


def score_files(utterance: str, hyp: str, ref: str) -> TtsScore:
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


def values(scores: Sequence[TtsScore], metric: str) -> list[float]:
    """What is known of one metric."""
    found = (getattr(score, metric) for score in scores)
    return [value for value in found if value is not None]
