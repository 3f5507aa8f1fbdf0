"""Blocks of self-attention encoders: rotary attention, feed-forward, Conformer convolution.

Letters in shapes: B batch, T frames, D model width, H heads, C width of one head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.dropout import ByteDropout


def length_mask(lengths: Tensor, longest: int | None = None) -> Tensor:
    """(B,) -> (B, longest), true within each length; `longest` is the greatest of them unless given."""
    end = int(lengths.max()) if longest is None else longest
    return torch.arange(end, device=lengths.device) < lengths[:, None]


def rotary_table(length: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles t / 10000^(2i/C), each (T, C/2) (Su et al. 2021, eq. 15)."""
    rates = 10000 ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(length, device=device)[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the pairs (x_i, x_{i+C/2}) of (B, H, T, C) by their position's angle."""
    cosine, sine = table
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class RotaryAttention(nn.Module):
    """Multi-head self-attention with rotary positions, through torch's fused kernels.

    Args:
        width: D.
        heads: H, which divides D into an even C.
        dropout: of the attention weights; 0 lets a CPU use its fused kernel.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads or (width // heads) % 2:
            raise ValueError(
                f"found width {width} and {heads} heads, expected an even width per head"
            )
        self.heads, self.dropout = heads, dropout
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None, table: tuple[Tensor, Tensor]) -> Tensor:
        """(B, T, D), mask (B, 1, 1, T) true where there is speech or None -> (B, T, D)."""
        batch, length, width = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.project_in(x).chunk(3, dim=-1)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            rotate(query, table), rotate(key, table), value, attn_mask=mask, dropout_p=dropout
        )
        return self.project_out(mixed.transpose(1, 2).reshape(batch, length, width))


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


class ConvolutionModule(nn.Module):
    """Conformer's convolution (Gulati et al. 2020, fig. 2), with LayerNorm in place of BatchNorm.

    LayerNorm makes a batch of padded utterances give what each gives alone.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.inner_norm = nn.LayerNorm(width)
        self.narrow = nn.Linear(width, width)

    def forward(self, x: Tensor, speech: Tensor | None) -> Tensor:
        """(B, T, D), speech (B, T, 1) true where there is speech or None -> (B, T, D)."""
        x = F.glu(self.widen(self.norm(x)), dim=-1)
        if speech is not None:
            x = x * speech
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.narrow(F.silu(self.inner_norm(x)))
