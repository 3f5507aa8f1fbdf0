"""Mean and deviation of what a model predicts, found while it trains and kept with its weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_GRAIN = 10_000  # sums are kept as whole numbers of 1 / _GRAIN


class Standardise(nn.Module):
    """To mean 0 and deviation 1, by the first batches of training, and back.

    The statistics are in the model, so that it knows what a semitone is wherever it is loaded. The sums are whole
    numbers: those of several processes, or of averaged checkpoints, are added up and say the same.

    Args:
        mean, deviation: what is supposed before anything has been seen.
        updates: batches that count; later ones leave the scale as it is, which the model has got used to.
    """

    count: Tensor
    total: Tensor
    squares: Tensor
    updates: Tensor

    def __init__(self, mean: float, deviation: float, updates: int = 200) -> None:
        super().__init__()
        self.supposed, self.most = (mean, deviation), updates
        for name in ("count", "total", "squares", "updates"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @property
    def open(self) -> bool:
        """Whether the next batch counts."""
        return self.training and int(self.updates) < self.most

    @torch.no_grad()
    def see(self, values: Tensor, mask: Tensor) -> None:
        """A batch of any shape; only true places count."""
        if not self.open:
            return
        away = ((values.double() - self.supposed[0]) * mask).flatten()
        self.count += mask.sum()
        self.total += (away.sum() * _GRAIN).round().long()
        self.squares += (away.square().sum() * _GRAIN).round().long()
        self.updates += 1

    def scale(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation, each ()."""
        mean, deviation = (self.total.new_tensor(v, dtype=torch.float32) for v in self.supposed)
        number = self.count.double().clamp(min=1) * _GRAIN
        away = self.total / number
        found = (self.squares / number - away.square()).clamp(min=1e-4).sqrt().float()
        seen = self.count > 1
        return mean + away.float(), torch.where(seen, found, deviation)

    def forward(self, values: Tensor) -> Tensor:
        """Any shape -> the same, standardised."""
        mean, deviation = self.scale()
        return (values - mean) / deviation

    def back(self, values: Tensor) -> Tensor:
        """Any shape -> the same, as it was before."""
        mean, deviation = self.scale()
        return values * deviation + mean
