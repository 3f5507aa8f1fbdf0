"""Phrases that are said more often than the model expects: names, terms, commands.

A hypothesis gains a point for each token that lies in a phrase. Tokens that may become one gain theirs at once, or the
beam would lose them, and give it back as soon as the phrase is not gone on with; what counts in the end is the number
of tokens in whole phrases, each once. A phrase ends where a word ends: "art" is not in "artist". Phrases are
followed by the automaton of Aho and Corasick 1975.

Letters in shapes: U utterances, W hypotheses of each, N nodes, C columns, M tokens of the longest phrase, V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

#: Columns of tokens that are in no phrase: those within a word, those that begin one, and the end of the sentence.
_WITHIN, _BEGINS, _END = 0, 1, 2


@dataclass(frozen=True)
class Phrases:
    """The automaton.

    Attributes:
        column: of each token, (V,).
        begins: whether a column's tokens begin a word, and so end the one before, (C,).
        follow: the node behind a node and a column, (N, C).
        depth: tokens of the beginning of a phrase that a node stands for, (N,).
        done: tokens of the longest phrase that ends there, 0 if none does, (N,).
        first: the node where a sentence begins.
        longest: M.
    """

    column: Tensor
    begins: Tensor
    follow: Tensor
    depth: Tensor
    done: Tensor
    first: int
    longest: int


def _tree(phrases: Sequence[Sequence[int]]) -> tuple[list[dict[int, int]], list[int], list[int]]:
    """Children by token, depths, and lengths of the phrases that end at the nodes."""
    children: list[dict[int, int]] = [{}]
    depth, done = [0], [0]
    for phrase in phrases:
        node = 0
        for token in phrase:
            if token not in children[node]:
                children[node][token] = len(children)
                children.append({})
                depth.append(depth[node] + 1)
                done.append(0)
            node = children[node][token]
        done[node] = len(phrase)
    return children, depth, done


def phrase_table(
    phrases: Sequence[Sequence[int]],
    begins: Sequence[bool],
    eos: int,
    before: Sequence[int] = (),
    device: str | torch.device = "cpu",
) -> Phrases:
    """The automaton of some phrases.

    Args:
        phrases: their token numbers, one at least, none empty.
        begins: whether each token of the vocabulary begins a word, (V,).
        eos: number of <sos/eos>.
        before: tokens that a sentence is taken to stand behind (a space, where words begin with one).
        device: where the search runs.
    """
    children, depth, done = _tree(phrases)
    tokens = sorted({token for phrase in phrases for token in phrase})
    column = torch.tensor([_BEGINS if b else _WITHIN for b in begins])
    column[eos] = _END
    column[tokens] = torch.arange(len(tokens)) + _END + 1
    places = [{int(column[t]): child for t, child in own.items()} for own in children]
    follow = _linked(places, done, len(tokens) + _END + 1)
    first = 0
    for token in before:
        first = int(follow[first, column[token]])
    starts = torch.tensor([False, True, True, *(begins[token] for token in tokens)])
    tables = (column, starts, follow, torch.tensor(depth), torch.tensor(done))
    column, starts, follow, depths, ends = (x.to(device) for x in tables)
    return Phrases(column, starts, follow, depths, ends, first, max(depth))


def _linked(children: Sequence[dict[int, int]], done: list[int], columns: int) -> Tensor:
    """The node behind each node and column (N, C); `done` learns of phrases that end inside others.

    Args:
        children: of each node, by column.
        done: length of the phrase that ends at each node.
        columns: C.
    """
    follow = torch.zeros(len(children), columns, dtype=torch.int64)
    fail = [0] * len(children)
    waiting = deque([0])
    while waiting:
        node = waiting.popleft()
        if node:
            follow[node] = follow[fail[node]]
            done[node] = max(done[node], done[fail[node]])
        for place, child in children[node].items():
            fail[child] = int(follow[node, place]) if node else 0
            follow[node, place] = child
            waiting.append(child)
    return follow


@dataclass(frozen=True)
class BoostState:
    """Where hypotheses stand.

    Attributes:
        node: (U, W).
        covered: which of the last M tokens have gained for good, the latest first, (U, W, M).
    """

    node: Tensor
    covered: Tensor


class BoostScorer:
    """Points of the next token of each hypothesis."""

    def __init__(self, phrases: Phrases) -> None:
        self.phrases = phrases

    def start(self, encoded: Tensor, lengths: Tensor) -> Any:
        """None: <sos> is read first, and is no part of a phrase."""
        return None

    def step(self, tokens: Tensor, state: BoostState | None) -> tuple[Tensor, BoostState]:
        """Read a token of each hypothesis (U, W) -> points of the next (U, W, V), and the state."""
        if state is None:
            node = torch.full_like(tokens, self.phrases.first)
            nothing = node.new_zeros((*node.shape, self.phrases.longest), dtype=torch.bool)
            # what a sentence is taken to stand behind gains nothing
            after = BoostState(node, self._with_last(nothing, self.phrases.depth[node]))
        else:
            after = self._advanced(state, tokens)
        return self._points(after)[:, :, self.phrases.column], after

    def reorder(self, state: BoostState | None, parents: Tensor) -> BoostState | None:
        """Hypotheses that go on from `parents` (U, W)."""
        if state is None:
            return None
        index = parents[:, :, None].expand(-1, -1, self.phrases.longest)
        return BoostState(state.node.gather(1, parents), state.covered.gather(1, index))

    def keep(self, state: BoostState | None, rows: Tensor) -> BoostState | None:
        """The utterances `rows` (M,)."""
        return None if state is None else BoostState(state.node[rows], state.covered[rows])

    def join(self, one: BoostState, two: BoostState, width: int, frames: int) -> BoostState:
        """The utterances of both, with `width` hypotheses each."""
        pad = torch.nn.functional.pad
        nodes = [pad(s.node, (0, width - s.node.shape[1])) for s in (one, two)]
        covered = [pad(s.covered, (0, 0, 0, width - s.node.shape[1])) for s in (one, two)]
        return BoostState(torch.cat(nodes), torch.cat(covered))

    def _advanced(self, state: BoostState, tokens: Tensor) -> BoostState:
        column = self.phrases.column[tokens]
        ended = self.phrases.done[state.node] * self.phrases.begins[column]
        covered = self._with_last(state.covered, ended)
        covered = torch.cat((torch.zeros_like(covered[..., :1]), covered[..., :-1]), dim=-1)
        return BoostState(self.phrases.follow[state.node, column], covered)

    def _with_last(self, covered: Tensor, number: Tensor) -> Tensor:
        """(U, W, M) with the last `number` (U, W) tokens among them."""
        places = torch.arange(self.phrases.longest, device=covered.device)
        return covered | (places < number[..., None])

    def _points(self, state: BoostState) -> Tensor:
        """What each column adds, (U, W, C): tokens that gain for good, and those that gain for now."""
        table = self.phrases
        done, depth = table.done[state.node], table.depth[state.node]
        before = _counted(state.covered)
        hoped = depth - _at(before, depth)
        gained = done - _at(before, done)
        depths = table.depth[table.follow[state.node]]
        going_on = depths - _at(_later(before), depths)
        whole = _counted(self._with_last(state.covered, done))
        ending = gained[..., None] + depths - _at(_later(whole), depths)
        return (torch.where(table.begins, ending, going_on) - hoped[..., None]).float()


def _counted(covered: Tensor) -> Tensor:
    """How many of the last 0, 1, ... M tokens are covered, (U, W, M + 1)."""
    return torch.nn.functional.pad(covered.long().cumsum(dim=-1), (1, 0))


def _later(counted: Tensor) -> Tensor:
    """The same when another token, not covered, stands behind them."""
    return torch.nn.functional.pad(counted[..., :-1], (1, 0))


def _at(counted: Tensor, number: Tensor) -> Tensor:
    """Counts (U, W, M + 1) at `number` (U, W) or (U, W, C)."""
    if number.dim() == counted.dim():
        return counted.gather(-1, number)
    return counted.gather(-1, number[..., None])[..., 0]
