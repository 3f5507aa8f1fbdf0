"""A Transformer that writes a token of many hypotheses at a time, with one pool of keys and values.

Decoders and language models, stock ESPnet's and ours, are all read into a `Stack`. Keys and values that hypotheses of
an utterance have made stand in one pool; which of them a hypothesis sees says a mask. So a beam that is put into
another order copies no key, and what hypotheses have in common is kept once.

Letters in shapes: U utterances, W hypotheses of each, R columns of the pool, T encoder frames, D width, H heads,
C width of a head, Y layers, V vocabulary, t tokens read so far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.asr.positions import rotary_table, rotate, sinusoids
from espnet_ext.search.known import Known, known
from espnet_ext.search.weights import Cross, Layer, Stack

#: Columns for which room is made at once.
_ROOM = 64
#: Columns, as a multiple of those in use when the pool was last tidied, from which it is tidied again.
_UNTIDY = 2


@dataclass(frozen=True)
class Memory:
    """The encoder's output as each layer looks at it.

    Attributes:
        keys, values: one a layer, (U, H, T, C).
        mask: 0 where there is speech and -inf behind it, (U, 1, 1, T); None without padding.
    """

    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()
    mask: Tensor | None = None


@dataclass(frozen=True)
class StackState:
    """What is kept of the hypotheses; `step` writes into the pool, so a state is stepped once.

    Attributes:
        memory: of the utterances.
        pool: keys and values, (Y, 2, U, H, room, C).
        visible: which columns each hypothesis descends from, (U, W, R).
        ages: tokens read, (U,).
        tidy: columns in use when the pool was last tidied.
        looked: how much all tokens of each hypothesis looked at each frame, the mean of layers and heads, (U, W, T);
            None where nobody asks.
        known: a sentence that has been read at once; it has no `looked`.
    """

    memory: Memory
    pool: Tensor
    visible: Tensor
    ages: Tensor
    tidy: int = _ROOM
    looked: Tensor | None = None
    known: Known | None = None


def _heads(x: Tensor, utterances: int, heads: int) -> Tensor:
    """(U W, D) or (U, W, D) -> (U, H, W, C)."""
    return x.reshape(utterances, -1, heads, x.shape[-1] // heads).transpose(1, 2)


def remember(stack: Stack, encoded: Tensor, lengths: Tensor) -> Memory:
    """Keys and values of the encoder's output (U, T, D), whose lengths are (U,)."""
    keys, values = [], []
    for layer in stack.layers:
        if layer.cross is None:
            return Memory()
        found = layer.cross.memory(encoded).unflatten(-1, (2, stack.heads, -1))
        key, value = found.permute(2, 0, 3, 1, 4).contiguous()
        keys.append(key)
        values.append(value)
    frames = torch.arange(encoded.shape[1], device=encoded.device)
    behind = frames >= lengths[:, None]
    mask = None
    if bool(behind.any()):
        mask = encoded.new_zeros(behind.shape).masked_fill(behind, float("-inf"))[:, None, None]
    return Memory(tuple(keys), tuple(values), mask)


