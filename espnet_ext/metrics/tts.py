"""How close synthesised speech is to a recording of the same sentence.

Both are analysed by WORLD (pyworld: F0 by DIO and StoneMask, envelope by CheapTrick) every 5 ms
and aligned by exact dynamic time warping on the mel-cepstra c1 ... cM. "On the path" means: for the
pairs of frames that this alignment puts together.

- mcd: mel-cepstral distortion in dB, the mean over the path of 10 / ln 10 sqrt(2 sum over m >= 1 of
  (c_m - c'_m)^2) (R. Kubichek, "Mel-cepstral distance measure for objective speech quality
  assessment", 1993). Orders and warping are those of ESPnet's evaluate_mcd.py; that script takes
  SPTK's mel-cepstra of the windowed signal and counts the energy c0 as well, so its figures are
  not comparable with these.
- mel_correlation: Pearson's correlation over all values (frames on the path times 80 bands) of the
  two log mel spectrograms; band_correlation: in each band over the frames, averaged over the bands.
- lsd: log-spectral distance on the path in dB, levels included; see espnet_ext.metrics.spectra.
- log_f0_rmse: root mean square of the difference of the natural logarithms of F0, over the pairs
  of frames on the path in which both are voiced, as ESPnet's evaluate_f0.py.
- f0_deviation: the mean of |F0 - F0'| / F0' over the same pairs, F0' the recording's, in percent;
  an octave error counts in full.
- f0_correlation: Pearson's correlation of log F0 over the same pairs.
- voicing_error: pairs on the path of which just one is voiced, in percent.
- energy_error: root mean square on the path of the difference of the frames' energies, in dB,
  levels included.
- duration_ratio: length of the synthesised speech over that of the recording.
- duration_error: how far that is from 1, in percent.
- pesq, stoi: of the synthesised speech brought to the recording's timing along the path; see
  espnet_ext.metrics.perceptual.

Where the durations of the tokens are known in both, further:

- token_duration_error: see espnet_ext.metrics.durations.token_error; in percent.
- token_mcd, token_mel_correlation, token_energy_error, token_f0_deviation: as above, with the frames
  put together by these durations, linearly within a token, instead of time warping. Wrong timing of
  a token is no error here either, but nothing is moved within it to look better.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError
from espnet_ext.metrics.dtw import distances, dtw_path
from espnet_ext.metrics.durations import Durations, duration_path, token_error
from espnet_ext.metrics.melcep import parameters, sp2mc
from espnet_ext.metrics.perceptual import pesq, retimed, stoi
from espnet_ext.metrics.spectra import (
    band_correlation,
    energy_error,
    log_spectral_distance,
    mel_correlation,
    power_every,
)

if TYPE_CHECKING:
    import numpy as np

FRAME_MS = 5.0
F0_RANGE = (60.0, 600.0)  # Hz; wider ranges give DIO more octave errors
_SHORTEST = 0.05  # seconds
_DECIBELS = 10.0 / math.log(10.0) * math.sqrt(2.0)  # of a Euclidean distance of mel-cepstra


@dataclass(frozen=True)
class TtsScore:
    """One utterance; None where nothing can be said (no pair of voiced frames, no durations, no package)."""

    mcd: float  # dB
    mel_correlation: float  # -1 ... 1
    band_correlation: float  # -1 ... 1
    lsd: float  # dB
    log_f0_rmse: float | None  # natural logarithm
    f0_deviation: float | None  # percent
    f0_correlation: float | None  # -1 ... 1
    voicing_error: float  # percent
    energy_error: float  # dB
    duration_ratio: float  # synthesised / recorded
    duration_error: float  # percent
    pesq: float | None  # 1 ... 4.6
    stoi: float | None  # 0 ... 1
    token_duration_error: float | None = None  # percent
    token_mcd: float | None = None  # dB
    token_mel_correlation: float | None = None  # -1 ... 1
    token_energy_error: float | None = None  # dB
    token_f0_deviation: float | None = None  # percent
    dnsmos: float | None = None  # 1 ... 5; see espnet_ext.metrics.judges
    utmos: float | None = None  # 1 ... 5
    speaker_similarity: float | None = None  # 0 ... 1
    cer: float | None = None  # percent of the characters; see espnet_ext.metrics.hearing
    wer: float | None = None  # percent of the words
    characters: float | None = None  # that were to be said
    words: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


COLUMNS = tuple(TtsScore.__dataclass_fields__)
METRICS = COLUMNS[:-2]
_BEST_PESQ = {"nb": 4.549, "wb": 4.644}  # where the two standards' curves end


def ideal(rate: int) -> TtsScore:
    """What a recording scores against itself."""
    return TtsScore(
        mcd=0.0,
        mel_correlation=1.0,
        band_correlation=1.0,
        lsd=0.0,
        log_f0_rmse=0.0,
        f0_deviation=0.0,
        f0_correlation=1.0,
        voicing_error=0.0,
        energy_error=0.0,
        duration_ratio=1.0,
        duration_error=0.0,
        pesq=_BEST_PESQ["nb" if rate < 16000 else "wb"],
        stoi=1.0,
    )


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
    power = world.cheaptrick(x, f0, times, rate, f0_floor=F0_RANGE[0])  # lower ones count as 500 Hz
    return f0, sp2mc(np.maximum(power, 1e-16), *parameters(rate))


@dataclass(frozen=True)
class _Speech:
    """A waveform (S,), its F0 (T,), mel-cepstra (T, order + 1) and power spectra (T, bins)."""

    wave: np.ndarray
    f0: np.ndarray
    cepstra: np.ndarray
    power: np.ndarray

    @classmethod
    def of(cls, wave: np.ndarray, rate: int) -> _Speech:
        f0, cepstra = analyse(wave, rate)
        power = power_every(wave, rate, FRAME_MS / 1000.0)
        frames = min(len(f0), len(power))  # they round the last one differently
        return cls(wave, f0[:frames], cepstra[:frames], power[:frames])


def compare(
    hyp: np.ndarray, ref: np.ndarray, rate: int, durations: Durations | None = None
) -> TtsScore:
    """Score synthesised speech against a recording, both (S,) floats at the same `rate` in Hz.

    Args:
        hyp, ref: synthesised, recorded.
        rate: Hz.
        durations: of the tokens in both, where they are known.

    Raises:
        UserError: if one is shorter than 50 ms or pyworld is missing.
    """
    made, real = _Speech.of(hyp, rate), _Speech.of(ref, rate)
    cost = distances(made.cepstra[:, 1:], real.cepstra[:, 1:])
    i, j = dtw_path(cost).T
    rmse, correlation, voicing = compare_f0(made.f0[i], real.f0[j])
    same_time = _to_timing_of(ref, hyp, i, j, rate)
    ratio = len(hyp) / len(ref)
    return TtsScore(
        mcd=_DECIBELS * float(cost[i, j].mean()),
        mel_correlation=mel_correlation(made.power[i], real.power[j], rate),
        band_correlation=band_correlation(made.power[i], real.power[j], rate),
        lsd=log_spectral_distance(made.power[i], real.power[j]),
        log_f0_rmse=rmse,
        f0_deviation=f0_deviation(made.f0[i], real.f0[j]),
        f0_correlation=correlation,
        voicing_error=voicing,
        energy_error=energy_error(made.power[i], real.power[j]),
        duration_ratio=ratio,
        duration_error=100.0 * abs(ratio - 1.0),
        pesq=pesq(same_time, ref, rate),
        stoi=stoi(same_time, ref, rate),
        **_by_durations(made, real, cost, rate, durations),
    )


def _by_durations(
    made: _Speech, real: _Speech, cost: np.ndarray, rate: int, durations: Durations | None
) -> dict[str, Any]:
    """What the durations of the tokens tell; nothing without usable ones."""
    if durations is None or not durations.usable():
        return {}
    i, j = duration_path(durations, len(made.f0), len(real.f0)).T
    return {
        "token_duration_error": token_error(
            durations, len(made.wave) / rate, len(real.wave) / rate
        ),
        "token_mcd": _DECIBELS * float(cost[i, j].mean()),
        "token_mel_correlation": mel_correlation(made.power[i], real.power[j], rate),
        "token_energy_error": energy_error(made.power[i], real.power[j]),
        "token_f0_deviation": f0_deviation(made.f0[i], real.f0[j]),
    }


def _to_timing_of(
    ref: np.ndarray, hyp: np.ndarray, i: np.ndarray, j: np.ndarray, rate: int
) -> np.ndarray:
    """Synthesised speech with the timing of the recording, by a path (L,) of frames of both."""
    import numpy as np

    step = FRAME_MS / 1000.0
    times = (
        np.bincount(j, i) / np.bincount(j) * step
    )  # the mean of the frames put to each recorded one
    return retimed(hyp, times, step, len(ref), rate)


def f0_deviation(hyp: np.ndarray, ref: np.ndarray) -> float | None:
    """Mean of |F0 - F0'| / F0' in percent over the voiced pairs of two aligned contours (L,) in Hz, or None."""
    import numpy as np

    both = (hyp > 0) & (ref > 0)
    if not both.any():
        return None
    return 100.0 * float((np.abs(hyp[both] - ref[both]) / ref[both]).mean())


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


def score_files(utterance: str, hyp: str, ref: str, durations: Durations | None = None) -> TtsScore:
    """Score the audio of two wav.scp entries; the recording is brought to the rate of the other.

    Raises:
        UserError: naming the utterance, if one cannot be read or is too short.
    """
    from espnet_ext.audio.read import load

    samples, rate = load(hyp)
    try:
        return compare(samples, load(ref, rate)[0], rate, durations)
    except UserError as error:
        raise UserError(f"utterance {utterance}, {hyp} against {ref}: {error}") from error
