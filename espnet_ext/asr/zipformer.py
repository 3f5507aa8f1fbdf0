"""Zipformer-type blocks: one set of attention weights used three times, at several time resolutions.

After Yao et al. 2023. Kept: weights shared by two self-attention modules and the non-linear attention, BiasNorm,
Swoosh activations, bypasses with learned scales, stacks that work on fewer frames, feed-forward parts of three
widths, relative positions with few numbers a head. Left out: stacks of different widths, the compact
encoding of positions, the balancers, whiteners and schedules of limits that go with the paper's optimiser
ScaledAdam, its ConvNeXt front end, and streaming. Bypass scales are kept in their range by a sigmoid, not clamped.

The shared weights have to be there as numbers, so this attention cannot go through torch's fused kernels.

Letters in shapes: B batch, T frames, D model width, H heads, C width of one head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.convolution import Depthwise
from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.asr.positions import relative_table, skew
from espnet_ext.asr.stream import Context


def swoosh(x: Tensor, shift: float) -> Tensor:
    """log(1 + e^(x - shift)) - 0.08 x, moved to pass through 0 (shift 1: SwooshR; section 3.4)."""
    start = torch.tensor(-shift, dtype=x.dtype)
    return F.softplus(x - shift) - 0.08 * x - float(F.softplus(start))


class Swoosh(nn.Module):
    """SwooshR (shift 1) after convolutions, SwooshL (shift 4) where most units may be off."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return swoosh(x, self.shift)


