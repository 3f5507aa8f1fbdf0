"""The mel spectrogram as a layer: the front end's numbers, with gradients.

Letters in shapes: B batch, T samples, F frames, M mel bins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from espnet_ext.audio.features import Features
from espnet_ext.audio.mel import mel_filters

_FLOOR = 1e-10  # ESPnet's


class LogMel(nn.Module):
    """What `espnet_ext.audio.features.extract` computes of kind logmel.

    Args:
        features: of the front end.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, features: Features) -> None:
        super().__init__()
        f = self.features = features
        make = torch.ones if f.window is None else getattr(torch, f"{f.window}_window")
        self.register_buffer("window", make(f.width), persistent=False)
        filters = mel_filters(f.fs, f.n_fft, f.n_mels, f.fmin or 0.0, f.fmax, f.htk)
        self.register_buffer("filters", torch.from_numpy(filters.T.copy()), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """(B, T + n_fft), samples with n_fft / 2 more on either side -> (B, M, F), F = T // hop + 1."""
        f = self.features
        with torch.autocast(wave.device.type, enabled=False):
            found = torch.stft(
                wave.float(),
                f.n_fft,
                f.hop_length,
                f.width,
                self.window,
                center=False,
                return_complex=True,
            )
            power = found.real**2 + found.imag**2
            bands = power.clamp(min=_FLOOR).sqrt() if f.power == 1 else power
            mel = (bands.transpose(1, 2) @ self.filters).clamp(min=_FLOOR).log()
            return mel.transpose(1, 2) / (math.log(f.log_base) if f.log_base else 1.0)

    def centred(self, wave: Tensor) -> Tensor:
        """(B, T), mirrored at its edges -> (B, M, T // hop + 1)."""
        half = self.features.n_fft // 2
        return self(nn.functional.pad(wave[:, None], (half, half), "reflect")[:, 0])
