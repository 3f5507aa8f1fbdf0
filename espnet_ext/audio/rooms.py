"""Impulse responses of rooms: simulated, and how long they last."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@lru_cache(maxsize=256)
def simulated(number: int, rate: int, low: float, high: float, apart: float = 0.3) -> np.ndarray:
    """The response of one of countless rooms, by the image source method (pyroomacoustics).

    Args:
        number: which room; the same number is the same room everywhere.
        rate: in Hz.
        low, high: range of the reverberation time (RT60) in seconds.
        apart: least distance of speaker and microphone in metres, up to 2.5.

    Returns:
        (R,) float32. A shoe box of 3 to 8 by 3 to 8 by 2.5 to 3.5 metres, speaker and microphone at random places half
        a metre and more from the walls and `apart` and more from each other.

    Raises:
        UserError: if the package pyroomacoustics is not there.
    """
    import numpy as np

    try:
        import pyroomacoustics as pra
    except ImportError:
        raise UserError(
            "found no package pyroomacoustics, expected it to simulate rooms: pip install pyroomacoustics==0.10.1, "
            "or give recorded responses (rir_scp)"
        ) from None
    random = np.random.default_rng(number)
    size = random.uniform([3, 3, 2.5], [8, 8, 3.5])
    rt60 = max(random.uniform(low, high), least_rt60(size))
    absorption, order = pra.inverse_sabine(rt60, size)
    room = pra.ShoeBox(size, fs=rate, materials=pra.Material(absorption), max_order=min(order, 60))
    while True:
        speaker, microphone = random.uniform(0.5, size - 0.5, (2, 3))
        if math.dist(speaker, microphone) > apart:
            break
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    return np.asarray(room.rir[0][0], dtype=np.float32)


def least_rt60(size: np.ndarray) -> float:
    """Sabine's reverberation time in seconds if nine tenths of the sound go at every wall; no room gets below."""
    x, y, z = size
    return 0.161 * x * y * z / (0.9 * 2 * (x * y + y * z + z * x))


def rt60(response: np.ndarray, rate: int) -> float:
    """Reverberation time in seconds of (R,): Schroeder's (1965) decay from -5 to -25 dB, times three."""
    import numpy as np

    energy = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    decay = 10 * np.log10(energy / energy[0] + 1e-30)
    first, last = int(np.argmax(decay <= -5)), int(np.argmax(decay <= -25))
    return 3 * (last - first) / rate
