"""What our neural language models have in common: a state that a search can start, step and reorder.

Letters in shapes: N hypotheses, L tokens of a text, t tokens read so far, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from espnet2.lm.abs_model import AbsLM
from torch import Tensor


class CachedLM(AbsLM):
    """A language model over tokens that reads one token at a time without reading the others again.

    Subclasses give `forward`, `start`, `step` and `reorder`; ESPnet's `score` and `batch_score` follow from these.
    """

    def start(self, number: int = 1) -> Any:
        """The state of `number` hypotheses before <sos>."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a token of each hypothesis.

        Args:
            tokens: (N,), <sos> at first.
            state: before it; used up.

        Returns:
            Log-probabilities of the next token (N, V), and the state.
        """
        raise NotImplementedError

    def reorder(self, state: Any, index: Tensor) -> Any:
        """The hypotheses `index` (M,) of a state, in that order; some may come twice. The state stays as it is."""
        raise NotImplementedError

    def join(self, states: list[tuple[Any, int]]) -> Any:
        """One state out of hypotheses of several."""
        raise NotImplementedError

    def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        """Log-probabilities (V,) after one hypothesis (t,), and its state (see ESPnet's ScorerInterface)."""
        found, states = self.batch_score(y[None], [state], x)
        return found[0], states[0]

    def batch_score(self, ys: Tensor, states: list[Any], xs: Tensor) -> tuple[Tensor, list[Any]]:
        """The next token of several hypotheses (see ESPnet's BatchScorerInterface).

        Args:
            ys: (N, t), each beginning with <sos>.
            states: of each; None at first, then what the last call returned: (state of that call, row).
            xs: not looked at.
        """
        if states[0] is None:
            state = self.start(len(ys))
            for place in range(ys.shape[1] - 1):  # a search may begin with a prompt
                _, state = self.step(ys[:, place], state)
        else:
            first = states[0][0]
            if all(state is first for state, _ in states):
                rows = torch.tensor([row for _, row in states], device=ys.device)
                state = self.reorder(first, rows)
            else:
                state = self.join(states)
        found, after = self.step(ys[:, -1], state)
        return found, [(after, row) for row in range(len(ys))]
