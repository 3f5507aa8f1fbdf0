"""CNN front end + Conformer or Transformer blocks, light enough for a CPU.

Letters in shapes: B batch, T feature frames, S = about T / subsampling, F features, D model width.
"""

from __future__ import annotations

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import Tensor, nn

from espnet_ext.asr.blocks import (
    ConvolutionModule,
    FeedForward,
    RotaryAttention,
    length_mask,
    rotary_table,
)
from espnet_ext.asr.dropout import ByteDropout


def _initialise(module: nn.Module) -> None:
    """Glorot weights and no bias: torch's own start leaves attention a hundredth of what passes beside it."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class ConvSubsampling(nn.Module):
    """2-D convolutions with few channels that thin frames and features, then a projection.

    ESPnet's conv2d uses as many channels as the model is wide, which costs as much as several encoder blocks
    on a CPU; a few dozen keep the sharing of weights over frequency, which little data needs, at a tenth.

    Args:
        size: F.
        width: D.
        strides: over time, one a layer, e.g. (2, 2) for 4x, (2, 3) for 6x, (2, 2, 2) for 8x.
        channels: of every layer.
        dropout: after the projection.
    """

    def __init__(
        self, size: int, width: int, strides: tuple[int, ...], channels: int, dropout: float
    ) -> None:
        super().__init__()
        self.strides = strides
        inputs = [1, *[channels] * (len(strides) - 1)]
        self.layers = nn.ModuleList(
            nn.Conv2d(n, channels, 3, stride=(s, 2), padding=1)
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
            x = nn.functional.silu(layer(x * length_mask(lengths, x.shape[2])[:, None, :, None]))
            lengths = torch.div(lengths - 1, stride, rounding_mode="floor") + 1
        return self.out(x.transpose(1, 2).flatten(2)), lengths


class Block(nn.Module):
    """One encoder block: half feed-forward, attention, convolution, half feed-forward (a Conformer block).

    With `kernel` 0 it is a Transformer block: attention, feed-forward.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        kernel: int,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.first = FeedForward(width, inner, dropout) if kernel else None
        self.norm = nn.LayerNorm(width)
        self.attention = RotaryAttention(width, heads, attention_dropout)
        self.convolution = ConvolutionModule(width, kernel) if kernel else None
        self.second = FeedForward(width, inner, dropout)
        self.weight = 0.5 if kernel else 1.0
        self.dropout = ByteDropout(dropout)
        self.last = nn.LayerNorm(width) if kernel else nn.Identity()

    def forward(
        self, x: Tensor, mask: Tensor | None, speech: Tensor | None, table: tuple[Tensor, Tensor]
    ) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        if self.first is not None:
            x = x + self.weight * self.dropout(self.first(x))
        x = x + self.dropout(self.attention(self.norm(x), mask, table))
        if self.convolution is not None:
            x = x + self.dropout(self.convolution(x, speech))
        return self.last(x + self.weight * self.dropout(self.second(x)))


class CnnConformerEncoder(AbsEncoder):
    """Convolutional subsampling and Conformer (or Transformer) blocks with rotary positions.

    Args:
        input_size: F, features a frame.
        output_size: D.
        num_blocks: encoder blocks.
        attention_heads: heads of each.
        linear_units: inner width of the feed-forward parts.
        kernel: of the depthwise convolution, odd; 0 for plain Transformer blocks.
        strides: of the convolutional front end; their product is the subsampling.
        channels: of the front end's layers.
        dropout_rate: of inner and outer activations.
        attention_dropout_rate: of attention weights; 0 lets a CPU use its fused kernel.
        layer_drop: probability of leaving out a block of each batch in training (Fan et al. 2019).

    Raises:
        ValueError: for an even kernel or a width that the heads do not divide.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int = 144,
        num_blocks: int = 8,
        attention_heads: int = 4,
        linear_units: int = 576,
        kernel: int = 15,
        strides: tuple[int, ...] = (2, 2),
        channels: int = 32,
        dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.0,
        layer_drop: float = 0.0,
    ) -> None:
        super().__init__()
        if kernel and kernel % 2 == 0:
            raise ValueError(f"found kernel {kernel}, expected an odd number or 0")
        self._output_size, self.layer_drop = output_size, layer_drop
        self.head_width = output_size // attention_heads
        self.subsampling = ConvSubsampling(
            input_size, output_size, tuple(strides), channels, dropout_rate
        )
        self.blocks = nn.ModuleList(
            Block(
                output_size,
                attention_heads,
                linear_units,
                kernel,
                dropout_rate,
                attention_dropout_rate,
            )
            for _ in range(num_blocks)
        )
        self.norm = nn.Identity() if kernel else nn.LayerNorm(output_size)
        self.apply(_initialise)

    def output_size(self) -> int:
        """D."""
        return self._output_size

    def forward(
        self, xs_pad: Tensor, ilens: Tensor, prev_states: Tensor | None = None
    ) -> tuple[Tensor, Tensor, None]:
        """Features (B, T, F) and lengths (B,) -> (B, S, D), lengths (B,) and no state."""
        x, lengths = self.subsampling(xs_pad, ilens)
        speech = length_mask(lengths, x.shape[1])
        padded = not bool(speech.all())
        table = rotary_table(x.shape[1], self.head_width, x.device)
        attend = speech[:, None, None, :] if padded else None
        for block in self.blocks:
            if self.training and self.layer_drop and float(torch.rand(())) < self.layer_drop:
                continue
            x = block(x, attend, speech[..., None] if padded else None, table)
        return self.norm(x), lengths, None
