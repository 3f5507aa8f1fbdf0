"""Conditional flow matching with straight paths (Lipman et al. 2023; Matcha-TTS, Mehta et al. 2024, eq. 5-7).

Letters in shapes: B batch, L tokens or frames, K values of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from espnet_ext.asr.positions import sinusoids
from espnet_ext.tts.masks import masked_mean

#: velocity at a place (B, L, K) and a time (B,) from 0 to 1 -> (B, L, K)
Field = Callable[[Tensor, Tensor], Tensor]
#: deviation that is left at the end of a path
REST = 1e-4


class TimeEmbedding(nn.Module):
    """A time from 0 to 1 as a vector.

    Args:
        width: of the vector, even.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, D)."""
        return self.layers(sinusoids(1000 * t, self.width))


def flow_loss(field: Field, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of the velocity at a random time of each utterance.

    Args:
        field: what is learned.
        target: (B, L, K), where paths end.
        mask: (B, L).
    """
    start = torch.randn_like(target)
    t = torch.rand(len(target), device=target.device, dtype=target.dtype)
    along = t[:, None, None]
    place = (1 - (1 - REST) * along) * start + along * target
    wanted = target - (1 - REST) * start
    return masked_mean((field(place, t) - wanted).square(), mask)


def noise_like(x: Tensor) -> Tensor:
    """Normal noise for (B, L, K): the same for each of a batch, and the beginning of that for a longer one.

    So that with one seed a batch is what each of its utterances is alone. It comes from torch's generator of the CPU.
    """
    drawn = torch.Generator().manual_seed(int(torch.randint(1 << 62, ())))
    uniform = torch.rand(x.shape[1:], generator=drawn, dtype=torch.float64).clamp(min=1e-12)
    return (math.sqrt(2) * torch.erfinv(2 * uniform - 1)).to(x).expand_as(x)


def solve(field: Field, start: Tensor, steps: int) -> Tensor:
    """From noise to a value in `steps` Euler steps; start (B, L, K)."""
    place = start
    for step in range(steps):
        t = torch.full((len(start),), step / steps, device=start.device, dtype=start.dtype)
        place = place + field(place, t) / steps
    return place
