"""Blocks of Transformer and Conformer encoders.

Letters in shapes: B batch, T frames, D model width.
"""

from __future__ import annotations

from torch import Tensor, nn

from espnet_ext.asr.attention import RotaryAttention, SelfAttention
from espnet_ext.asr.convolution import ConvolutionModule
from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.asr.positions import rotary_table
from espnet_ext.asr.stream import Context, length_mask

__all__ = ["Block", "FeedForward", "RotaryAttention", "length_mask", "rotary_table"]


class FeedForward(nn.Sequential):
    """LayerNorm, widen, SiLU, narrow."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, inner),
            nn.SiLU(),
            ByteDropout(dropout),
            nn.Linear(inner, width),
        )


class Block(nn.Module):
    """One encoder block: half feed-forward, attention, convolution, half feed-forward (a Conformer block).

    With `kernel` 0 it is a Transformer block: attention, feed-forward.

    Args:
        attention: over D.
        width: D.
        inner: width within the feed-forward parts.
        kernel: of the convolution, odd, or 0.
        dropout: of inner and outer activations.
    """

    def __init__(
        self, attention: SelfAttention, width: int, inner: int, kernel: int, dropout: float
    ) -> None:
        super().__init__()
        self.first = FeedForward(width, inner, dropout) if kernel else None
        self.norm = nn.LayerNorm(width)
        self.attention = attention
        self.convolution = ConvolutionModule(width, kernel) if kernel else None
        self.second = FeedForward(width, inner, dropout)
        self.weight = 0.5 if kernel else 1.0
        self.dropout = ByteDropout(dropout)
        self.last = nn.LayerNorm(width) if kernel else nn.Identity()

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if self.first is not None:
            x = x + self.weight * self.dropout(self.first(x))
        mixed = self.attention(self.norm(x), context.attend, context.positions, context.stream)
        x = x + self.dropout(mixed)
        if self.convolution is not None:
            x = x + self.dropout(self.convolution(x, context))
        return self.last(x + self.weight * self.dropout(self.second(x)))
