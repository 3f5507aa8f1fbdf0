"""The parts of a decoder that keeps keys and values: attention, layers, positions, and the state between two tokens.

Letters in shapes: U utterances, N hypotheses (of all utterances; in training one an utterance), L tokens of a
text, t tokens written so far, T encoder frames, D width, H heads, C width of a head, Y layers, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.asr.positions import rotate, sinusoids
from espnet_ext.asr.stream import length_mask
from espnet_ext.bridge.attention import MultiHeadedAttention

Table = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Heard:
    """What the encoder gives to cross-attention.

    Attributes:
        frames: (N, T, D).
        mask: (N, 1, 1, T), true where there is speech, or everywhere if there is none; None without padding.
        empty: (N,), true for utterances without a frame; None if there are none.
    """

    frames: Tensor
    mask: Tensor | None
    empty: Tensor | None

    @classmethod
    def of(cls, frames: Tensor, lengths: Tensor) -> Heard:
        """From (N, T, D) and (N,)."""
        speech = length_mask(lengths, frames.shape[1])
        if bool(speech.all()):
            return cls(frames, None, None)
        empty = lengths == 0
        if not bool(empty.any()):
            return cls(frames, speech[:, None, None], None)
        # a softmax over nothing is no number
        return cls(frames, (speech | empty[:, None])[:, None, None], empty)


@dataclass(frozen=True)
class Memory:
    """What cross-attention looks at: the encoder's output, projected once an utterance.

    Attributes:
        keys, values: one a layer, (U, H, T, C).
        mask: (U, 1, 1, T), true where there is speech; None without padding.
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor | None


@dataclass(frozen=True)
class DecoderState:
    """Hypotheses of equal length and the utterances they belong to.

    A state is stepped once: `step` writes into the room behind the kept keys. To go on from one state in several
    ways, take `reorder`ed copies of it.

    Attributes:
        memory: of the utterances; hypotheses of one utterance share it.
        past: keys and values of the tokens written, (Y, 2, N, H, room, C) with room >= t.
        length: t.
        owner: (N,), which utterance each hypothesis belongs to, ascending.
        rank: (N,), its number among the hypotheses of its utterance.
        widest: hypotheses of the utterance that has most.
    """

    memory: Memory
    past: Tensor
    length: int
    owner: Tensor
    rank: Tensor
    widest: int

    @property
    def even(self) -> bool:
        """Whether every utterance has the same number of hypotheses."""
        return len(self.owner) == len(self.memory.keys[0]) * self.widest


