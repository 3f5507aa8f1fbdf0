"""Features of speech, the same numbers as the training front ends compute, on a CPU or a GPU in batches.

Legend: B utterances of a batch, T samples, F frames, K bins of a spectrum, M mel bands, P order of prediction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

KINDS = ("logmel", "mfcc", "spectrogram", "energy", "rms", "lpc", "envelope", "f0")


@dataclass(frozen=True)
class Features:
    """What is extracted; names and defaults are those of ESPnet's ASR front end where it has them.

    A frame k is centred at sample k * hop_length; there are T // hop_length + 1 of them, edges mirrored.

    Attributes:
        kind: logmel (M); mfcc (n_mfcc, the orthonormal DCT of logmel); spectrogram (K, amplitudes); energy (1, root of
            the summed power, FastSpeech2's); rms (1, of the samples under the window's length); lpc (1 + P: gain and
            coefficients a1..aP of x[t] + a1 x[t-1] + ... = gain e[t]); envelope (K, natural log of the amplitude of
            that filter); f0 (1, in Hz, 0 = unvoiced).
        fs: sampling rate in Hz.
        n_fft: samples of a Fourier transform.
        win_length: samples of the window; None = n_fft.
        hop_length: samples from frame to frame.
        window: hann, hamming, blackman, or None.
        n_mels: bands, 80 to 128 are usual.
        fmin, fmax: edges of the bands in Hz; None = 0 and fs / 2.
        htk: HTK's mel scale instead of Slaney's.
        power: bands add up amplitude ** power: 2 in ASR, 1 in TTS.
        log_base: None = e (ASR), 10 (TTS) or 2.
        n_mfcc: cepstral coefficients.
        order: of linear prediction; about fs / 1000 + 2.
        f0_method: see espnet_ext.audio.f0.
        f0_low, f0_high: the range in Hz.
    """

    kind: str = "logmel"
    fs: int = 16000
    n_fft: int = 512
    win_length: int | None = None
    hop_length: int = 128
    window: str | None = "hann"
    n_mels: int = 80
    fmin: float | None = None
    fmax: float | None = None
    htk: bool = False
    power: int = 2
    log_base: float | None = None
    n_mfcc: int = 20
    order: int = 18
    f0_method: str = "dio"
    f0_low: float = 71.0
    f0_high: float = 800.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"features: found {self.kind!r}, expected {', '.join(KINDS)}")
        self._check_types()
        if not 0 < self.width <= self.n_fft or self.hop_length < 1:
            raise UserError(
                f"features: found win_length={self.width}, n_fft={self.n_fft}, hop_length={self.hop_length}, "
                "expected 1 <= win_length <= n_fft and 1 <= hop_length"
            )
        self._check_numbers()
        if self.power not in (1, 2) or self.log_base not in (None, 2, 10):
            raise UserError(
                f"features: found power={self.power}, log_base={self.log_base}, expected power 1 or 2 and base 2, 10 "
                "or none (e)"
            )

    def _check_types(self) -> None:
        optional = {"win_length", "window", "fmin", "fmax", "log_base"}
        numbers = {"fmin", "fmax", "log_base", "f0_low", "f0_high"}
        for field in fields(self):
            value = getattr(self, field.name)
            kind: Any = type(field.default) if field.default is not None else int
            kind = int | float if field.name in numbers else kind
            right = isinstance(value, kind) and isinstance(value, bool) == (field.name == "htk")
            if not right and not (value is None and field.name in optional):
                what = {int: "a whole number", str: "a name", bool: "true or false"}
                raise UserError(
                    f"features: found {field.name}={value!r}, expected {what.get(kind, 'a number')}"
                )

    def _check_numbers(self) -> None:
        high = min(self.fs / 2, self.fmax or self.fs / 2)
        whole = (self.fs, self.n_mels, self.n_mfcc, self.order)
        if min(whole) < 1 or (self.kind == "mfcc" and self.n_mfcc > self.n_mels):
            raise UserError(
                f"features: found fs={self.fs}, n_mels={self.n_mels}, n_mfcc={self.n_mfcc}, order={self.order}, "
                "expected 1 or more of each, and n_mfcc <= n_mels"
            )
        if not 0 <= (self.fmin or 0) < high or not 0 < self.f0_low < self.f0_high:
            raise UserError(
                f"features: found fmin={self.fmin}, fmax={self.fmax}, f0_low={self.f0_low}, f0_high={self.f0_high}, "
                f"expected 0 <= fmin < fmax, fmin < fs / 2 = {self.fs / 2:g}, and 0 < f0_low < f0_high"
            )
        if self.window not in ("hann", "hamming", "blackman", None):
            raise UserError(
                f"features: found window={self.window!r}, expected hann, hamming, blackman or none"
            )

    @property
    def width(self) -> int:
        """Samples of the window."""
        return self.n_fft if self.win_length is None else self.win_length

    def frames(self, samples: int) -> int:
        """How many frames so many samples give."""
        return samples // self.hop_length + 1


#: What ESPnet's LogMelFbank says where a configuration does not.
TTS = {"n_fft": 1024, "hop_length": 256, "fmin": 80, "fmax": 7600, "power": 1, "log_base": 10.0}


def hertz(fs: object) -> int:
    """A rate as ESPnet's front ends take it: 16000, "16k" or "16 kHz", in Hz.

    Raises:
        UserError: for anything else.
    """
    number = re.fullmatch(r"(\d+(?:\.\d+)?) *(k?)(?:Hz)?", str(fs), re.IGNORECASE)
    if not number:
        raise UserError(f"fs: found {fs!r}, expected Hz such as 16000 or 16k")
    return round(float(number[1]) * (1000 if number[2] else 1))


def features_of_model(config: Mapping[str, Any]) -> Features:
    """The features that a model's config.yaml trains on.

    Args:
        config: with `frontend: default` (ASR) or `feats_extract: fbank` (TTS).

    Raises:
        UserError: for another front end.
    """
    if config.get("frontend", "") == "default":
        given = dict(config.get("frontend_conf") or {})
    elif config.get("feats_extract", "") == "fbank":
        given = {**TTS, **(config.get("feats_extract_conf") or {})}
    else:
        found = config.get("frontend", config.get("feats_extract"))
        raise UserError(
            f"features of a model: found the front end {found!r}, expected frontend: default or feats_extract: fbank"
        )
    if "fs" in given:
        given["fs"] = hertz(given["fs"])
    known = {field.name for field in fields(Features)}
    fixed = {"center": True, "normalized": False, "onesided": True, "apply_stft": True}
    for name, value in given.items():
        if name not in known and name != "frontend_conf" and fixed.get(name) != value:
            raise UserError(f"features of a model: found {name}={value!r}, which is not supported")
    return Features(**{name: value for name, value in given.items() if name in known})


def extract(
    waves: Sequence[np.ndarray], options: Features = Features(), device: str = "cpu"
) -> list[np.ndarray]:
    """Features of utterances, computed as one batch; each gets what it would get alone.

    Args:
        waves: (T,) float32 in [-1, 1] at `options.fs`; T > n_fft / 2.
        options: what.
        device: where, "cpu" or "cuda".

    Returns:
        (F, D) float32 for each, F = T // hop_length + 1.

    Raises:
        UserError: for an utterance that is too short to be mirrored at its edges.
    """
    import torch

    if options.kind == "f0":
        return [_f0(wave, options) for wave in waves]
    short = [len(wave) for wave in waves if len(wave) <= options.n_fft // 2]
    if short:
        raise UserError(
            f"features: found {short[0]} samples, expected more than n_fft / 2 = {options.n_fft // 2}: remove "
            "utterances that short (filter_data)"
        )
    counts = [options.frames(len(wave)) for wave in waves]
    with torch.inference_mode():
        batch = _compute(_padded(waves, options, device), options).cpu().numpy()
    return [rows[:count].copy() for rows, count in zip(batch, counts, strict=True)]


def _f0(wave: np.ndarray, options: Features) -> np.ndarray:
    from espnet_ext.audio.f0 import F0, track

    shift = options.hop_length / options.fs
    how = F0(options.f0_method, shift, options.f0_low, options.f0_high)
    return track(wave, options.fs, how)[:, None]


def _padded(waves: Sequence[np.ndarray], options: Features, device: str) -> Tensor:
    """(B, T + n_fft): each mirrored (for rms: silent) at its own edges, so that its neighbours do not matter."""
    import numpy as np
    import torch

    half = options.n_fft // 2
    batch = np.zeros((len(waves), max(map(len, waves)) + 2 * half), np.float32)
    mode: Any = "constant" if options.kind == "rms" else "reflect"
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave) + 2 * half] = np.pad(wave, half, mode=mode)
    return torch.from_numpy(batch).to(device)


def _compute(batch: Tensor, options: Features) -> Tensor:
    """(B, T + n_fft) -> (B, F, D)."""
    if options.kind == "rms":
        return _rms(batch, options)
    if options.kind in ("lpc", "envelope"):
        return _prediction(batch, options)
    power = _power(batch, options)
    if options.kind == "energy":
        return power.sum(2, keepdim=True).clamp(min=1e-10).sqrt()
    if options.kind == "spectrogram":
        return power.sqrt()
    logmel = _logmel(power, options)
    return logmel if options.kind == "logmel" else logmel @ _cosines(options, batch.device)


def _power(batch: Tensor, options: Features) -> Tensor:
    """(B, T + n_fft) -> (B, F, K): squared amplitudes of the short-time Fourier transform."""
    import torch

    window = None
    if options.window is not None:
        if not hasattr(torch, f"{options.window}_window"):
            raise UserError(f"features: found window {options.window!r}, expected e.g. hann")
        window = getattr(torch, f"{options.window}_window")(options.width, device=batch.device)
    spectrum = torch.stft(
        batch,
        options.n_fft,
        options.hop_length,
        options.width,
        window,
        center=False,
        return_complex=True,
    )
    parts = torch.view_as_real(spectrum.transpose(1, 2))
    return parts[..., 0] ** 2 + parts[..., 1] ** 2


def _logmel(power: Tensor, options: Features) -> Tensor:
    """(B, F, K) -> (B, F, M), no less than the log of 1e-10, as ESPnet has it."""
    bands = power.clamp(min=1e-10).sqrt() if options.power == 1 else power
    bands = (bands @ _filters(options, power.device)).clamp(min=1e-10)
    return {0: bands.log, 2: bands.log2, 10: bands.log10}[int(options.log_base or 0)]()


@lru_cache(maxsize=4)
def _filters(options: Features, device: Any) -> Tensor:
    """(K, M)."""
    import torch

    from espnet_ext.audio.mel import mel_filters

    o = options
    filters = mel_filters(o.fs, o.n_fft, o.n_mels, o.fmin or 0.0, o.fmax, o.htk)
    return torch.from_numpy(filters.T.copy()).to(device)


@lru_cache(maxsize=4)
def _cosines(options: Features, device: Any) -> Tensor:
    """(M, n_mfcc): the orthonormal DCT of type II."""
    import torch

    bands = torch.arange(options.n_mels, dtype=torch.float64) + 0.5
    rows = torch.arange(options.n_mfcc, dtype=torch.float64)
    matrix = torch.cos(math.pi / options.n_mels * bands[:, None] * rows)
    matrix *= math.sqrt(2 / options.n_mels)
    matrix[:, 0] /= math.sqrt(2)
    return matrix.float().to(device)


def _frames(batch: Tensor, options: Features) -> Tensor:
    """(B, T + n_fft) -> (B, F, width): the samples under each window."""
    side = (options.n_fft - options.width) // 2
    frames = batch.unfold(1, options.n_fft, options.hop_length)
    return frames[..., side : side + options.width]


def _rms(batch: Tensor, options: Features) -> Tensor:
    """(B, T + n_fft) -> (B, F, 1)."""
    return _frames(batch, options).square().mean(2, keepdim=True).sqrt()


def _prediction(batch: Tensor, options: Features) -> Tensor:
    """Linear prediction by the autocorrelation method (Makhoul 1975): (B, F, 1 + P), or (B, F, K) of envelopes."""
    import torch

    window = torch.hann_window(options.width, device=batch.device)
    size = 1 << (options.width + options.order).bit_length()  # so that the ends do not meet
    spectrum = torch.fft.rfft(_frames(batch, options) * window, size)
    lags = torch.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[..., : options.order + 1]
    gain, coefficients = levinson(lags.double())
    if options.kind == "lpc":
        return torch.cat([gain[..., None], coefficients[..., 1:]], -1).float()
    amplitude = torch.fft.rfft(coefficients, options.n_fft).abs()
    return (gain[..., None].clamp(min=1e-10) / amplitude).log().float()


def levinson(lags: Tensor) -> tuple[Tensor, Tensor]:
    """The Levinson-Durbin recursion.

    Args:
        lags: (..., 1 + P) autocorrelation; a millionth of the first is added to it, so that it is never singular.

    Returns:
        gain (...): root of the power of what prediction leaves, per sample sum; coefficients (..., 1 + P), the
        first is 1.
    """
    import torch

    lags = lags.clone()
    lags[..., 0] = lags[..., 0] * (1 + 1e-6) + 1e-12
    error = lags[..., 0].clone()
    found = torch.zeros_like(lags)
    found[..., 0] = 1
    for p in range(1, lags.shape[-1]):
        reflection = -(found[..., :p] * lags[..., 1 : p + 1].flip(-1)).sum(-1) / error
        found[..., : p + 1] += reflection[..., None] * found[..., : p + 1].flip(-1)
        error = error * (1 - reflection**2)
    return error.clamp(min=0).sqrt(), found


def normalised(
    feats: np.ndarray, mean: np.ndarray | None = None, std: np.ndarray | None = None
) -> np.ndarray:
    """Zero mean and unit variance in each dimension, from given statistics or the utterance's own.

    Args:
        feats: (F, D).
        mean, std: (D,), or None for those of `feats`.
    """
    import numpy as np

    mean = feats.mean(axis=0, dtype=np.float64) if mean is None else mean
    std = feats.std(axis=0, dtype=np.float64) if std is None else std
    # no less than ESPnet's GlobalMVN divides by
    return ((feats - mean) / np.maximum(std, 1e-10)).astype(np.float32)
