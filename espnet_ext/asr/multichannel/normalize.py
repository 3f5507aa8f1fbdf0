"""Features of an utterance brought to one level and spread, channel by channel."""

from __future__ import annotations

import torch
from espnet2.layers.abs_normalize import AbsNormalize
from torch import Tensor

from espnet_ext.asr.blocks import length_mask


class ChannelMVN(AbsNormalize):
    """Every channel of the features has mean 0 and variance 1 over its utterance.

    ESPnet's utterance_mvn with norm_vars counts the padding of a batch into the variance, so that an utterance is not
    the same alone; this one does not. In a YAML: `normalize: espnet_ext.asr.multichannel.normalize:ChannelMVN`.

    Args:
        variance: False: only the mean.
        least: standard deviations below this are taken to be it: a silent channel stays silent.
    """

    def __init__(self, variance: bool = True, least: float = 1e-3) -> None:
        super().__init__()
        self.variance, self.least = variance, least

    def forward(self, x: Tensor, ilens: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, D) and frames of each (B,) -> the same shapes; 0 past the end."""
        if ilens is None:
            ilens = torch.full((x.shape[0],), x.shape[1], device=x.device)
        inside = length_mask(ilens, x.shape[1])[..., None]
        count = ilens[:, None, None].to(x.dtype)
        mean = (x * inside).sum(1, keepdim=True) / count
        centred = (x - mean) * inside
        if not self.variance:
            return centred, ilens
        spread = (centred.square().sum(1, keepdim=True) / count + 1e-12).sqrt()
        return centred / spread.clamp(min=self.least), ilens

    def extra_repr(self) -> str:
        """Shown in the model's print."""
        return f"variance={self.variance}"
