"""How a text is to be spoken: slower, higher, louder, as a whole or token by token.

Letters in shapes: B batch, N tokens (with the final <sos/eos>).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_ext.errors import UserError

#: one value for all tokens, or one for each, without or with that of <sos/eos>
Control = float | Sequence[float] | Tensor


@dataclass(frozen=True)
class Controls:
    """How each token is to be spoken.

    Attributes:
        length: (B, N), durations against the predicted ones; 2 is half as fast.
        semitones: (B, N), added to the pitch.
        loudness: (B, N), factor of the energy.
    """

    length: Tensor
    semitones: Tensor
    loudness: Tensor


def read_controls(mask: Tensor, length: Control, semitones: Control, loudness: Control) -> Controls:
    """Controls of a batch; mask (B, N), lists are for a batch of one.

    Raises:
        UserError: for a list of another length than the text has, or a value out of range.
    """
    return Controls(
        _spread(mask, length, "alpha", 0.05, 20.0),
        _spread(mask, semitones, "pitch_shift", -48.0, 48.0),
        _spread(mask, loudness, "energy_factor", 0.0, 100.0),
    )


def _spread(mask: Tensor, given: Control, name: str, low: float, high: float) -> Tensor:
    """(B, N); the last token's value goes for <sos/eos> where that has none."""
    found = torch.as_tensor(given, dtype=torch.float32, device=mask.device)
    tokens = mask.shape[1]
    if found.dim() and found.shape[-1] not in (tokens, tokens - 1):
        raise UserError(
            f"{name}: found {found.shape[-1]} values, expected one, or one for each of {tokens - 1} tokens"
        )
    if not bool(((found >= low) & (found <= high)).all()):
        wrong = found[~((found >= low) & (found <= high))].reshape(-1)[0]
        raise UserError(f"{name}: found {float(wrong):g}, expected {low:g} to {high:g}")
    if found.dim() and found.shape[-1] == tokens - 1:
        found = torch.cat((found, found[..., -1:]), -1)
    return found.expand(mask.shape)
