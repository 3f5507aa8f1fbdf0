"""The weights of a Transformer that writes tokens, in the form that `search.stack` reads.

Letters in shapes: D width, H heads, C width of a head, Y layers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.asr.packed import product


@dataclass(frozen=True)
class Affine:
    """x W^T + b, the first (out, in), the second (out,) or None."""

    weight: Tensor
    bias: Tensor | None = None

    @cached_property
    def _fast(self) -> Callable[[Tensor], Tensor] | None:
        return product(self.weight, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        if self._fast is None or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return F.linear(x, self.weight, self.bias)
        return self._fast(x)


@dataclass(frozen=True)
class Norm:
    """LayerNorm over D."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Cross:
    """Attention over the encoder's output.

    Attributes:
        norm: before it.
        query: divided by the square root of C already.
        memory: keys and values of the encoder's output, (2 D, D).
        out: behind it.
    """

    norm: Norm
    query: Affine
    memory: Affine
    out: Affine


@dataclass(frozen=True)
class Layer:
    """Self-attention, perhaps cross-attention, and a feed-forward part, each behind a norm and beside a short cut.

    Attributes:
        norm: before self-attention.
        inward: query (divided by the square root of C), key and value, (3 D, D).
        out: behind self-attention.
        cross: None in a language model.
        feed_norm, widen, narrow: of the feed-forward part.
    """

    norm: Norm
    inward: Affine
    out: Affine
    cross: Cross | None
    feed_norm: Norm
    widen: Affine
    narrow: Affine


@dataclass(frozen=True)
class Stack:
    """The weights of a Transformer that writes tokens.

    Attributes:
        table: what each token brings into the first layer, (V, D).
        heads: H.
        layers: Y.
        norm, output: to the logits.
        positions: "sinusoids" added to the table's rows, "rotary" in self-attention, or "none".
        silu: the feed-forward parts' activation is SiLU instead of ReLU.
        hides_blank: nothing attends to token 0 (stock's TransformerLM takes it for padding).
    """

    table: Tensor
    heads: int
    layers: tuple[Layer, ...]
    norm: Norm
    output: Affine
    positions: str = "sinusoids"
    silu: bool = False
    hides_blank: bool = False

    @property
    def width(self) -> int:
        """D."""
        return self.table.shape[1]
