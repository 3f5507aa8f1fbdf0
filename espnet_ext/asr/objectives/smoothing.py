"""Cross-entropy with label smoothing, as ESPnet defines it, in one fused step."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F


def smoothed_cross_entropy(
    logits: Tensor, target: Tensor, ignore: int, smoothing: float, per_token: bool = False
) -> Tensor:
    """KL divergence of the prediction from the smoothed target, in nats, summed over tokens, mean over texts.

    The target has 1 - smoothing at its token and smoothing / (V - 1) everywhere else (Szegedy et al. 2016 take V).
    ESPnet's module builds it, and two more tensors of its size; torch's cross-entropy needs none of them.

    Args:
        logits: (N, L, V).
        target: (N, L), `ignore` where there is nothing to predict.
        ignore: that value.
        smoothing: in [0, 1).
        per_token: mean over tokens instead of over texts.

    Returns:
        A scalar, 0 for a prediction equal to the smoothed target.
    """
    size = logits.shape[-1]
    rest = smoothing / (size - 1)
    # torch spreads its smoothing over all V tokens, the right one among them
    loss = F.cross_entropy(
        logits.flatten(0, 1),
        target.flatten(),
        ignore_index=ignore,
        label_smoothing=smoothing * size / (size - 1),
        reduction="sum",
    )
    entropy = -sum(n * p * math.log(p) for n, p in ((1, 1 - smoothing), (size - 1, rest)) if p > 0)
    number = (target != ignore).sum()
    return (loss - number * entropy) / (number if per_token else len(target))
