"""What scores the next token of all hypotheses of several utterances.

Letters in shapes: U utterances, W hypotheses of each, T encoder frames, D width, V vocabulary.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from espnet_ext.lm.ngram import NgramLookup
from espnet_ext.search import stack as stacks
from espnet_ext.search.joining import join
from espnet_ext.search.weights import Stack


class Scorer(Protocol):
    """Scores every token after every hypothesis."""

    def start(self, encoded: Tensor, lengths: Tensor) -> Any:
        """The state of one hypothesis an utterance, before <sos>; the encoder's output (U, T, D), (U,)."""

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a token of each hypothesis (U, W) -> log-probabilities of the next (U, W, V), and the state."""

    def reorder(self, state: Any, parents: Tensor) -> Any:
        """Hypotheses that go on from `parents` (U, W), numbers within their utterance."""

    def keep(self, state: Any, rows: Tensor) -> Any:
        """The utterances `rows` (M,)."""


@runtime_checkable
class Reader(Protocol):
    """A scorer that reads whole sentences."""

    def read(self, tokens: Tensor, sizes: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a sentence of each utterance.

        Args:
            tokens: (U, L), <sos> first; of each the first `sizes` (U,) count.
            state: of `start`.

        Returns:
            Log-probabilities of each next token (U, L, V), and the state, which makes use of them.
        """


@runtime_checkable
class Joining(Protocol):
    """A scorer whose utterances may begin at different times."""

    def join(self, one: Any, two: Any, width: int, frames: int) -> Any:
        """The utterances of two states, neither of them before <sos>.

        Args:
            one, two: the states.
            width: W of the result, no less than that of either.
            frames: T of the result, that of the longest utterance.
        """


def can_join(scorer: Scorer) -> bool:
    """Whether utterances may begin at different times."""
    return isinstance(scorer, Joining) and getattr(scorer, "joins", True)


class _Stacked:
    """A Transformer; `live` (U, W) of a step are the hypotheses that there are, None = all."""

    packs = True

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def step(self, tokens: Tensor, state: Any, live: Tensor | None = None) -> tuple[Tensor, Any]:
        return stacks.step(self.stack, tokens, state, live)

    def read(self, tokens: Tensor, sizes: Tensor, state: Any) -> tuple[Tensor, Any]:
        return stacks.read(self.stack, tokens, sizes, state)

    def reorder(self, state: Any, parents: Tensor) -> Any:
        return stacks.reorder(state, parents)

    def keep(self, state: Any, rows: Tensor) -> Any:
        return stacks.keep(state, rows)

    def join(self, one: Any, two: Any, width: int, frames: int) -> Any:
        return join(one, two, width, frames)


class DecoderScorer(_Stacked):
    """An attention decoder.

    Args:
        stack: its weights.
        threshold: frames that its tokens together looked at more than that are covered; None = nobody asks.

    Attributes:
        gain: by how many frames the last token that this thread read made each hypothesis' coverage grow, (U, W).
    """

    def __init__(self, stack: Stack, threshold: float | None = None) -> None:
        super().__init__(stack)
        self.threshold = threshold
        self._last = threading.local()  # one recogniser may serve several threads

    @property
    def gain(self) -> Tensor | None:
        return getattr(self._last, "gain", None)

    def start(self, encoded: Tensor, lengths: Tensor) -> Any:
        memory = stacks.remember(self.stack, encoded, lengths)
        return stacks.start(self.stack, len(encoded), memory, self.threshold is not None)

    def step(self, tokens: Tensor, state: Any, live: Tensor | None = None) -> tuple[Tensor, Any]:
        found, after = super().step(tokens, state, live if self.threshold is None else None)
        if self.threshold is not None:
            more = (after.looked > self.threshold).sum(dim=2)
            self._last.gain = (more - (state.looked > self.threshold).sum(dim=2)).float()
        return found, after


class CoverageScorer:
    """How many more frames a hypothesis has looked at (Chorowski and Jaitly 2017, section 3.2): against leaving out.

    Args:
        decoder: whose attention it is; steps before this.
        size: V.
    """

    def __init__(self, decoder: DecoderScorer, size: int) -> None:
        self.decoder, self.size = decoder, size

    def start(self, encoded: Tensor, lengths: Tensor) -> Any:
        return None

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        gain = self.decoder.gain
        assert gain is not None and gain.shape == tokens.shape
        return gain[:, :, None].expand(-1, -1, self.size), None

    def reorder(self, state: Any, parents: Tensor) -> Any:
        return None

    def keep(self, state: Any, rows: Tensor) -> Any:
        return None

    def join(self, one: Any, two: Any, width: int, frames: int) -> Any:
        return None


class DecoderAloneScorer(_Stacked):
    """The decoder with nothing to hear: one frame of zeros (see bridge.external.DecoderAlone)."""

    def start(self, encoded: Tensor, lengths: Tensor) -> Any:
        silence = torch.zeros_like(encoded[:, :1])
        memory = stacks.remember(self.stack, silence, torch.ones_like(lengths))
        return stacks.start(self.stack, len(encoded), memory)


