"""Feed-forward Transformer blocks: attention and convolutions over tokens or frames.

Letters in shapes: B batch, L tokens or frames, N tokens that are looked at, D width, C width of one head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.attention import make_attention
from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.asr.positions import rotate

Table = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Source:
    """Encoded tokens that frames look at.

    Attributes:
        x: (B, N, D).
        mask: (B, N), true for tokens.
        places: (B, L), which token each frame speaks; a token's middle has its number, its ends lie halfway to the
            neighbours'.
    """

    x: Tensor
    mask: Tensor
    places: Tensor


def rotary_at(places: Tensor, width: int) -> Table:
    """Cosines and sines (B, 1, L, C/2) as `asr.positions.rotary_table`, at any places (B, L)."""
    rates = 10000 ** (-torch.arange(0, width, 2, device=places.device) / width)
    angles = places[:, None, :, None] * rates
    return angles.cos(), angles.sin()


class CrossAttention(nn.Module):
    """Frames look at tokens; both are turned by their place in the text, so that "the next token" is a direction.

    Args:
        width: D.
        heads: which divide it into an even C.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads or (width // heads) % 2:
            raise ValueError(
                f"found width {width} and {heads} heads, expected an even width per head"
            )
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.seen = nn.Linear(width, 2 * width)
        self.project_out = nn.Linear(width, width)

    def tables(self, source: Source) -> tuple[Table, Table]:
        """For queries and for keys, the same for all layers."""
        width = self.query.in_features // self.heads
        tokens = torch.arange(source.x.shape[1], device=source.x.device)[None]
        return rotary_at(source.places, width), rotary_at(tokens, width)

    def forward(self, x: Tensor, source: Source, tables: tuple[Table, Table]) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), *self.seen(source.x).chunk(2, dim=-1))
        )
        query, key = rotate(query, tables[0]), rotate(key, tables[1])
        mask = source.mask[:, None, None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.project_out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Self-attention, attention to another sequence where wanted, two convolutions (FastSpeech's feed-forward block).

    LayerNorm stands before each part.

    Args:
        width: D.
        heads: of all attention.
        inner: width between the convolutions.
        kernel: of the first convolution, odd; the second one's is 1.
        dropout: of what each part adds.
        positions: of self-attention, one of `asr.positions.KINDS`.
        cross: whether it looks at a `Source`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        kernel: int,
        dropout: float,
        positions: str = "rotary",
        cross: bool = False,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"found kernel {kernel}, expected an odd number")
        if min(kernel, inner, heads) < 1:
            raise ValueError(
                f"found kernel {kernel}, inner {inner}, heads {heads}, expected 1 or more of each"
            )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = make_attention(positions, width, heads, 0.0)
        if cross:
            self.norm_cross, self.cross = nn.LayerNorm(width), CrossAttention(width, heads)
        self.widen = nn.Conv1d(width, inner, kernel, padding=kernel // 2)
        self.narrow = nn.Conv1d(inner, width, 1)
        self.dropout = ByteDropout(dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        table: Any,
        source: Source | None = None,
        tables: tuple[Table, Table] | None = None,
    ) -> Tensor:
        """(B, L, D), mask (B, L), positions of self-attention and of `source` -> (B, L, D)."""
        x = x + self.dropout(self.attention(self.norm1(x), mask[:, None, None], table))
        if source is not None and tables is not None:
            x = x + self.dropout(self.cross(self.norm_cross(x), source, tables))
        y = (self.norm2(x) * mask[..., None]).transpose(1, 2)
        return x + self.dropout(self.narrow(F.silu(self.widen(y))).transpose(1, 2))


class Stack(nn.Module):
    """Blocks and a final LayerNorm; arguments as of `Block`."""

    def __init__(
        self,
        blocks: int,
        width: int,
        heads: int,
        inner: int,
        kernel: int,
        dropout: float,
        positions: str = "rotary",
        cross: bool = False,
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"found {blocks} blocks, expected one or more")
        self.blocks = nn.ModuleList(
            Block(width, heads, inner, kernel, dropout, positions, cross) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor, source: Source | None = None) -> Tensor:
        """(B, L, D), mask (B, L), what is looked at -> (B, L, D)."""
        first = self.blocks[0]
        assert isinstance(first, Block)
        table = first.attention.table(x.shape[1], x.shape[1], x.device)
        tables = None if source is None else first.cross.tables(source)
        for block in self.blocks:
            x = block(x, mask, table, source, tables)
        return self.norm(x)
