"""Self-attention through torch's fused kernels, with rotary, relative or no positions.

Letters in shapes: B batch, T frames, K keys (T and what a stream remembers), D model width, H heads, C width of
one head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.positions import relative_table, rotary_table, rotate, skew
from espnet_ext.asr.stream import Stream


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017) that takes frames as a set.

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

    def table(self, queries: int, keys: int, device: torch.device) -> Any:
        """What `positions` is to be in `forward`, the same for all layers."""
        return None

    def forward(
        self, x: Tensor, mask: Tensor | None, positions: Any, stream: Stream | None = None
    ) -> Tensor:
        """(B, T, D), mask (B, 1, 1 or T, K) true where a query may look or None -> (B, T, D)."""
        batch, length, width = x.shape
        query, seen = self.project_in(x).split((width, 2 * width), dim=-1)
        if stream is not None:
            seen = stream.join(self, seen, stream.left)
        key, value = seen.chunk(2, dim=-1)
        # as ONNX likes it: an unflatten would fix the length there
        query, key, value = (
            part.reshape(batch, -1, self.heads, width // self.heads).transpose(1, 2)
            for part in (query, key, value)
        )
        mixed = self.mix(query, key, value, mask, positions)
        return self.project_out(mixed.transpose(1, 2).reshape(batch, length, width))

    def mix(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, positions: Any
    ) -> Tensor:
        """(B, H, T, C) and twice (B, H, K, C) -> (B, H, T, C)."""
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


class RotaryAttention(SelfAttention):
    """Self-attention whose queries and keys are turned by their positions (Su et al. 2021)."""

    def table(self, queries: int, keys: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (K, C/2) each."""
        return rotary_table(keys, self.project_out.in_features // self.heads, device)

    def mix(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, positions: Any
    ) -> Tensor:
        """(B, H, T, C) and twice (B, H, K, C), queries being the last of the keys -> (B, H, T, C)."""
        cosine, sine = (part[-query.shape[2] :] for part in positions)
        turned = rotate(query, (cosine, sine)), rotate(key, positions)
        return super().mix(*turned, value, mask, None)


class RelativeAttention(SelfAttention):
    """Self-attention with Transformer-XL's scores (Dai et al. 2019, section 3.3).

    (q + u) k / sqrt(C) goes through the fused kernel, to which (q + v) r / sqrt(C) of the distance's projected
    sinusoid r is a mask that is added.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(width, heads, dropout)
        self.project_position = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.empty(heads, width // heads))
        self.position_bias = nn.Parameter(torch.empty(heads, width // heads))
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)

    def table(self, queries: int, keys: int, device: torch.device) -> Tensor:
        """Sinusoids of distances, (T + K, D)."""
        return relative_table(queries, keys, self.project_out.in_features, device)

    def mix(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, positions: Any
    ) -> Tensor:
        """(B, H, T, C) and twice (B, H, K, C), queries being the last of the keys -> (B, H, T, C)."""
        distances = self.project_position(positions.to(query.dtype))
        distances = distances.unflatten(1, (self.heads, -1)).transpose(0, 1)  # (H, T + K, C)
        content, place = (
            (query + bias[:, None]).to(query.dtype)
            for bias in (self.content_bias, self.position_bias)
        )
        by_distance = place @ distances.transpose(1, 2).to(query.dtype)
        bias = skew(by_distance, key.shape[2]) * query.shape[3] ** -0.5
        if mask is not None:
            bias = bias.masked_fill(~mask, float("-inf"))
        return super().mix(content, key, value, bias, None)


def make_attention(positions: str, width: int, heads: int, dropout: float) -> SelfAttention:
    """The attention for one of `positions.KINDS`; absolute ones have been added to its input."""
    kinds = {"rotary": RotaryAttention, "relative": RelativeAttention}
    return kinds.get(positions, SelfAttention)(width, heads, dropout)
