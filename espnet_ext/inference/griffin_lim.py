"""Waveform from a log-mel spectrogram without a trained vocoder (Griffin-Lim with momentum)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espnet_ext.errors import UserError


class GriffinLim:
    """Fast Griffin-Lim (Perraudin et al. 2013) on the pseudo-inverse of the mel filters.

    Args:
        mel: filters (F, M): F = n_fft / 2 + 1 frequencies, M mel bins.
        n_fft, hop, win: of the analysis, in samples.
        log_base: of the spectrogram's logarithm; None = natural.
        iterations: more is cleaner; 32 is enough for a magnitude that is itself a prediction.
        momentum: 0 gives the original algorithm (Griffin and Lim 1984).
        window: of the analysis, "hann", "hamming", ...; None = none.
    """

    def __init__(
        self,
        mel: Tensor,
        n_fft: int,
        hop: int,
        win: int | None = None,
        log_base: float | None = 10.0,
        iterations: int = 32,
        momentum: float = 0.99,
        window: str | None = "hann",
    ) -> None:
        self.inverse = torch.linalg.pinv(mel.double()).float()
        self.n_fft, self.hop, self.win = n_fft, hop, win or n_fft
        self.base = log_base if log_base is not None else 2.718281828459045
        self.iterations, self.momentum = iterations, momentum
        make = torch.ones if window is None else getattr(torch, f"{window}_window")
        self.window: Tensor = make(self.win)

    def magnitude(self, log_mel: Tensor) -> Tensor:
        """(T, M) -> linear magnitude (F, T), never negative."""
        return (self.base ** log_mel.float() @ self.inverse).clamp(min=1e-8).T

    def __call__(self, log_mel: Tensor) -> Tensor:
        """Log-mel (T, M) -> waveform ((T - 1) * hop,), float, not normalised; the same every time."""
        frames = len(log_mel)
        least = self.n_fft // self.hop + 2  # the analysis reflects half a window at either end
        if frames < least:
            log_mel = torch.cat((log_mel, log_mel[-1:].expand(least - frames, -1)))
        magnitude = self.magnitude(log_mel)
        generator = torch.Generator().manual_seed(0)
        phase = 2 * torch.pi * torch.rand(magnitude.shape, generator=generator)
        angles = torch.polar(torch.ones_like(phase), phase)
        previous = torch.zeros_like(angles)
        for _ in range(self.iterations):
            rebuilt = self._analyse(self._synthesise(magnitude * angles))
            angles = rebuilt - self.momentum / (1 + self.momentum) * previous
            angles, previous = angles / angles.abs().clamp(min=1e-16), rebuilt
        return self._synthesise(magnitude * angles)[: max(frames - 1, 0) * self.hop]

    def _analyse(self, wave: Tensor) -> Tensor:
        return torch.stft(wave, self.n_fft, self.hop, self.win, self.window, return_complex=True)

    def _synthesise(self, spectrum: Tensor) -> Tensor:
        return torch.istft(spectrum, self.n_fft, self.hop, self.win, self.window)


def made_for(extract: Any, iterations: int) -> GriffinLim:
    """What speaks the spectrograms of a synthesiser's front end, ESPnet's log-mel filter bank.

    Raises:
        UserError: if it has another.
    """
    if extract is None or not hasattr(extract, "logmel"):
        raise UserError(
            "found no log-mel front end in the model, expected feats_extract: fbank for Griffin-Lim"
        )
    settings = extract.get_parameters()
    return GriffinLim(
        extract.logmel.melmat.cpu(),
        settings["n_fft"],
        settings["n_shift"],
        settings["win_length"],
        log_base=extract.logmel.log_base,
        window=settings["window"],
        iterations=iterations,
    )
