"""Utterances that CTC cannot align: fewer frames than tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from espnet_ext.errors import UserError


class TooShortForCTC(UserError):
    """Some utterances of a batch have fewer encoder frames than CTC needs for their text.

    Attributes:
        indices: their places in the batch; the training loop turns them into ids.
    """

    def __init__(self, indices: list[int], frames: list[int], needed: list[int]) -> None:
        self.indices = indices
        shown = ", ".join(
            f"place {i}: {t} encoder frames, at least {n} needed"
            for i, t, n in list(zip(indices, frames, needed, strict=True))[:5]
        )
        super().__init__(
            f"{len(indices)} utterance(s) of a batch are too short for CTC ({shown}; a frame a token and one "
            "between equal tokens): leave them out in the filter stage, subsample less (encoder_conf), use longer "
            "tokens, or go on without them with model_conf: {too_short: skip}"
        )


def frames_needed(text: Tensor, text_lengths: Tensor) -> Tensor:
    """(B, L) and (B,) -> (B,): a frame for each token and a blank between equal neighbours (Graves et al. 2006)."""
    inside = torch.arange(1, text.shape[1], device=text.device) < text_lengths[:, None]
    return text_lengths + ((text[:, 1:] == text[:, :-1]) & inside).sum(dim=1)


def too_short(text: Tensor, text_lengths: Tensor, frames: Tensor) -> Tensor:
    """(B,) true where CTC has no path: fewer `frames` (B,) than needed."""
    return frames < frames_needed(text, text_lengths)


def check_lengths(text: Tensor, text_lengths: Tensor, frames: Tensor) -> None:
    """Nothing, if every utterance is long enough.

    Raises:
        TooShortForCTC: naming the others.
    """
    bad = too_short(text, text_lengths, frames)
    if bool(bad.any()):
        places = bad.nonzero()[:, 0].tolist()
        needed = frames_needed(text, text_lengths)
        raise TooShortForCTC(places, frames[bad].tolist(), needed[bad].tolist())
