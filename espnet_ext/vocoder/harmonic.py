"""A Vocos whose phases follow the pitch: harmonics plus noise, for a vocoder that has minutes to learn.

A plain Vocos has to learn from nothing how the phase of every bin goes on from frame to frame. Here the phase of a
voiced frame is that of the nearest harmonic of an F0 that a small network reads off the spectrogram (after the
source-filter idea of Wang et al. 2019 and HiFTNet, Li et al. 2023, with the source made in the spectrum); what is left
to learn are amplitudes, small corrections of the phase, and how much of each bin is noise.
Letters in shapes: B batch, M mel bins, F frames, D width, K bins of the transform, T samples = F * hop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.vocoder.istft import InverseSTFT, polar
from espnet_ext.vocoder.options import Size
from espnet_ext.vocoder.vocos import Backbone

_MIDDLE = math.log(150.0)  # Hz, where the estimate of F0 begins


class PitchReader(nn.Module):
    """F0 and voicing of each frame from the spectrogram."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(in_channels, width, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(width, width, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(width, 2, 1),
        )

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, M, F) -> natural logarithm of F0 in Hz and the logit of being voiced, (B, F) each."""
        log_f0, voiced = self.layers(mel).float().unbind(1)
        return _MIDDLE + log_f0.clamp(-1.5, 2.0), voiced


class HarmonicVocos(nn.Module):
    """Backbone of Vocos, phases of harmonics.

    Args:
        in_channels: mel bins.
        hop_length: samples a frame.
        rate: Hz.
        n_fft: of the transform; at least twice hop_length.
        width, inner, blocks: of the ConvNeXt blocks.
        pitch_width: of the network that reads F0.

    Raises:
        UserError: for a transform that is too short for the hop.
    """

    needs_f0 = True

    def __init__(
        self,
        in_channels: int = 80,
        hop_length: int = 256,
        rate: int = 22050,
        n_fft: Size = 1024,
        width: Size = 256,
        inner: Size = 768,
        blocks: Size = 6,
        pitch_width: Size = 128,
    ) -> None:
        super().__init__()
        if n_fft < 2 * hop_length or n_fft % 2:
            raise UserError(
                f"generator_conf: found n_fft {n_fft}, expected an even number of at least twice hop_length = "
                f"{hop_length}"
            )
        self.rate, self.hop_length, self.n_fft = rate, hop_length, n_fft
        self.pitch = PitchReader(in_channels, pitch_width)
        self.backbone = Backbone(in_channels, width, inner, blocks)
        self.out = nn.Linear(width, 3 * (n_fft // 2 + 1))
        self.istft = InverseSTFT(n_fft, hop_length)

    def forward(self, mel: Tensor, g: Tensor | None = None, f0: Tensor | None = None) -> Tensor:
        """(B, M, F), F0 (B, F) in Hz with 0 = unvoiced (None = read off) -> (B, 1, T)."""
        if f0 is None:
            log_f0, voiced = self.pitch(mel)
            f0 = torch.where(voiced > 0, log_f0.exp(), 0.0)
        x = self.out(self.backbone(mel)).transpose(1, 2)
        with torch.autocast(x.device.type, enabled=False):
            harmonic, shift, noise = x.float().chunk(3, dim=1)
            random = self._random(noise)
            phase = torch.where(f0[:, None] > 0, self.phases(f0), random) + shift
            spectrum = polar(harmonic, phase) + polar(noise, random)
            return self.istft.wave(spectrum)[:, None]

    def phases(self, f0: Tensor) -> Tensor:
        """(B, F) in Hz -> (B, K, F): what the nearest harmonic's phase is in each bin of a centred frame."""
        steps = (f0 + f0.roll(1, dims=1)).double() * (math.pi * self.hop_length / self.rate)
        steps[:, 0] = 0
        turned = torch.remainder(steps.cumsum(1), 2 * math.pi).float()
        bins = torch.arange(self.n_fft // 2 + 1, device=f0.device)[None, :, None]
        number = torch.round(bins * (self.rate / self.n_fft) / f0.clamp(min=20.0)[:, None])
        return number.clamp(min=1.0) * turned[:, None] + math.pi * (bins % 2)

    def _random(self, like: Tensor) -> Tensor:
        """Phases of noise; the same every time when it is not trained."""
        if self.training:
            return 2 * math.pi * torch.rand_like(like)
        drawn = torch.Generator().manual_seed(0)
        shape = (like.shape[2], like.shape[1])  # a longer spectrogram begins with the same noise
        return (2 * math.pi * torch.rand(shape, generator=drawn)).T[None].to(like.device)

    def f0_loss(self, mel: Tensor, f0: Tensor) -> Tensor:
        """How wrong F0 and voicing are that are read off (B, M, F), against (B, F) in Hz."""
        log_f0, voiced = self.pitch(mel)
        is_voiced = (f0 > 0).float()
        wrong = (log_f0 - f0.clamp(min=20.0).log()).abs() * is_voiced
        judged = F.binary_cross_entropy_with_logits(voiced, is_voiced)
        return 10.0 * wrong.sum() / is_voiced.sum().clamp(min=1.0) + judged
