"""A learning rate that rises, then falls along half a cosine to the end of training."""

from __future__ import annotations

import math
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler


class WarmupCosine(torch.optim.lr_scheduler.LambdaLR, AbsBatchStepScheduler):
    """Linear warm-up, then cosine decay (Loshchilov and Hutter 2017, without restarts).

    Args:
        optimizer: its learning rate is the peak.
        total_steps: updates of the whole training; the training loop fills it in when it is not given.
        warmup: share of `total_steps` that the rise takes, in [0, 1).
        floor: the last learning rate as a share of the peak; it stays there if training goes on.

    Raises:
        ValueError: for shares outside their ranges.
    """

    def __init__(
        self, optimizer: Any, total_steps: int, warmup: float = 0.1, floor: float = 0.01
    ) -> None:
        if not (0 <= warmup < 1 and 0 <= floor <= 1 and total_steps > 0):
            raise ValueError(
                f"found total_steps {total_steps}, warmup {warmup}, floor {floor}; expected a positive number, "
                "a share below 1 and a share"
            )
        rise = warmup * total_steps

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / (rise + 1)
            done = min(1.0, (step - rise) / max(1.0, total_steps - rise))
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

        super().__init__(optimizer, factor)
