"""How close speech made of a recording's own spectrogram is to that recording: frame against frame, no warping.

- mcd: mel-cepstral distortion in dB over WORLD's envelopes, as in espnet_ext.metrics.tts.
- lsd, mel_correlation: log-spectral distance in dB, Pearson's correlation of all values of the log mel spectrograms
  (80 bands); see espnet_ext.metrics.spectra.
- log_f0_rmse, f0_deviation, voicing_error: as in espnet_ext.metrics.tts.
- pesq, stoi: see espnet_ext.metrics.perceptual.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from espnet_ext.errors import UserError
from espnet_ext.metrics.perceptual import pesq, stoi
from espnet_ext.metrics.spectra import N_FFT, log_spectral_distance, mel_correlation, power
from espnet_ext.metrics.tts import analyse, compare_f0, f0_deviation
from espnet_ext.metrics.tts import ideal as recording

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class VocoderScore:
    """One utterance; None where nothing can be said or a package is missing."""

    mcd: float  # dB
    lsd: float  # dB
    mel_correlation: float  # -1 ... 1
    log_f0_rmse: float | None  # natural logarithm
    f0_deviation: float | None  # percent
    voicing_error: float  # percent
    pesq: float | None  # 1 ... 4.6
    stoi: float | None  # 0 ... 1

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


METRICS = tuple(VocoderScore.__dataclass_fields__)


def ideal(rate: int) -> VocoderScore:
    """What a recording scores against itself."""
    best = recording(rate).as_dict()
    return VocoderScore(**{metric: best[metric] for metric in METRICS})  # type: ignore[arg-type]


def compare(hyp: np.ndarray, ref: np.ndarray, rate: int) -> VocoderScore:
    """Score speech made of a recording's spectrogram against it, both (S,) floats at the same `rate` in Hz.

    The longer one is cut: a vocoder makes whole frames.

    Raises:
        UserError: if what both have is shorter than 50 ms or a window, or pyworld is missing.
    """
    import numpy as np

    length = min(len(hyp), len(ref))
    if length < N_FFT:
        raise UserError(f"found {length} samples in common, expected at least {N_FFT}")
    hyp, ref = (np.asarray(x[:length], dtype=np.float64) for x in (hyp, ref))
    (hyp_f0, hyp_mc), (ref_f0, ref_mc) = analyse(hyp, rate), analyse(ref, rate)
    distance = np.sqrt(2.0 * ((hyp_mc[:, 1:] - ref_mc[:, 1:]) ** 2).sum(1))
    rmse, _, voicing = compare_f0(hyp_f0, ref_f0)
    made, recorded = power(hyp), power(ref)
    return VocoderScore(
        10.0 / math.log(10.0) * float(distance.mean()),
        log_spectral_distance(made, recorded),
        mel_correlation(made, recorded, rate),
        rmse,
        f0_deviation(hyp_f0, ref_f0),
        voicing,
        pesq(hyp, ref, rate),
        stoi(hyp, ref, rate),
    )


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
