"""Transformer decoder that keeps keys and values while it writes.

In a YAML: `decoder: espnet_ext.asr.decoder:CachedTransformerDecoder`. Its weights bear the names of ESPnet's
TransformerDecoder, so either loads what the other has learnt.

Letters in shapes: U utterances, N hypotheses (of all utterances; in training one an utterance), L tokens of a
text, t tokens written so far, T encoder frames, D width, H heads, C width of a head, Y layers, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from espnet2.asr.decoder.abs_decoder import AbsDecoder
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.decoder_layers import (
    DecoderLayer,
    DecoderState,
    Heard,
    Memory,
    Positions,
    Table,
    TokenVectors,
    look_at_memory,
)
from espnet_ext.asr.dropout import checked
from espnet_ext.asr.positions import rotary_table
from espnet_ext.bridge.attention import BatchScorerInterface

#: Tokens for which room is made at once.
_ROOM = 16


def _with_room(past: Tensor, room: int) -> Tensor:
    """Keys and values (Y, 2, N, H, t, C) -> (Y, 2, N, H, t + room, C)."""
    return F.pad(past, (0, 0, 0, room))


class CachedTransformerDecoder(AbsDecoder, BatchScorerInterface):  # type: ignore[misc]
    """Transformer decoder with LayerNorm first, like ESPnet's `transformer`, and a cache of keys and values.

    Args:
        vocab_size: V.
        encoder_output_size: D.
        attention_heads: H of each layer.
        linear_units: inner width of the feed-forward parts.
        num_blocks: Y.
        dropout_rate: of inner and outer activations.
        positional_dropout_rate: of the token vectors.
        self_attention_dropout_rate, src_attention_dropout_rate: of attention weights; 0 lets a CPU use its fused
            kernel.
        layer_drop_rate: probability of leaving out a layer of each batch in training (Fan et al. 2019).
        positions: "absolute" as ESPnet, or "rotary" in self-attention.
        share_embedding: one matrix for tokens that come in and go out, which with 50,000 word pieces is most of a
            decoder (Press & Wolf 2017).

    Raises:
        ValueError: for positions of another kind, a width that the heads do not divide, or no probability.
    """

    def __init__(
        self,
        vocab_size: int,
        encoder_output_size: int,
        attention_heads: int = 4,
        linear_units: int = 2048,
        num_blocks: int = 6,
        dropout_rate: float = 0.1,
        positional_dropout_rate: float = 0.1,
        self_attention_dropout_rate: float = 0.0,
        src_attention_dropout_rate: float = 0.0,
        layer_drop_rate: float = 0.0,
        positions: str = "absolute",
        share_embedding: bool = False,
    ) -> None:
        super().__init__()
        width = encoder_output_size
        if positions not in ("absolute", "rotary"):
            raise ValueError(f"positions: found {positions!r}, expected absolute or rotary")
        if width % attention_heads or (width // attention_heads) % 2:
            raise ValueError(
                f"found width {width} and {attention_heads} heads, expected an even width per head"
            )
        self.rotary, self.head_width = positions == "rotary", width // attention_heads
        self.layer_drop = checked("layer_drop_rate", layer_drop_rate)
        self.embed = TokenVectors(
            nn.Embedding(vocab_size, width),
            Positions(width, positional_dropout_rate, added=not self.rotary),
        )
        self.decoders: Any = nn.ModuleList(
            DecoderLayer(
                width,
                attention_heads,
                linear_units,
                dropout_rate,
                self_attention_dropout_rate,
                src_attention_dropout_rate,
            )
            for _ in range(num_blocks)
        )
        self.after_norm = nn.LayerNorm(width, eps=1e-12)
        self.output_layer = nn.Linear(width, vocab_size)
        self._initialise()
        if share_embedding:
            self.output_layer.weight = self.embed.get_parameter("0.weight")

    def _initialise(self) -> None:
        """Glorot weights, and token vectors that have unit variance once they are scaled."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)

    # -- a whole text at once ------------------------------------------------------------------------------------

    def keep_attention(self, keep: bool = True) -> None:
        """Leave the weights of cross-attention in each layer's `src_attn.attn` in training too, with gradients."""
        for layer in self.decoders:
            layer.src_attn.keep = keep

    def forward(
        self,
        hs_pad: Tensor,
        hlens: Tensor,
        ys_in_pad: Tensor,
        ys_in_lens: Tensor,
        return_hs: bool = False,
    ) -> tuple[Any, Tensor]:
        """Scores of each next token, given the encoder's output and the text so far.

        Args:
            hs_pad: (N, T, D).
            hlens: (N,); where it is 0 cross-attention sees nothing.
            ys_in_pad: (N, L), beginning with <sos>; what stands behind a text changes nothing before it.
            ys_in_lens: (N,).
            return_hs: also return what the output layer gets, (N, L, D).

        Returns:
            Logits (N, L, V), or (logits, hidden); and `ys_in_lens`.
        """
        heard = Heard.of(hs_pad, hlens)
        x = self.embed(ys_in_pad)
        table = self._table(0, x.shape[1], x.device)
        for layer in self.decoders:
            if not self._left_out():
                x = layer(x, heard, table)
        hidden = self.after_norm(x)
        logits = self.output_layer(hidden)
        return ((logits, hidden) if return_hs else logits), ys_in_lens

    def _left_out(self) -> bool:
        return self.training and self.layer_drop > 0 and float(torch.rand(())) < self.layer_drop

    def _table(self, begin: int, end: int, device: torch.device) -> Table | None:
        """Rotary angles of the positions from `begin` to before `end`."""
        if not self.rotary:
            return None
        cosine, sine = rotary_table(end, self.head_width, device)
        return cosine[begin:], sine[begin:]

    def _remember(self, memory: Tensor, lengths: Tensor) -> Memory:
        """Keys and values of cross-attention in every layer."""
        heard = Heard.of(memory, lengths)
        found = [layer.remember(heard) for layer in self.decoders]
        return Memory([k for k, _ in found], [v for _, v in found], heard.mask)

    # -- a token at a time ---------------------------------------------------------------------------------------

    def start(self, memory: Tensor, memory_lengths: Tensor | None = None) -> DecoderState:
        """The state before <sos>: one empty hypothesis for each utterance.

        Args:
            memory: (U, T, D), the encoder's output.
            memory_lengths: (U,); None without padding.
        """
        number, frames, _ = memory.shape
        if memory_lengths is None:
            memory_lengths = torch.full((number,), frames, device=memory.device)
        heads = self.decoders[0].self_attn.h
        past = memory.new_empty(len(self.decoders), 2, number, heads, 0, self.head_width)
        rows = torch.arange(number, device=memory.device)
        return DecoderState(
            self._remember(memory, memory_lengths), past, 0, rows, torch.zeros_like(rows), 1
        )

    def reorder(self, state: DecoderState, index: Tensor) -> DecoderState:
        """The hypotheses `index` (M,) of a state, in that order, with a past of their own; some may come twice.

        Args:
            state: of N hypotheses; stays as it is.
            index: rows of it, such that the utterances they belong to ascend.
        """
        owner = state.owner[index]
        counts = torch.bincount(owner, minlength=len(state.memory.keys[0]))
        rank = torch.arange(len(index), device=index.device) - (counts.cumsum(0) - counts)[owner]
        room = state.past[:, :, :, :, : state.length]
        past = _with_room(room.index_select(2, index), _ROOM)
        return replace(state, past=past, owner=owner, rank=rank, widest=int(counts.max()))

    def step(
        self, tokens: Tensor, state: DecoderState, return_hs: bool = False
    ) -> tuple[Any, DecoderState]:
        """Add a token to each hypothesis.

        Args:
            tokens: (N,), <sos> at first.
            state: before it; used up.
            return_hs: also return what the output layer gets, (N, D).

        Returns:
            Log-probabilities of the next token (N, V), or (log-probabilities, hidden); and the state after it.
        """
        at = state.length
        if state.past.shape[4] == at:
            state = replace(state, past=_with_room(state.past, _ROOM))
        x = self.embed(tokens[:, None], at)
        table = self._table(at, at + 1, x.device)
        for number, layer in enumerate(self.decoders):
            x = self._step_layer(number, layer, x, state, table)
        hidden = self.after_norm(x[:, 0])
        log_probs = self.output_layer(hidden).float().log_softmax(dim=-1)
        after = replace(state, length=at + 1)
        return ((log_probs, hidden) if return_hs else log_probs), after

    def _step_layer(
        self, number: int, layer: Any, x: Tensor, state: DecoderState, table: Table | None
    ) -> Tensor:
        """(N, 1, D) -> (N, 1, D); the layer's key and value are written into the state."""
        query, key, value = layer.project(x, table)
        past, end = state.past[number], state.length + 1
        past[0, :, :, end - 1 : end], past[1, :, :, end - 1 : end] = key, value
        mixed = F.scaled_dot_product_attention(query, past[0, :, :, :end], past[1, :, :, :end])
        x = x + layer.self_attn.linear_out(mixed.transpose(1, 2).flatten(2))
        query = layer.src_attn.linear_q(layer.norm2(x))[:, 0]
        x = (
            x
            + layer.src_attn.linear_out(look_at_memory(layer.src_attn, query, state, number))[
                :, None
            ]
        )
        return layer.feed(x)

    # -- ESPnet's beam search --------------------------------------------------------------------------------------

    def score(self, ys: Tensor, state: Any, x: Tensor, return_hs: bool = False) -> Any:
        """Log-probabilities (V,) after one hypothesis (t,), and its state (see ESPnet's ScorerInterface)."""
        found, states = self.batch_score(ys[None], [state], x[None], return_hs)
        if return_hs:
            return found[0][0], found[1][0], states[0]
        return found[0], states[0]

    def batch_score(
        self, ys: Tensor, states: list[Any], xs: Tensor, return_hs: bool = False
    ) -> tuple[Any, list[Any]]:
        """The next token of hypotheses of one utterance (see ESPnet's BatchScorerInterface).

        Args:
            ys: (N, t), each beginning with <sos>.
            states: of each; None at first, then what the last call returned: (state of that call, row).
            xs: (N, T, D), the utterance's encoder output, the same N times.
            return_hs: also return what the output layer gets, (N, D).

        Returns:
            (N, V), or (that, hidden); and the states.
        """
        if states[0] is None:
            rows = torch.zeros(len(ys), dtype=torch.int64, device=ys.device)
            state = self.reorder(self.start(xs[:1]), rows)
            for place in range(ys.shape[1] - 1):  # a search may begin with a prompt
                _, state = self.step(ys[:, place], state)
        else:
            state = self._gather(states, ys.device)
        found, after = self.step(ys[:, -1], state, return_hs)
        return found, [(after, row) for row in range(len(ys))]

    def _gather(self, states: list[tuple[DecoderState, int]], device: torch.device) -> DecoderState:
        """One state out of hypotheses' own; those of one call, which a search gives, are copied in one go."""
        first = states[0][0]
        if all(state is first for state, _ in states):
            return self.reorder(first, torch.tensor([row for _, row in states], device=device))
        parts = [state.past[:, :, row, :, : state.length] for state, row in states]
        joined = replace(
            first,
            past=torch.stack(parts, dim=2),
            owner=torch.zeros(len(states), dtype=torch.int64, device=device),
        )
        return self.reorder(joined, torch.arange(len(states), device=device))
