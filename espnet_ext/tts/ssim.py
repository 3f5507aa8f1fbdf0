"""Structural similarity of spectrograms (Wang et al. 2004), as a loss.

Letters in shapes: B batch, T mel frames, M mel bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.tts.masks import masked_mean

_SIZE, _SIGMA = 11, 1.5  # of the window (paper, section III.B)
_C1, _C2 = 0.01**2, 0.03**2  # for values from 0 to 1


def _blur(images: Tensor) -> Tensor:
    """Weighted means around each place of (K, 1, T, M), zeros outside."""
    at = torch.arange(_SIZE, device=images.device) - _SIZE // 2
    line = torch.exp(-at.square() / (2 * _SIGMA**2)).to(images.dtype)
    line = line / line.sum()
    down = F.conv2d(images, line.reshape(1, 1, -1, 1), padding=(_SIZE // 2, 0))
    return F.conv2d(down, line.reshape(1, 1, 1, -1), padding=(0, _SIZE // 2))


def ssim_loss(
    found: Tensor, true: Tensor, mask: Tensor, low: float = -4.0, high: float = 4.0
) -> Tensor:
    """1 - similarity, a mean over frames and bins: 0 where both are alike.

    In 32 bits whatever the model computes in: variances are small differences of large means.

    Args:
        found, true: (B, T, M), normalised to deviation 1.
        mask: (B, T).
        low, high: become 0 and 1.
    """
    with torch.autocast(found.device.type, enabled=False):
        likeness = _likeness(*(_scaled(x.float(), mask, low, high) for x in (found, true)))
        return masked_mean(1 - likeness[:, 0], mask)


def _scaled(values: Tensor, mask: Tensor, low: float, high: float) -> Tensor:
    """(B, T, M) -> (B, 1, T, M) from 0 to 1, and 0 behind an utterance's end."""
    return ((values - low) / (high - low) * mask[..., None])[:, None]


def _likeness(a: Tensor, b: Tensor) -> Tensor:
    """Of two images (B, 1, T, M), at each place (paper, eq. 13)."""
    means = _blur(torch.cat((a, b, a * a, b * b, a * b)))
    mean_a, mean_b, square_a, square_b, product = means.split(len(a))
    both = mean_a * mean_b
    var_a, var_b = square_a - mean_a.square(), square_b - mean_b.square()
    likeness = (2 * both + _C1) * (2 * (product - both) + _C2)
    return likeness / ((mean_a.square() + mean_b.square() + _C1) * (var_a + var_b + _C2))
