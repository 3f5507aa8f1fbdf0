"""Which phone is spoken: CTC over a second, smaller list of tokens (Fernandez et al. 2007; Krishna et al. 2018).

Letters in shapes: N rows of a batch, T frames, D width, P phones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.objectives.feasible import too_short
from espnet_ext.errors import UserError


class PhoneHead(nn.Module):
    """CTC on phones from the encoder's output, or from a middle layer's.

    Args:
        width: D.
        phones: P, length of the phones' token list; 0 is the blank.
        layer: of the encoder, counted from 1, as in `interctc_layer_idx`; None = its output.

    Raises:
        ValueError: for fewer than three tokens.
    """

    def __init__(self, width: int, phones: int, layer: int | None = None) -> None:
        super().__init__()
        if phones < 3:
            raise ValueError(
                f"phones: found {phones}, expected the length of the phones' token list (tokens.txt)"
            )
        self.phones, self.layer = phones, layer
        self.out = nn.Linear(width, phones)

    def choose(self, out: Tensor, middle: list[tuple[int, Tensor]]) -> Tensor:
        """The layer's output (N, T, D) among what the encoder gives.

        Raises:
            UserError: if the encoder does not hand it out.
        """
        if self.layer is None:
            return out
        found = dict(middle)
        if self.layer not in found:
            raise UserError(
                f"phone_layer: found {self.layer}, the encoder hands out {sorted(found) or 'none'}; expected one of "
                "encoder_conf: {interctc_layer_idx: [...]}, or no phone_layer for its output"
            )
        return found[self.layer]

    def forward(self, x: Tensor, lengths: Tensor, phones: Tensor, number: Tensor) -> Tensor:
        """CTC in nats, mean over utterances; those with more phones than frames count as 0.

        Args:
            x: (N, T, D).
            lengths: (N,), in frames.
            phones: (N, K), ids.
            number: (N,), how many there are.

        Raises:
            UserError: for an id that is not in the list.
        """
        if int(phones.max()) >= self.phones:
            raise UserError(
                f"phones: found id {int(phones.max())}, expected ids below {self.phones}; set model_conf: "
                "{phones: ...} to the length of the phones' token list"
            )
        log_probs = self.out(x).float().log_softmax(dim=-1).transpose(0, 1)
        target = phones.clamp(min=0)
        found = F.ctc_loss(log_probs, target, lengths, number, reduction="none", zero_infinity=True)
        skip = too_short(phones, number, lengths)
        return torch.where(skip, 0.0, found).sum() / len(x)
