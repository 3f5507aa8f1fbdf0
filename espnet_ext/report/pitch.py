"""The pitch of a voice, to be drawn over its spectrogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Line = list[tuple[float, float]]  # (time, pitch), each from 0 to 1 of the picture
STEP = 0.01  # seconds from value to value


def contour(samples: np.ndarray, rate: int) -> np.ndarray | None:
    """F0 in Hz every 10 ms (F,), 0 where there is no voice; None without pyworld, or where nothing can be said."""
    from espnet_ext.audio.f0 import f0

    try:
        found = f0(samples, rate, shift=STEP) if len(samples) > rate * 2 * STEP else None
    except ImportError:
        return None
    return found if found is not None and found.any() else None


def highest(contours: Sequence[np.ndarray | None]) -> float:
    """Upper end of a scale in Hz on which all contours find room: whole hundreds."""
    top = max((float(c.max()) for c in contours if c is not None), default=0.0)
    return 100.0 * max(2, -(-int(top + 10) // 100))


def lines(found: np.ndarray, seconds: float, top: float) -> list[Line]:
    """A line for every stretch of voice of two values or more.

    Args:
        found: (F,) Hz, 0 where there is no voice.
        seconds: length of the picture's time axis.
        top: Hz at the picture's upper edge, 0 Hz being at the lower.
    """
    parts: list[Line] = [[]]
    for number, value in enumerate(found.tolist()):
        if value > 0:
            parts[-1].append((min(1.0, number * STEP / max(seconds, 1e-9)), min(1.0, value / top)))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if len(part) > 1]
