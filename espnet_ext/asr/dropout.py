"""What is random in training: dropout that costs little on a CPU, noise, stochastic depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def checked(name: str, value: float) -> float:
    """`value`, if that much may be left out at random.

    Raises:
        ValueError: if it is not in [0, 1).

    Example:
        >>> checked("dropout", 0.1)
        0.1
    """
    if not 0 <= value < 1:
        raise ValueError(f"found {name} {value}, expected 0 <= p < 1")
    return value


class ByteDropout(nn.Module):
    """Dropout whose random numbers are single bytes, drawn seven at a time on a CPU.

    torch draws a double from a sequential generator for each element there, which took 25 % of a step of a
    4 M parameter encoder; this takes 4 %. The probability is rounded to a multiple of 1/256, and the scaling
    belongs to the rounded one, so that the expectation is kept. On a GPU it is torch's own dropout.

    Args:
        probability: of an element to become 0, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = checked("dropout", probability)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or self.probability == 0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.probability)
        dropped = min(255, max(1, round(self.probability * 256)))
        words = torch.empty((x.numel() + 6) // 7, dtype=torch.int64).random_(0, 1 << 56)
        # seven of the eight bytes of a number below 2^56 are random, the top one is 0
        random = words.view(torch.uint8).view(-1, 8)[:, :7].reshape(-1)[: x.numel()].view(x.shape)
        return x * (random >= dropped).to(x.dtype).mul_(256 / (256 - dropped))

    def extra_repr(self) -> str:
        """Shown in the model's print."""
        return f"probability={self.probability}"


class Noise(nn.Module):
    """Gaussian noise added in training.

    Args:
        deviation: standard deviation, in the unit of what it is added to; 0 for none.
    """

    def __init__(self, deviation: float) -> None:
        super().__init__()
        if not deviation >= 0:
            raise ValueError(f"found noise {deviation}, expected a deviation of 0 or more")
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or self.deviation == 0:
            return x
        return x + self.deviation * torch.randn_like(x)


class StochasticDepth(nn.Module):
    """Some utterances of a batch go past a block in training (Huang et al. 2016).

    What the block changes is scaled by 1 / (1 - p) for the others, so that the mean is that of the whole model,
    which evaluation uses.

    Args:
        probability: p, of going past, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = checked("stochastic depth", probability)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Twice (B, T, D) -> (B, T, D)."""
        if not self.training or self.probability == 0:
            return after
        stays = torch.rand(before.shape[0], 1, 1, device=before.device) >= self.probability
        return before + (after - before) * stays.to(before.dtype).div_(1 - self.probability)
