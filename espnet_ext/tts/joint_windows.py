"""Short windows of long utterances, the same stretch of spectrogram, pitch and waveform.

Letters in shapes: B batch, T mel frames, L samples, S frames of a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Windows:
    """A stretch of each utterance of a batch.

    Frame k is centred at sample k * hop, and a generator makes the samples from there to frame k + 1 of it.

    Attributes:
        starts: (B,), first frames.
        frames: S.
        hop: samples from frame to frame.
    """

    starts: Tensor
    frames: int
    hop: int

    def of_frames(self, values: Tensor) -> Tensor:
        """(B, T, ...) -> (B, S, ...)."""
        return cut(values, self.starts, self.frames)

    def of_wave(self, speech: Tensor) -> Tensor:
        """(B, L) -> (B, S * hop)."""
        return cut(speech, self.starts * self.hop, self.frames * self.hop)


def cut(values: Tensor, starts: Tensor, size: int) -> Tensor:
    """From (B, T, ...) `size` places of each row from its start on; zeros behind the end of what is shorter.

    Example:
        >>> cut(torch.arange(10).reshape(2, 5), torch.tensor([0, 3]), 2).tolist()
        [[0, 1], [8, 9]]
    """
    lacking = size - values.shape[1]
    if lacking > 0:
        values = F.pad(values, (0, 0) * (values.dim() - 2) + (0, lacking))
    rows = torch.arange(len(values), device=values.device)[:, None]
    places = starts[:, None] + torch.arange(size, device=values.device)
    return values[rows, places]


def choose_windows(
    frames: Tensor, samples: Tensor, size: int, hop: int, random: bool = True
) -> Windows:
    """Where the windows lie: anywhere within each utterance, or in its middle.

    Args:
        frames: (B,) of mel, samples: (B,).
        size: S.
        hop: samples from frame to frame.
        random: draw them; from torch's generator of the CPU, so that a GPU gets the same.
    """
    room = (torch.minimum(frames, samples // hop) - size).clamp(min=0)
    if not random:
        return Windows(room // 2, size, hop)
    drawn = torch.rand(len(room)).to(room.device) * (room + 1)
    return Windows(torch.minimum(drawn.long(), room), size, hop)
