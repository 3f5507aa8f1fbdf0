"""WaveNet's gated layers (van den Oord et al. 2016), as several vocoders stack them.

Letters in shapes: B batch, M mel bins, C channels, G channels of a gate, S skip channels, T samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


def through_gate(x: Tensor) -> Tensor:
    """One half, squashed, as far as the other half lets it through; (B, 2 G, T) -> (B, G, T)."""
    shape, open_ = x.chunk(2, dim=1)
    return torch.tanh(shape) * torch.sigmoid(open_)


def residual(
    x: Tensor, heard: Tensor, project: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """What a layer passes on and what it adds to the sum.

    Args:
        x: (B, C, T), the layer's input.
        heard: (B, 2 G, T), its convolution, conditioned.
        project: (B, G, T) -> (B, C + S, T).

    Returns:
        (B, C, T) for the next layer, (B, S, T) for the sum.
    """
    found = project(through_gate(heard))
    channels = x.shape[1]
    return (x + found[:, :channels]) * math.sqrt(0.5), found[:, channels:]


def sum_of_skips(layers: nn.ModuleList, x: Tensor, mel: Tensor) -> Tensor:
    """(B, C, T) and (B, M, T) through all layers -> what they add up to, (B, S, T), at one layer's loudness."""
    total = torch.zeros((), device=x.device)
    for layer in layers:
        x, skipped = layer(x, mel)
        total = total + skipped
    return total * math.sqrt(1.0 / len(layers))
