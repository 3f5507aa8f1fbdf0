"""A moving average of the weights (Polyak and Juditsky 1992), which often generalises better than the last ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

State = dict[str, torch.Tensor]


class MovingAverage:
    """Each weight's exponential moving average over updates.

    Args:
        model: whose weights are followed; numbers that count (integers) are taken as they are.
        decay: weight of what was; in the beginning less, (1 + n) / (10 + n) after n updates.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.state: State = {name: t.clone() for name, t in model.state_dict().items()}

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take the weights in after an update, the `updates`-th."""
        kept = min(self.decay, (1 + updates) / (10 + updates))
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor.to(self.state[name].dtype), 1 - kept)
            else:
                self.state[name].copy_(tensor)

    def load(self, state: State) -> None:
        """From a checkpoint."""
        for name, tensor in state.items():
            self.state[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the model has the averaged weights."""
        own = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.load_state_dict(self.state)
        try:
            yield
        finally:
            self.model.load_state_dict(own)
