"""Players with the sound inside the page, as long as the page stays small."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

from espnet_ext.errors import UserError
from espnet_ext.report.markup import esc, missing

if TYPE_CHECKING:
    import numpy as np


class Players:
    """Makes players until `budget` bytes of the page are used up.

    Args:
        budget: bytes of base64 text for all of them.
    """

    def __init__(self, budget: int = 5_000_000) -> None:
        self.left = budget

    def player(self, samples: np.ndarray, rate: int, label: str, named: bool = True) -> str:
        """An `<audio>` with FLAC inside (every current browser plays it), or why there is none.

        Args:
            samples: (T,), float in [-1, 1].
            rate: Hz.
            label: what is heard.
            named: write that beside it, too; else only those who do not see the page are told.
        """
        data = base64.b64encode(_flac(samples, rate)).decode()
        if len(data) > self.left:
            return missing(f"{label}: left out to keep the page small")
        self.left -= len(data)
        return (
            f'<div class="player">{f"<span>{esc(label)}</span>" if named else ""}'
            f'<audio controls preload="metadata" aria-label="{esc(label)}" '
            f'src="data:audio/flac;base64,{data}"></audio></div>'
        )

    def from_entry(self, entry: str, label: str) -> str:
        """The same for an entry of wav.scp."""
        found = load_entry(entry)
        return self.player(*found, label) if found else missing(f"{label}: the audio is missing")


def load_entry(entry: str) -> tuple[np.ndarray, int] | None:
    """Mono samples (T,) and rate of an entry of wav.scp; None where it cannot be read."""
    from espnet_ext.audio.read import load

    try:
        return load(entry)
    except (UserError, OSError):
        return None


def _flac(samples: np.ndarray, rate: int) -> bytes:
    import soundfile

    out = BytesIO()
    soundfile.write(out, samples, rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()