class TransformerScorer(_Stacked):
    """A Transformer language model."""

    def start(self, encoded: Tensor, lengths: Tensor) -> Any:
        return stacks.start(self.stack, len(encoded))


@dataclass(frozen=True)
class Flat:
    """A state whose rows are hypotheses of U utterances, `width` each."""

    state: Any
    utterances: int
    width: int

    def rows(self, numbers: Tensor, utterances: Tensor) -> Tensor:
        """Row numbers of hypotheses `numbers` (M, W) of `utterances` (M,), flat."""
        return (utterances[:, None] * self.width + numbers).flatten()


def _device(state: Any) -> torch.device:
    found: torch.device = (state[0] if isinstance(state, tuple) else state).device
    return found


class _Rows:
    """A scorer that knows hypotheses only; subclasses give `_begin`, `_read`, `_pick` and `_join`."""

    def _begin(self, number: int) -> Any:
        raise NotImplementedError

    def _read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        raise NotImplementedError

    def _pick(self, state: Any, index: Tensor) -> Any:
        raise NotImplementedError

    def _join(self, one: Any, two: Any) -> Any:
        raise NotImplementedError

    def start(self, encoded: Tensor, lengths: Tensor) -> Flat:
        return Flat(self._begin(len(encoded)), len(encoded), 1)

    def step(self, tokens: Tensor, state: Flat) -> tuple[Tensor, Flat]:
        found, after = self._read(tokens.flatten(), state.state)
        return found.view(*tokens.shape, -1), Flat(after, *tokens.shape)

    def reorder(self, state: Flat, parents: Tensor) -> Flat:
        utterances = torch.arange(len(parents), device=parents.device)
        picked = self._pick(state.state, state.rows(parents, utterances))
        return Flat(picked, *parents.shape)

    def keep(self, state: Flat, rows: Tensor) -> Flat:
        numbers = torch.arange(state.width, device=rows.device).expand(len(rows), -1)
        return Flat(self._pick(state.state, state.rows(numbers, rows)), len(rows), state.width)

    def join(self, one: Flat, two: Flat, width: int, frames: int) -> Flat:
        grown = []
        for state in (one, two):
            places = torch.arange(width).clamp(max=state.width - 1).expand(state.utterances, -1)
            grown.append(self.reorder(state, places.to(_device(state.state))).state)
        return Flat(self._join(*grown), one.utterances + two.utterances, width)


class CachedDecoderScorer(_Rows):
    """A decoder with `start`, `step` and `reorder` over hypotheses of several utterances (see asr.fusion_decoder)."""

    joins = False  # all hypotheses are equally long

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder

    def start(self, encoded: Tensor, lengths: Tensor) -> Flat:
        return Flat(self.decoder.start(encoded, lengths), len(encoded), 1)

    def _read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.decoder.step(tokens, state)  # type: ignore[no-any-return]

    def _pick(self, state: Any, index: Tensor) -> Any:
        return self.decoder.reorder(state, index)


class CachedScorer(_Rows):
    """A language model with `start`, `step` and `reorder` over hypotheses (see lm.cached).

    Attributes:
        joins: whether hypotheses of different lengths may stand in a state: a recurrent one, whose tensors have the
            hypotheses as their second dimension, or None at first.
    """

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        begin = lm.start(1)
        self.joins = begin is None or type(begin) is tuple

    def _begin(self, number: int) -> Any:
        return self.lm.start(number)

    def _read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.lm.step(tokens, state)  # type: ignore[no-any-return]

    def _pick(self, state: Any, index: Tensor) -> Any:
        return self.lm.reorder(state, index)

    def _join(self, one: Any, two: Any) -> Any:
        if not isinstance(one, tuple):
            return torch.cat((one, two), dim=1)
        return tuple(torch.cat(pair, dim=1) for pair in zip(one, two, strict=True))


class NgramTableScorer(_Rows):
    """An n-gram model; the state is each hypothesis' history before the token that is read next, or None.

    Attributes:
        falls: whether no token makes a hypothesis better; with broken weights of back-off some do.
    """

    def __init__(self, lookup: NgramLookup) -> None:
        self.lookup, self.falls = lookup, lookup.falls()
        if not self.falls:
            logging.warning(
                "n-gram model: found tokens with a probability above 1 (broken weights of back-off), expected none: "
                "what it finds is right by its figures, the search takes longer"
            )

    def _begin(self, number: int) -> Any:
        return None

    def _read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        if state is None:  # <sos>
            histories = self.lookup.start(len(tokens))
        else:
            histories = self.lookup.advance(state, tokens)
        return self.lookup.scores(histories).float(), histories

    def _pick(self, state: Any, index: Tensor) -> Any:
        return None if state is None else state[index]

    def _join(self, one: Any, two: Any) -> Any:
        return torch.cat((one, two))
