"""Parallel WaveGAN: noise becomes speech in one pass of a WaveNet without memory (Yamamoto et al. 2020).

Names of weights are those of ParallelWaveGAN and espnet2.gan_tts.parallel_wavegan, so that their checkpoints load here.
Letters in shapes: B batch, M mel bins, F frames, C channels, T samples = F * hop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.vocoder.gated import residual, sum_of_skips
from espnet_ext.vocoder.norm import weight_norm
from espnet_ext.vocoder.options import Count, Size, Sizes


class Stretch(nn.Module):
    """Repeats every column of (B, 1, M, L)."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, M, L) -> (B, 1, M, L * scale)."""
        return x.repeat_interleave(self.scale, dim=3)


class Upsample(nn.Module):
    """Mel frames at the rate of the samples: repeated, then smoothed, factor by factor."""

    def __init__(self, scales: Sequence[int]) -> None:
        super().__init__()
        self.up_layers = nn.ModuleList()
        for scale in scales:
            smooth = nn.Conv2d(1, 1, (1, 2 * scale + 1), padding=(0, scale), bias=False)
            nn.init.constant_(smooth.weight, 1.0 / (2 * scale + 1))
            self.up_layers += [Stretch(scale), weight_norm(smooth)]

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, F) -> (B, M, T)."""
        x = mel[:, None]
        for layer in self.up_layers:
            x = layer(x)
        return x[:, 0]


class ConvInUpsample(nn.Module):
    """A convolution that sees some frames on either side, then `Upsample`."""

    def __init__(self, channels: int, context: int, scales: Sequence[int]) -> None:
        super().__init__()
        self.context = context
        self.conv_in = weight_norm(nn.Conv1d(channels, channels, 2 * context + 1, bias=False))
        self.upsample = Upsample(scales)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, F) -> (B, M, T)."""
        return self.upsample(self.conv_in(F.pad(mel, (self.context, self.context), "replicate")))


class Gated(nn.Module):
    """A dilated convolution with WaveNet's gate, conditioned on the spectrogram."""

    def __init__(self, channels: int, gate: int, skip: int, mel: int, dilation: int) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(channels, gate, 3, padding=dilation, dilation=dilation))
        self.conv1x1_aux = weight_norm(nn.Conv1d(mel, gate, 1, bias=False))
        self.conv1x1_out = weight_norm(nn.Conv1d(gate // 2, channels + skip, 1))

    def forward(self, x: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T), (B, M, T) -> (B, C, T) for the next one, (B, skip, T) for the sum."""
        return residual(x, self.conv(x) + self.conv1x1_aux(mel), self.conv1x1_out)


class ParallelWaveGAN(nn.Module):
    """The generator.

    Args:
        in_channels: mel bins.
        hop_length: samples a frame; the scales multiply to it.
        layers, stacks: gated convolutions, and how often their dilations begin again at 1.
        residual_channels, gate_channels, skip_channels: sizes.
        context: frames that are seen on either side before upsampling.
        upsample_scales: factors.

    Raises:
        UserError: for sizes that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 80,
        hop_length: int = 256,
        layers: Size = 30,
        stacks: Size = 3,
        residual_channels: Size = 64,
        gate_channels: Size = 128,
        skip_channels: Size = 64,
        context: Count = 2,
        upsample_scales: Sizes = (4, 4, 4, 4),
    ) -> None:
        super().__init__()
        if math.prod(upsample_scales) != hop_length or layers % stacks:
            raise UserError(
                f"generator_conf: found upsample_scales {list(upsample_scales)}, {layers} layers in {stacks} stacks, "
                f"expected the product hop_length = {hop_length} and as many layers in each stack"
            )
        self.hop_length = hop_length
        self.first_conv = weight_norm(nn.Conv1d(1, residual_channels, 1))
        self.upsample_net = ConvInUpsample(in_channels, context, upsample_scales)
        self.conv_layers = nn.ModuleList(
            Gated(
                residual_channels,
                gate_channels,
                skip_channels,
                in_channels,
                2 ** (number % (layers // stacks)),
            )
            for number in range(layers)
        )
        last = [weight_norm(nn.Conv1d(skip_channels, size, 1)) for size in (skip_channels, 1)]
        self.last_conv_layers = nn.ModuleList([nn.ReLU(), last[0], nn.ReLU(), last[1]])

    def forward(self, mel: Tensor, g: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """(B, M, F), noise (B, 1, T) (None = drawn) -> (B, 1, T)."""
        mel_now = self.upsample_net(mel)
        x = self.first_conv(self._noise(mel_now) if noise is None else noise)
        x = sum_of_skips(self.conv_layers, x, mel_now)
        for layer in self.last_conv_layers:
            x = layer(x)
        return x

    def _noise(self, like: Tensor) -> Tensor:
        """(B, 1, T), the same every time and for each of a batch when it is not trained."""
        if self.training:
            return torch.randn(len(like), 1, like.shape[2], device=like.device)
        drawn = torch.randn(1, 1, like.shape[2], generator=torch.Generator().manual_seed(0))
        return drawn.to(like.device).expand(len(like), -1, -1)
