"""Who speaks: a head that tells the encoder to remember it, or to forget it.

Letters in shapes: N rows of a batch, T frames, D width, S speakers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError

MODES = ("adversarial", "helpful")


class _Reverse(torch.autograd.Function):
    """Identity forwards, minus one backwards (Ganin & Lempitsky 2015, section 3.1)."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(x: Tensor) -> Tensor:
    """`x`, through which gradients go with the other sign."""
    reversed_: Tensor = _Reverse.apply(x)
    return reversed_


def mean_and_deviation(x: Tensor, mask: Tensor) -> Tensor:
    """Over the frames of each utterance: (N, T, D) and (N, T) -> (N, 2 D)."""
    inside = mask[..., None].to(x.dtype)
    number = inside.sum(dim=1).clamp(min=1)
    mean = (x * inside).sum(dim=1) / number
    variance = ((x - mean[:, None]).square() * inside).sum(dim=1) / number
    # a root of 0 would have no gradient
    return torch.cat((mean, (variance + 1e-6).sqrt()), dim=-1)


class SpeakerHead(nn.Module):
    """Names the speaker from mean and deviation of the encoder's output over time (Snyder et al. 2018).

    Args:
        width: D.
        speakers: S, those of the training data; their ids are 1 to S, 0 is anybody else.
        mode: "adversarial": the encoder learns to hide the speaker, for few training speakers and new ones in the
            test; "helpful": to tell it, for what depends on the speaker.
        inner: width between.

    Raises:
        ValueError: for another mode, or fewer than two speakers.
    """

    def __init__(self, width: int, speakers: int, mode: str, inner: int = 128) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"speaker_mode: found {mode!r}, expected {' or '.join(MODES)}")
        if speakers < 2:
            raise ValueError(
                f"speakers: found {speakers}, expected the number of training speakers (the last id in spk2sid)"
            )
        self.adversarial, self.speakers = mode == "adversarial", speakers
        self.layers = nn.Sequential(
            nn.Linear(2 * width, inner), nn.ReLU(), nn.Linear(inner, speakers)
        )

    def forward(self, x: Tensor, mask: Tensor, sids: Tensor) -> tuple[Tensor, Tensor] | None:
        """Cross-entropy in nats and share of speakers named rightly; None if the batch has no training speaker.

        Args:
            x: encoder output (N, T, D).
            mask: (N, T), true where there is speech.
            sids: (N,).

        Raises:
            UserError: for an id above S.
        """
        if int(sids.max()) > self.speakers:
            raise UserError(
                f"speakers: found id {int(sids.max())}, expected 1 to {self.speakers} in utt2sid; set "
                "model_conf: {speakers: ...} to the last id in spk2sid"
            )
        known = sids > 0
        if not bool(known.any()):
            return None
        pooled = mean_and_deviation(x, mask)[known]
        logits = self.layers(reverse_gradient(pooled) if self.adversarial else pooled)
        target = sids[known] - 1
        right = (logits.argmax(dim=-1) == target).sum()
        return F.cross_entropy(logits, target), right / len(target)
