"""Convolutions that thin the frames before the blocks.

Letters in shapes: B batch, T feature frames, S = about T / subsampling, F features, D model width, N channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.asr.stream import Stream, length_mask


class Thinning(nn.Conv2d):
    """A convolution of kernel 3 over time and features."""

    def forward_chunk(self, x: Tensor, stream: Stream) -> Tensor:
        """The next frames (B, N, T, F) of a stream, with the one before and none after them."""
        whole = stream.join_padded(self, x.transpose(1, 2), 1).transpose(1, 2)
        # only an incomplete chunk, the last, sees the zeros ahead
        ahead = F.pad(whole, (0, 0, 0, 1))
        return F.conv2d(ahead, self.weight, self.bias, self.stride, (0, 1))


class ConvSubsampling(nn.Module):
    """2-D convolutions with few channels that thin frames and features, then a projection.

    ESPnet's conv2d uses as many channels as the model is wide, which costs as much as several encoder blocks
    on a CPU; a few dozen keep the sharing of weights over frequency, which little data needs, at a tenth.

    With every stride 2 or more an output frame sees nothing beyond its own frames, so that a stream needs no
    frames ahead.

    Args:
        size: F.
        width: D.
        strides: over time, one a layer, e.g. (2, 2) for 4x, (2, 3) for 6x, (2, 2, 2) for 8x.
        channels: of every layer.
        dropout: after the projection.

    Raises:
        ValueError: for strides that are none.
    """

    def __init__(
        self, size: int, width: int, strides: tuple[int, ...], channels: int, dropout: float
    ) -> None:
        super().__init__()
        if not strides or not all(isinstance(stride, int) and stride > 0 for stride in strides):
            raise ValueError(
                f"found strides {strides}, expected one or more whole numbers, e.g. 2, 2"
            )
        self.strides, self.factor = strides, math.prod(strides)
        inputs = [1, *[channels] * (len(strides) - 1)]
        self.layers = nn.ModuleList(
            Thinning(n, channels, 3, stride=(s, 2), padding=1)
            for n, s in zip(inputs, strides, strict=True)
        )
        for _ in strides:
            size = (size - 1) // 2 + 1
        self.out = nn.Sequential(
            nn.Linear(channels * size, width), nn.LayerNorm(width), ByteDropout(dropout)
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F) and (B,) -> (B, S, D) and (B,)."""
        x = x[:, None]
        for layer, stride in zip(self.layers, self.strides, strict=True):
            x = F.silu(layer(x * length_mask(lengths, x.shape[2])[:, None, :, None]))
            lengths = torch.div(lengths - 1, stride, rounding_mode="floor") + 1
        return self.out(x.transpose(1, 2).flatten(2)), lengths

    def forward_chunk(self, x: Tensor, stream: Stream) -> Tensor:
        """The next frames (B, T, F) of a stream, without padding -> (B, S, D)."""
        x = x[:, None]
        for layer in self.layers:
            x = F.silu(layer.forward_chunk(x, stream))  # type: ignore[operator]
        return self.out(x.transpose(1, 2).flatten(2))