class CachedAttention(MultiHeadedAttention):  # type: ignore[misc]
    """ESPnet's multi-head attention (same weights) through torch's fused kernels.

    The weights of attention stay in `attn` (N, H, L, T) after a forward outside training, for plots, and in
    training when `keep` is set; then they carry gradients.
    """

    def __init__(self, heads: int, width: int, dropout: float) -> None:
        super().__init__(heads, width, dropout)
        self.keep = False

    def split(self, x: Tensor) -> Tensor:
        """(N, L, D) -> (N, H, L, C)."""
        return x.unflatten(-1, (self.h, self.d_k)).transpose(1, 2)

    def project_memory(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, D) -> keys and values (N, H, T, C)."""
        return self.split(self.linear_k(x)), self.split(self.linear_v(x))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        """All projected: (N, H, L, C) and twice (N, H, T, C); mask broadcasts to (N, H, L, T) -> (N, L, D)."""
        if self.keep or not self.training:
            return self._explained(query, key, value, mask, causal)
        dropout = self.dropout_rate if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, mask, dropout, is_causal=causal)
        return self.linear_out(mixed.transpose(1, 2).flatten(2))

    def _explained(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool
    ) -> Tensor:
        """The same with the weights kept."""
        scores = query @ key.transpose(-1, -2) / self.d_k**0.5
        if causal:
            size = scores.shape[-1]
            mask = torch.ones(size, size, dtype=torch.bool, device=scores.device).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        self.attn = scores.softmax(dim=-1)
        return self.linear_out((self.dropout(self.attn) @ value).transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention, feed-forward, each behind a LayerNorm and beside a straight way.

    Args:
        width: D.
        heads: H.
        inner: width of the feed-forward part.
        dropout: of activations.
        self_dropout, src_dropout: of the weights of self- and cross-attention.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        dropout: float,
        self_dropout: float,
        src_dropout: float,
    ) -> None:
        super().__init__()
        self.self_attn = CachedAttention(heads, width, self_dropout)
        self.src_attn = CachedAttention(heads, width, src_dropout)
        # the names are ESPnet's
        self.feed_forward = nn.ModuleDict(
            {"w_1": nn.Linear(width, inner), "w_2": nn.Linear(inner, width)}
        )
        # ESPnet's epsilon
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=1e-12) for _ in range(3))
        self.dropout = ByteDropout(dropout)

    def project(self, x: Tensor, table: Table | None) -> tuple[Tensor, Tensor, Tensor]:
        """(N, L, D) -> query, key and value of self-attention (N, H, L, C), turned by rotary positions."""
        at = self.self_attn
        x = self.norm1(x)
        query, key, value = (at.split(f(x)) for f in (at.linear_q, at.linear_k, at.linear_v))
        if table is not None:
            query, key = rotate(query, table), rotate(key, table)
        return query, key, value

    def feed(self, x: Tensor) -> Tensor:
        """(N, L, D) -> (N, L, D)."""
        inner = self.dropout(self.feed_forward["w_1"](self.norm3(x)).relu())
        return x + self.dropout(self.feed_forward["w_2"](inner))

    def remember(self, heard: Heard) -> tuple[Tensor, Tensor]:
        """Keys and values of cross-attention, (N, H, T, C) each; an utterance without frames gets values of 0."""
        keys, values = self.src_attn.project_memory(heard.frames)
        if heard.empty is not None:
            values = values * ~heard.empty[:, None, None, None]
        return keys, values

    def forward(self, x: Tensor, heard: Heard, table: Table | None) -> Tensor:
        """(N, L, D) and what is heard -> (N, L, D)."""
        keys, values = self.remember(heard)
        x = x + self.dropout(self.self_attn(*self.project(x, table), None, causal=True))
        query = self.src_attn.split(self.src_attn.linear_q(self.norm2(x)))
        return self.feed(x + self.dropout(self.src_attn(query, keys, values, heard.mask)))


class Positions(nn.Module):
    """Token vectors times sqrt(D), plus sines and cosines of the position unless rotary positions do that.

    Args:
        width: D.
        dropout: of the sum.
        added: whether the sinusoids (Vaswani et al. 2017) are added.
    """

    def __init__(self, width: int, dropout: float, added: bool) -> None:
        super().__init__()
        self.scale, self.added, self.dropout = width**0.5, added, ByteDropout(dropout)

    def forward(self, x: Tensor, begin: int = 0) -> Tensor:
        """(N, L, D), whose first token is number `begin` -> (N, L, D)."""
        x = x * self.scale
        if self.added:
            places = torch.arange(begin, begin + x.shape[1], device=x.device)
            x = x + sinusoids(places, x.shape[2]).to(x.dtype)
        return self.dropout(x)


class TokenVectors(nn.ModuleDict):
    """Embedding and positions under ESPnet's names, 0 and 1.

    No Sequential: `fsdp: true` would spread its parts by themselves, away from an output layer that shares the matrix.
    """

    def __init__(self, embedding: nn.Embedding, positions: Positions) -> None:
        super().__init__({"0": embedding, "1": positions})

    def __getitem__(self, key: int | str) -> nn.Module:
        return super().__getitem__(str(key))

    def forward(self, tokens: Tensor, begin: int = 0) -> Tensor:
        """Tokens (N, L), the first of them number `begin` -> (N, L, D)."""
        found: Tensor = self[1](self[0](tokens), begin)
        return found


def look_at_memory(
    attention: CachedAttention, query: Tensor, state: DecoderState, layer: int
) -> Tensor:
    """Cross-attention of one token a hypothesis: (N, D) -> (N, D).

    An utterance's hypotheses stand where a text's tokens stand otherwise: its keys and values are read once and
    never copied.
    """
    keys, values, mask = state.memory.keys[layer], state.memory.values[layer], state.memory.mask
    if state.even:
        rows = query.view(len(keys), state.widest, -1)
    else:
        rows = query.new_zeros(len(keys), state.widest, query.shape[-1])
        rows[state.owner, state.rank] = query
    mixed = F.scaled_dot_product_attention(attention.split(rows), keys, values, mask)
    mixed = mixed.transpose(1, 2).flatten(2)
    return mixed.flatten(0, 1) if state.even else mixed[state.owner, state.rank]
