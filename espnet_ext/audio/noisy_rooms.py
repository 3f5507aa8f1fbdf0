"""Any data directory becomes a noisy one of six channels: each utterance is spoken to a tablet in a room."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.audio.remake import Remaking, remake
from espnet_ext.audio.scenes import Noises, Surroundings, simulate, sound_files

if TYPE_CHECKING:
    import numpy as np

#: Rises when the same options make other scenes than before.
VERSION = 1


def noisy_copy(
    data: Path, out: Path, noise: str | Path, options: Surroundings, job: int = 1, jobs: int = 1
) -> bool:
    """Write one share of `out`, six-channel flac with `utt2snr`; which scene an utterance gets follows from its id.

    Args:
        data: a data directory of close-talking speech.
        out: gets the copy.
        noise: folder of noise recordings.
        options: what scenes are drawn from.
        job: which share, counted from 1.
        jobs: how many shares.

    Returns:
        whether `out` is complete.

    Raises:
        UserError: no noise, no data directory, or sound that cannot be read.
    """
    return remake(
        data, out, job, jobs, Remaking(_Making(noise, options), _identity(noise, options), "rooms")
    )


def _identity(noise: str | Path, options: Surroundings) -> str:
    """Of the options and of the noises: names and sizes, so that a copy of the folder elsewhere is the same."""
    files = [(p.name, os.stat(p).st_size) for p in sound_files(noise)]
    return hashlib.sha1(repr((VERSION, options, files)).encode()).hexdigest()


class _Making:
    """Makes the scene of an utterance; noises are read once a rate."""

    def __init__(self, noise: str | Path, options: Surroundings) -> None:
        self.noise, self.options = noise, options
        self.noises: dict[int, Noises] = {}

    def __call__(self, utt: str, entry: str) -> tuple[np.ndarray, int, dict[str, str]]:
        from espnet_ext.audio.augment import seed_of
        from espnet_ext.audio.read import read
        from espnet_ext.audio.resample import to_int16

        samples, rate = read(entry, utt)
        if rate not in self.noises:
            self.noises[rate] = Noises(self.noise, rate, self.options.stretch)
        seed = seed_of(self.options.seed, utt)
        scene = simulate(samples[:, 0], rate, self.noises[rate], self.options, seed)
        return to_int16(scene.mixture()), rate, {"utt2snr": f"{scene.drawn['snr']:.2f}"}
