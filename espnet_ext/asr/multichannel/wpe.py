"""Dereverberation by weighted prediction error, in batches and differentiable.

The same answer as the package nara_wpe gives for one utterance (a test compares them).
"""

from __future__ import annotations

import torch
from torch import Tensor


def wpe(
    spectra: Tensor, speech: Tensor, taps: int = 5, delay: int = 3, iterations: int = 2
) -> Tensor:
    """Take from each frame what can be predicted from frames `delay` and more before it.

    Nakatani et al. (2010); batched as Drude et al. (2018), "NARA-WPE".

    Args:
        spectra: (B, C, F, T).
        speech: (B, T), true within each utterance.
        taps: frames that the prediction uses.
        delay: frames that it leaves out, as long as a sound itself.
        iterations: how often the speech's power is estimated again.

    Returns:
        (B, C, F, T), 0 past the end.
    """
    y = spectra.transpose(1, 2).to(torch.complex128) * speech[:, None, None]  # (B, F, C, T)
    past = delayed(y, taps, delay)
    found = y
    for _ in range(iterations):
        weight = inverse_power(found) * speech[:, None]
        weighted = past * weight[:, :, None]
        correlation = weighted @ past.mH
        size = correlation.diagonal(dim1=-2, dim2=-1).real.mean(-1)[..., None, None]
        eye = torch.eye(correlation.shape[-1], dtype=y.dtype, device=y.device)
        filters = torch.linalg.solve(correlation + (1e-10 * size + 1e-30) * eye, weighted @ y.mH)
        found = (y - filters.mH @ past) * speech[:, None, None]
    return found.transpose(1, 2).to(spectra.dtype)


def inverse_power(spectra: Tensor) -> Tensor:
    """One over the power of (B, F, C, T), the mean of the microphones, not under 1e-10 of the loudest; (B, F, T)."""
    power = spectra.abs().square().mean(2)
    least = 1e-10 * power.detach().amax((1, 2), keepdim=True)
    return 1 / torch.maximum(power, least.clamp(min=1e-30))


def delayed(y: Tensor, taps: int, delay: int) -> Tensor:
    """(B, F, C, T) -> (B, F, taps * C, T): the frames `delay`, `delay + 1`, ... before each."""
    length = y.shape[-1]
    padded = torch.nn.functional.pad(y, (delay + taps - 1, 0))
    return torch.cat(
        [padded[..., taps - 1 - k : taps - 1 - k + length] for k in range(taps)], dim=2
    )
