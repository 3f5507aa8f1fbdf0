"""E-Branchformer: attention and a gated convolution side by side (Kim et al. 2022).

Letters in shapes: B batch, T frames, D model width, G width of the gated branch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.attention import SelfAttention
from espnet_ext.asr.blocks import FeedForward
from espnet_ext.asr.convolution import Depthwise
from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.asr.stream import Context


class GatingBranch(nn.Module):
    """Half of the widened frames, convolved over time, gates the other half (cgMLP; Sakuma et al. 2021).

    The gate begins as 1, as the paper wants it.

    Args:
        width: D.
        inner: G, even.
        kernel: of the depthwise convolution, odd.
        dropout: after the gate.
    """

    def __init__(self, width: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, inner)
        self.gate_norm = nn.LayerNorm(inner // 2)
        self.depthwise = Depthwise(inner // 2, kernel)
        self.dropout = ByteDropout(dropout)
        self.narrow = nn.Linear(inner // 2, width)
        nn.init.normal_(self.depthwise.weight, std=1e-6)
        nn.init.constant_(self.depthwise.bias, 1.0) if self.depthwise.bias is not None else None

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x, gate = F.gelu(self.widen(self.norm(x))).chunk(2, dim=-1)
        return self.narrow(self.dropout(x * self.depthwise(self.gate_norm(gate), context)))


class EBranchformerBlock(nn.Module):
    """Half feed-forward, two branches merged with a view of their neighbours, half feed-forward.

    Args:
        attention: over D.
        width: D.
        inner: width within the feed-forward parts.
        gate: G, even.
        kernel, merge_kernel: of the gated branch and of the merge, odd.
        dropout: of inner and outer activations.
    """

    def __init__(
        self,
        attention: SelfAttention,
        width: int,
        inner: int,
        gate: int,
        kernel: int,
        merge_kernel: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.first = FeedForward(width, inner, dropout)
        self.norm = nn.LayerNorm(width)
        self.attention = attention
        self.gating = GatingBranch(width, gate, kernel, dropout)
        self.merge = Depthwise(2 * width, merge_kernel)
        self.project = nn.Linear(2 * width, width)
        self.second = FeedForward(width, inner, dropout)
        self.dropout = ByteDropout(dropout)
        self.last = nn.LayerNorm(width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + 0.5 * self.dropout(self.first(x))
        far = self.attention(self.norm(x), context.attend, context.positions, context.stream)
        both = torch.cat((self.dropout(far), self.dropout(self.gating(x, context))), dim=-1)
        x = x + self.dropout(self.project(both + self.merge(both, context)))
        return self.last(x + 0.5 * self.dropout(self.second(x)))