def start(
    stack: Stack, utterances: int, memory: Memory | None = None, looks: bool = False
) -> StackState:
    """The state of one hypothesis an utterance, before <sos>; `looks`: attention over frames is summed up."""
    table = stack.table
    size = (len(stack.layers), 2, utterances, stack.heads, _ROOM, stack.width // stack.heads)
    visible = torch.zeros(utterances, 1, 0, dtype=torch.bool, device=table.device)
    ages = torch.zeros(utterances, dtype=torch.int64, device=table.device)
    looked = None
    if looks and memory is not None:
        looked = table.new_zeros(utterances, 1, memory.keys[0].shape[2])
    pool = table.new_zeros(size)
    return StackState(memory or Memory(), pool, visible, ages, looked=looked)


def reorder(state: StackState, parents: Tensor) -> StackState:
    """Hypotheses that descend from `parents` (U, W), numbers within their utterance."""
    index = parents[:, :, None].expand(-1, -1, state.visible.shape[2])
    state = replace(state, visible=state.visible.gather(1, index))
    if state.known is not None:
        state = replace(state, known=state.known.reorder(parents))
    if state.looked is not None:
        index = parents[:, :, None].expand(-1, -1, state.looked.shape[2])
        state = replace(state, looked=state.looked.gather(1, index))
    return _tidied(state) if state.visible.shape[2] > _UNTIDY * state.tidy else state


def keep(state: StackState, rows: Tensor) -> StackState:
    """The utterances `rows` (M,) of a state."""
    memory, mask = state.memory, state.memory.mask
    less = Memory(
        tuple(key[rows] for key in memory.keys),
        tuple(value[rows] for value in memory.values),
        None if mask is None else mask[rows],
    )
    pool = state.pool[:, :, rows]
    looked = None if state.looked is None else state.looked[rows]
    visible, ages = state.visible[rows], state.ages[rows]
    known = None if state.known is None else state.known.keep(rows)
    return StackState(less, pool, visible, ages, state.tidy, looked, known)


def _tidied(state: StackState) -> StackState:
    """Without the columns that no hypothesis descends from."""
    used = state.visible.any(dim=1)
    count = max(int(used.sum(dim=1).max()), 1)
    columns = used.byte().argsort(dim=1, descending=True, stable=True)[:, :count]
    visible = state.visible.gather(2, columns[:, None].expand(-1, state.visible.shape[1], -1))
    layers, two, number, heads, _, width = state.pool.shape
    pool = state.pool.new_zeros(layers, two, number, heads, count + _ROOM, width)
    index = columns[None, None, :, None, :, None].expand(layers, two, -1, heads, -1, width)
    pool[:, :, :, :, :count] = state.pool.gather(4, index)
    return replace(state, pool=pool, visible=visible, tidy=max(count, _ROOM))


@dataclass(frozen=True)
class _Rows:
    """Which of all places in the beams have a hypothesis: only these go through the matrices.

    Attributes:
        shape: U and W.
        live: numbers of the places that have one, (N,); None = all.
        back: the row of each place, (U W,); of an empty one any.
    """

    shape: tuple[int, int]
    live: Tensor | None = None
    back: Tensor | None = None

    def packed(self, x: Tensor) -> Tensor:
        """(U W, ...) -> (N, ...)."""
        return x if self.live is None else x.index_select(0, self.live)

    def placed(self, x: Tensor) -> Tensor:
        """(N, ...) -> (U W, ...)."""
        return x if self.back is None else x.index_select(0, self.back)


def _rows(tokens: Tensor, live: Tensor | None) -> _Rows:
    shape = tokens.shape[0], tokens.shape[1]
    if live is None or bool(live.all()):
        return _Rows(shape)
    flat = live.flatten()
    return _Rows(shape, flat.nonzero()[:, 0], (flat.cumsum(0) - 1).clamp_(min=0))


def step(
    stack: Stack, tokens: Tensor, state: StackState, live: Tensor | None = None
) -> tuple[Tensor, StackState]:
    """Read a token of each hypothesis.

    Args:
        stack: the weights.
        tokens: (U, W).
        state: before them; used up.
        live: which hypotheses there are, (U, W); of the others anything is returned. None = all.

    Returns:
        Log-probabilities of the next token (U, W, V), and the state.
    """
    state = _with_columns(stack, tokens, state)
    sure = state.known and state.known.read(tokens, state.ages)
    if sure is None:
        found, state = _worked_out(stack, tokens, state, _rows(tokens, live))
    else:
        alone = ~sure.agrees if live is None else live & ~sure.agrees
        found, state = sure.after(state.ages).expand(*tokens.shape, -1), replace(state, known=sure)
        if bool(alone.any()):
            other, state = _worked_out(stack, tokens, state, _rows(tokens, alone))
            found = torch.where(sure.agrees[:, :, None], found, other)
        sure.write(state.pool, state.visible.shape[2] - tokens.shape[1], state.ages)
    return found, replace(state, ages=state.ages + 1)


def _worked_out(
    stack: Stack, tokens: Tensor, state: StackState, rows: _Rows
) -> tuple[Tensor, StackState]:
    """What `step` returns for the hypotheses in `rows`; they are no older yet."""
    looks: list[Tensor] | None = None if state.looked is None else []
    mask = state.pool.new_zeros(state.visible.shape).masked_fill(~state.visible, float("-inf"))
    x = stack.table[rows.packed(tokens.flatten())]
    if stack.positions == "sinusoids":
        places = sinusoids(state.ages, stack.width).to(x.dtype)
        x = x + rows.packed(places.repeat_interleave(tokens.shape[1], dim=0))
    for number, layer in enumerate(stack.layers):
        x = x + _self_attention(stack, layer, x, state, number, (rows, mask[:, None]))
        if layer.cross is not None:
            x = x + _cross_attention(stack, layer.cross, x, state.memory, number, (rows, looks))
        inner = layer.widen(layer.feed_norm(x))
        inner = F.silu(inner, inplace=True) if stack.silu else inner.relu_()
        x = x + layer.narrow(inner)
    found = rows.placed(stack.output(stack.norm(x)).float().log_softmax(dim=-1))
    if state.looked is not None and looks:
        state = replace(state, looked=state.looked + torch.stack(looks).mean(dim=0))
    return found.view(*tokens.shape, -1), state


def read(
    stack: Stack, tokens: Tensor, sizes: Tensor, state: StackState
) -> tuple[Tensor, StackState]:
    """Read whole sentences at once.

    Args:
        stack: the weights.
        tokens: (U, L), <sos> first, none with token 0.
        sizes: tokens of each, (U,).
        state: of `start`.

    Returns:
        Log-probabilities of each next token (U, L, V), and the state, which knows them now.
    """
    number, length = tokens.shape
    ages = torch.arange(length, device=tokens.device)
    x = stack.table[tokens]
    if stack.positions == "sinusoids":
        x = x + sinusoids(ages, stack.width).to(x.dtype)
    pool = []
    for place, layer in enumerate(stack.layers):
        parts = layer.inward(layer.norm(x)).chunk(3, dim=-1)
        query, key, value = (_heads(part, number, stack.heads) for part in parts)
        if stack.positions == "rotary":
            table = rotary_table(length, query.shape[-1], x.device)
            query, key = rotate(query, table), rotate(key, table)
        pool.append(torch.stack((key, value)))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0)
        x = x + layer.out(mixed.transpose(1, 2).reshape(x.shape))
        if layer.cross is not None:
            rows = _Rows((number, length))
            flat = _cross_attention(
                stack, layer.cross, x.flatten(0, 1), state.memory, place, (rows, None)
            )
            x = x + flat.view(x.shape)
        inner = layer.widen(layer.feed_norm(x))
        x = x + layer.narrow(F.silu(inner, inplace=True) if stack.silu else inner.relu_())
    found = stack.output(stack.norm(x)).float().log_softmax(dim=-1)
    return found, replace(state, known=known(tokens, sizes, found, torch.stack(pool)))


