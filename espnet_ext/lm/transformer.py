"""Transformer language model with rotary positions that keeps keys and values.

In a YAML: `lm: espnet_ext.lm.transformer:TransformerLM`.

Letters in shapes: N texts or hypotheses, L tokens, t tokens read so far, D width, H heads, C width of a head,
Y layers, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.blocks import FeedForward
from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.asr.positions import rotary_table, rotate
from espnet_ext.lm.cached import CachedLM

_ROOM = 16  # tokens for which room is made at once


@dataclass(frozen=True)
class State:
    """What the model keeps of hypotheses.

    Attributes:
        past: keys and values, (Y, 2, N, H, t + room, C).
        length: t.
    """

    past: Tensor
    length: int


class Layer(nn.Module):
    """LayerNorm, self-attention, and LayerNorm, feed-forward, each beside a short cut.

    Args:
        width, heads, inner, dropout: see TransformerLM.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project_in, self.project_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = FeedForward(width, inner, dropout)
        self.dropout = ByteDropout(dropout)

    def project(self, x: Tensor, table: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(N, L, D) -> query, key, value, each (N, H, L, C)."""
        parts = self.project_in(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        return rotate(query, table), rotate(key, table), value

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """(N, L, D) and what attention found (N, H, L, C) -> (N, L, D)."""
        x = x + self.dropout(self.project_out(mixed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed(x))


class TransformerLM(CachedLM):
    """Decoder-only Transformer, LayerNorm first, rotary positions, torch's fused attention.

    ESPnet's `transformer` knows no positions by default and projects keys and values anew at each step of a search.

    Args:
        vocab_size: V.
        width: D.
        heads: H, of an even width each.
        inner: width within the feed-forward parts; None = 4 D.
        layers: Y.
        dropout: of token vectors and of inner and outer activations.
        share_embedding: one matrix for tokens that come in and go out (Press & Wolf 2017).

    Raises:
        ValueError: for a width that the heads do not divide.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        heads: int = 4,
        inner: int | None = None,
        layers: int = 4,
        dropout: float = 0.1,
        share_embedding: bool = True,
    ) -> None:
        super().__init__()
        if width % heads or (width // heads) % 2:
            raise ValueError(
                f"found width {width} and {heads} heads, expected an even width per head"
            )
        self.head_width = width // heads
        self.embed = nn.Embedding(vocab_size, width)
        self.dropout = ByteDropout(dropout)
        self.layers: Any = nn.ModuleList(
            Layer(width, heads, inner or 4 * width, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.decoder = nn.Linear(width, vocab_size)
        self._initialise()
        if share_embedding:
            self.decoder.weight = self.embed.weight

    def _initialise(self) -> None:
        """Small normal weights (Radford et al. 2019); token vectors get unit variance by `_vectors`."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(
                    module.weight,
                    std=0.02 if module is self.decoder else module.in_features**-0.5 / 2,
                )
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.embed.weight, std=self.embed.embedding_dim**-0.5)

    def _vectors(self, tokens: Tensor) -> Tensor:
        """(...,) -> (..., D)."""
        return self.dropout(self.embed(tokens) * self.embed.embedding_dim**0.5)

    def forward(self, input: Tensor, hidden: None) -> tuple[Tensor, None]:
        """Tokens (N, L), beginning with <sos> -> logits of each next one (N, L, V)."""
        x = self._vectors(input)
        table = rotary_table(x.shape[1], self.head_width, x.device)
        for layer in self.layers:
            query, key, value = layer.project(x, table)
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = layer.finish(x, mixed)
        return self.decoder(self.norm(x)), None

    def start(self, number: int = 1) -> State:
        """The state of `number` hypotheses before <sos>."""
        heads = self.layers[0].heads if len(self.layers) else 1
        shape = (len(self.layers), 2, number, heads, 0, self.head_width)
        return State(self.embed.weight.new_empty(shape), 0)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a token of each hypothesis: (N,) -> log-probabilities of the next (N, V), and the state."""
        at, past = state.length, state.past
        if past.shape[4] == at:
            past = F.pad(past, (0, 0, 0, _ROOM))
        x = self._vectors(tokens[:, None])
        cosine, sine = rotary_table(at + 1, self.head_width, x.device)
        for layer, kept in zip(self.layers, past, strict=True):
            query, key, value = layer.project(x, (cosine[at:], sine[at:]))
            kept[0, :, :, at : at + 1], kept[1, :, :, at : at + 1] = key, value
            keys, values = kept[:, :, :, : at + 1]
            x = layer.finish(x, F.scaled_dot_product_attention(query, keys, values))
        found = self.decoder(self.norm(x[:, 0])).float().log_softmax(dim=-1)
        return found, State(past, at + 1)

    def reorder(self, state: State, index: Tensor) -> State:
        """The hypotheses `index` (M,) of a state, with a past of their own."""
        past = state.past[:, :, :, :, : state.length].index_select(2, index)
        return replace(state, past=F.pad(past, (0, 0, 0, _ROOM)))

    def join(self, states: list[tuple[State, int]]) -> State:
        """One state out of hypotheses of several, equally long."""
        parts = [state.past[:, :, row, :, : state.length] for state, row in states]
        return State(torch.stack(parts, dim=2), states[0][0].length)