class BiasNorm(nn.Module):
    """x / RMS(x - bias) * e^scale (section 3.3): unlike LayerNorm it keeps some of the vector's length."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias, self.scale = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        square = (x - self.bias).square().mean(-1, keepdim=True)
        return x * (square + 1e-5).rsqrt() * self.scale.exp()


class Bypass(nn.Module):
    """(1 - c) before + c after, c a channel's own between 0.2 and 1 (section 3.2); it begins at 0.5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.full((width,), 0.375).logit())

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Twice (B, T, D) -> (B, T, D)."""
        return before + (0.2 + 0.8 * self.logit.sigmoid()) * (after - before)


class AttentionWeights(nn.Module):
    """Who looks at whom, (B, H, T, T): from queries, keys and relative positions."""

    def __init__(self, width: int, heads: int, head_width: int, position_width: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.sizes = [heads * size for size in (head_width, head_width, position_width)]
        self.project = nn.Linear(width, sum(self.sizes))
        self.project_position = nn.Linear(width, heads * position_width, bias=False)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        """(B, T, D) and (B, 1, 1, T), true where there is speech -> (B, H, T, T)."""
        length = x.shape[1]
        table = relative_table(length, length, self.width, x.device).to(x.dtype)
        query, key, place = (
            self._split(part) for part in self.project(x).split(self.sizes, dim=-1)
        )
        distances = self._split(self.project_position(table)[None])
        scores = query @ key.transpose(2, 3) * query.shape[3] ** -0.5
        scores = scores + skew(place @ distances.transpose(2, 3), length)
        if attend is not None:
            scores = scores.masked_fill(~attend, float("-inf"))
        return scores.softmax(dim=-1)

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, H C) -> (B, H, T, C)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Values(nn.Module):
    """The rest of self-attention: values, mixed by weights that are given."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, heads * head_width)
        self.project_out = nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """(B, T, D) and (B, H, T, T) -> (B, T, D)."""
        values = self.project_in(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        return self.project_out((weights @ values).transpose(1, 2).flatten(2))


class NonlinearAttention(nn.Module):
    """a * attend(tanh(b) * c), with the first head's weights (section 3.1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width * 3 // 4
        self.project_in, self.project_out = nn.Linear(width, 3 * inner), nn.Linear(inner, width)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """(B, T, D) and (B, H, T, T) -> (B, T, D)."""
        a, b, c = self.project_in(x).chunk(3, dim=-1)
        return self.project_out(a * (weights[:, 0] @ (b.tanh() * c)))


class ZipConvolution(nn.Module):
    """Conformer's convolution with SwooshR and without norms."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, 2 * width)
        self.depthwise = Depthwise(width, kernel)
        self.narrow = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.narrow(swoosh(self.depthwise(F.glu(self.widen(x), dim=-1), context), 1.0))


def _feed_forward(width: int, inner: int, dropout: float) -> nn.Sequential:
    layers = (nn.Linear(width, inner), Swoosh(4.0), ByteDropout(dropout), nn.Linear(inner, width))
    return nn.Sequential(*layers)


class ZipformerBlock(nn.Module):
    """Two of Conformer's blocks that share their attention weights (fig. 2).

    Args:
        width: D.
        heads: H, which divides D.
        inner: of the second feed-forward part; the first has 3/4, the third 5/4 of it.
        kernel: of the convolutions, odd.
        dropout: of inner and outer activations.
    """

    def __init__(self, width: int, heads: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"found width {width} and {heads} heads, expected heads to divide it")
        head_width = width // heads
        self.weights = AttentionWeights(width, heads, head_width, position_width=4)
        self.feed_forwards = nn.ModuleList(
            _feed_forward(width, inner * quarters // 4, dropout) for quarters in (3, 4, 5)
        )
        self.nonlinear = NonlinearAttention(width)
        self.values = nn.ModuleList(Values(width, heads, head_width) for _ in range(2))
        self.convolutions = nn.ModuleList(ZipConvolution(width, kernel) for _ in range(2))
        self.middle, self.whole = Bypass(width), Bypass(width)
        self.norm, self.dropout = BiasNorm(width), ByteDropout(dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        start, drop = x, self.dropout
        weights = self.weights(x, context.attend)
        x = x + drop(self.feed_forwards[0](x))
        x = x + drop(self.nonlinear(x, weights))
        x = x + drop(self.values[0](x, weights))
        x = x + drop(self.convolutions[0](x, context))
        x = self.middle(start, x + drop(self.feed_forwards[1](x)))
        x = x + drop(self.values[1](x, weights))
        x = x + drop(self.convolutions[1](x, context))
        x = self.norm(x + drop(self.feed_forwards[2](x)))
        return self.whole(start, x)


class Stack(nn.Module):
    """Blocks that work on every `factor` frames as one (section 3.2).

    Frames are averaged with learned weights, repeated afterwards, and mixed with what came in by a bypass.

    Args:
        blocks: Zipformer blocks of one width.
        width: D.
        factor: frames that become one, 1 or more.
    """

    def __init__(self, blocks: list[ZipformerBlock], width: int, factor: int) -> None:
        super().__init__()
        self.blocks, self.factor = nn.ModuleList(blocks), factor
        if factor > 1:
            self.shares = nn.Parameter(torch.zeros(factor))
            self.bypass = Bypass(width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if self.factor == 1:
            return self._run(x, context)
        length = x.shape[1]
        y = self._run(self._thin(x, context.speech), self._coarse(context))
        return self.bypass(x, y.repeat_interleave(self.factor, dim=1)[:, :length])

    def _run(self, x: Tensor, context: Context) -> Tensor:
        for block in self.blocks:
            x = block(x, context)
        return x

    def _thin(self, x: Tensor, speech: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, ceil(T / factor), D); what lies beyond an utterance's end counts as 0."""
        x = x if speech is None else x * speech
        x = F.pad(x, (0, 0, 0, -x.shape[1] % self.factor)).unflatten(1, (-1, self.factor))
        return (x * self.shares.softmax(0)[:, None]).sum(2)

    def _coarse(self, context: Context) -> Context:
        if context.speech is None:
            return Context()
        speech = context.speech[:, :: self.factor]
        return Context(attend=speech[:, None, None, :, 0], speech=speech)


def make_stacks(
    blocks: int,
    factors: tuple[int, ...],
    width: int,
    heads: int,
    inner: int,
    kernel: int,
    dropout: float,
) -> list[Stack]:
    """One stack for each of `factors`, the blocks spread evenly.

    Raises:
        ValueError: for a number of blocks that the stacks do not divide, or a factor below 1.
    """
    if not factors or min(factors) < 1 or blocks % len(factors):
        raise ValueError(
            f"found {blocks} blocks and resolutions {tuple(factors)}, expected as many blocks for each, factors >= 1"
        )
    each = range(blocks // len(factors))
    return [
        Stack([ZipformerBlock(width, heads, inner, kernel, dropout) for _ in each], width, factor)
        for factor in factors
    ]