def _with_columns(stack: Stack, tokens: Tensor, state: StackState) -> StackState:
    """The state with a column for each hypothesis' new token, which only that hypothesis sees."""
    utterances, width = tokens.shape
    own = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(utterances, -1, -1)
    if stack.hides_blank:
        own = own & (tokens != 0)[:, None]
    visible, pool = torch.cat((state.visible, own), dim=2), state.pool
    if (lacking := visible.shape[2] - pool.shape[4]) > 0:
        pool = F.pad(pool, (0, 0, 0, max(lacking, _ROOM)))
    return replace(state, visible=visible, pool=pool)


def _self_attention(
    stack: Stack,
    layer: Layer,
    x: Tensor,
    state: StackState,
    number: int,
    seen: tuple[_Rows, Tensor],
) -> Tensor:
    """(N, D) -> (N, D); the layer's keys and values go into the pool's last columns.

    `seen`: where the rows stand, and what they see, (U, 1, W, R).
    """
    rows, mask = seen
    utterances, width, end = state.visible.shape
    parts = rows.placed(layer.inward(layer.norm(x))).chunk(3, dim=-1)
    query, key, value = (_heads(part, utterances, stack.heads) for part in parts)
    if stack.positions == "rotary":
        query, key = _turned(query, state.ages), _turned(key, state.ages)
    keys, values = state.pool[number, 0], state.pool[number, 1]
    keys[:, :, end - width : end], values[:, :, end - width : end] = key, value
    mixed = F.scaled_dot_product_attention(
        query, keys[:, :, :end], values[:, :, :end], mask, scale=1.0
    )
    return layer.out(rows.packed(mixed.transpose(1, 2).reshape(utterances * width, -1)))


def _turned(x: Tensor, ages: Tensor) -> Tensor:
    """(U, H, W, C), turned by the angle of each utterance's position."""
    cosine, sine = rotary_table(int(ages.max()) + 1, x.shape[-1], x.device)
    return rotate(x, (cosine[ages][:, None, None], sine[ages][:, None, None]))


def _cross_attention(
    stack: Stack,
    cross: Cross,
    x: Tensor,
    memory: Memory,
    number: int,
    seen: tuple[_Rows, list[Tensor] | None],
) -> Tensor:
    """(N, D) -> (N, D).

    `seen`: where the rows stand, and what receives the mean attention of the heads, (U, W, T).
    """
    (rows, looks), keys, values = seen, memory.keys[number], memory.values[number]
    query = _heads(rows.placed(cross.query(cross.norm(x))), len(keys), stack.heads)
    if looks is not None:
        logits = query @ keys.transpose(2, 3)
        logits = logits if memory.mask is None else logits + memory.mask
        looks.append(logits.softmax(dim=-1).mean(dim=1))
    mixed = F.scaled_dot_product_attention(query, keys, values, memory.mask, scale=1.0)
    places = rows.shape[0] * rows.shape[1]
    return cross.out(rows.packed(mixed.transpose(1, 2).reshape(places, -1)))
