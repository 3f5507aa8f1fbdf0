"""Means over what is speech, not padding."""

from __future__ import annotations

from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, L, ...) over the true places of (B, L); 0 where there are none."""
    weight = mask.to(values.dtype).reshape(*mask.shape, *[1] * (values.dim() - mask.dim()))
    weight = weight.expand_as(values)
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def time_means(values: Tensor, mask: Tensor) -> Tensor:
    """Means of each utterance: (B, L, ...) over the true places of (B, L) -> (B, ...)."""
    weight = mask.to(values.dtype).reshape(*mask.shape, *[1] * (values.dim() - mask.dim()))
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1.0)
