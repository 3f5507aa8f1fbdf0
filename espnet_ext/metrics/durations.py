"""How long each token of a sentence is spoken, in synthesised speech and in a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Durations:
    """Frames of each token of the same sentence; each of the two may have its own frame shift.

    Attributes:
        hyp: of the synthesised speech.
        ref: of the recording, e.g. by a teacher, or an aligner.
    """

    hyp: tuple[int, ...]
    ref: tuple[int, ...]

    def usable(self) -> bool:
        """Whether they tell of the same tokens, and of any time."""
        return len(self.hyp) == len(self.ref) and sum(self.hyp) > 0 and sum(self.ref) > 0


def read_durations(entry: str) -> tuple[int, ...]:
    """Frames of each token, of an entry of a table `durations`.

    Raises:
        UserError: for anything but whole numbers from 0.
    """
    try:
        found = tuple(map(int, entry.split()))
    except ValueError:
        found = (-1,)
    if any(frames < 0 for frames in found):
        raise UserError(
            f"durations: found {entry[:60]!r}, expected the frames of each token as whole numbers: write the table anew"
        )
    return found


def _ends(frames: Sequence[int], seconds: float) -> np.ndarray:
    """When each token ends, the first one beginning at 0 and the last one ending with the speech: (N + 1,)."""
    import numpy as np

    ends = np.cumsum(np.concatenate([[0.0], frames]))
    return ends / ends[-1] * seconds


def token_error(durations: Durations, hyp_seconds: float, ref_seconds: float) -> float:
    """Sum over the tokens of how much each differs, over the recording's length, in percent.

    Weighting tokens by their length keeps the shortest, of which a frame is half, from deciding.

    Args:
        durations: that are usable.
        hyp_seconds, ref_seconds: lengths of the speech that the frames fill.
    """
    import numpy as np

    a, b = _ends(durations.hyp, hyp_seconds), _ends(durations.ref, ref_seconds)
    return 100.0 * float(np.abs(np.diff(a) - np.diff(b)).sum()) / ref_seconds


def duration_path(durations: Durations, hyp_frames: int, ref_frames: int) -> np.ndarray:
    """For every frame of the recording the frame of the synthesised speech at the same place of the same token.

    Tokens that take no time in the recording have no frame in it, and are passed over.

    Args:
        durations: that are usable.
        hyp_frames, ref_frames: of the analysis; need not be of the durations' frame shift.

    Returns:
        (ref_frames, 2) indices of synthesised and recorded frames.
    """
    import numpy as np

    a, b = _ends(durations.hyp, hyp_frames), _ends(durations.ref, ref_frames)
    lasting = np.concatenate([[True], np.diff(b) > 0])
    starts = np.concatenate([a[:1], a[:-1]])[lasting]  # where a lasting token begins in `hyp`
    ends, marks = a[lasting], b[lasting]
    at = np.arange(ref_frames) + 0.5
    token = np.clip(np.searchsorted(marks, at, side="right"), 1, len(marks) - 1)
    share = (at - marks[token - 1]) / (marks[token] - marks[token - 1])
    found = starts[token] + share * (ends[token] - starts[token])
    return np.stack([np.clip(found.astype(int), 0, hyp_frames - 1), np.arange(ref_frames)], axis=1)
