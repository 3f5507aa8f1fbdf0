"""Vocos: ConvNeXt blocks at the frames' rate, then an inverse Fourier transform; many times faster than HiFi-GAN.

Names of weights are those of the public `vocos` package. Letters in shapes: B batch, M mel bins, F frames, D width,
T samples = F * hop.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.vocoder.istft import InverseSTFT
from espnet_ext.vocoder.options import Size


class ConvNeXtBlock(nn.Module):
    """A convolution of each channel alone, then two layers across channels (Liu et al. 2022)."""

    def __init__(self, width: int, inner: int, scale: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1, self.pwconv2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.gamma = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, F) -> (B, D, F)."""
        y = self.norm(self.dwconv(x).transpose(1, 2))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.transpose(1, 2)


class Backbone(nn.Module):
    """Mel frames to frames of another width."""

    def __init__(self, in_channels: int, width: int, inner: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Conv1d(in_channels, width, 7, padding=3)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.convnext = nn.ModuleList(
            ConvNeXtBlock(width, inner, 1.0 / blocks) for _ in range(blocks)
        )
        self.final_layer_norm = nn.LayerNorm(width, eps=1e-6)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv1d, nn.Linear)):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, F) -> (B, F, D)."""
        x = self.norm(self.embed(mel).transpose(1, 2)).transpose(1, 2)
        for block in self.convnext:
            x = block(x)
        return self.final_layer_norm(x.transpose(1, 2))


class Head(nn.Module):
    """Log amplitude and phase of every bin from a frame."""

    def __init__(self, width: int, n_fft: int, hop: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, n_fft + 2)
        self.istft = InverseSTFT(n_fft, hop)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, D) -> (B, 1, T)."""
        x = self.out(x).transpose(1, 2)
        with torch.autocast(x.device.type, enabled=False):
            log_amplitude, phase = x.float().chunk(2, dim=1)
            return self.istft(log_amplitude, phase)[:, None]


class Vocos(nn.Module):
    """The generator of Vocos (Siuzdak 2023).

    Args:
        in_channels: mel bins.
        hop_length: samples a frame.
        n_fft: of the head's transform; at least twice hop_length, four times is usual.
        width, inner, blocks: of the ConvNeXt blocks; 512, 1536 and 8 in the paper.

    Raises:
        UserError: for a transform that is too short for the hop.
    """

    def __init__(
        self,
        in_channels: int = 80,
        hop_length: int = 256,
        n_fft: Size = 1024,
        width: Size = 512,
        inner: Size = 1536,
        blocks: Size = 8,
    ) -> None:
        super().__init__()
        if n_fft < 2 * hop_length or n_fft % 2:
            raise UserError(
                f"generator_conf: found n_fft {n_fft}, expected an even number of at least twice hop_length = "
                f"{hop_length}"
            )
        self.hop_length = hop_length
        self.backbone = Backbone(in_channels, width, inner, blocks)
        self.head = Head(width, n_fft, hop_length)

    def forward(self, mel: Tensor, g: Tensor | None = None) -> Tensor:
        """(B, M, F) -> (B, 1, T)."""
        return self.head(self.backbone(mel))
