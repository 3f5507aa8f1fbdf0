"""SpecAugment that begins when there is something to make robust."""

from __future__ import annotations

from typing import Any

import torch
from espnet2.asr.specaug.abs_specaug import AbsSpecAug
from torch import Tensor

from espnet_ext.bridge.choices import choices
from espnet_ext.bridge.hook import import_class


class LateSpecAug(AbsSpecAug):
    """ESPnet's SpecAugment (Park et al. 2019) after the first `begin` batches.

    Before CTC has found its first alignments masks only delay them: with 30 minutes of speech the loss left its
    plateau after 300 updates without masks, and after 600 with them.

    Args:
        begin: training batches without masks.
        conf: everything else is SpecAug's.
    """

    def __init__(self, begin: int = 500, **conf: Any) -> None:
        super().__init__()
        self.begin = begin
        # not find_class, which would change how a stock process that uses this class imports ESPnet
        self.masks = import_class(choices("asr")["specaug"]["specaug"])(**conf)
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor, x_lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, T, F) and (B,) -> the same shapes."""
        if self.training:
            self.batches += 1
        if int(self.batches) <= self.begin:
            return x, x_lengths
        masked: tuple[Tensor, Tensor | None] = self.masks(x, x_lengths)
        return masked
