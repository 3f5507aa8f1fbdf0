"""A person speaks to a tablet with six microphones somewhere noisy: simulated rooms, real noise.

The tablet is CHiME-4's (Vincent et al. 2017): microphones 1 to 3 along the upper edge of its frame and 4 to 6 along the
lower one, all facing the speaker but the second, which faces backwards. Letters in shapes: C microphones, N samples,
F frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from espnet_ext.audio.augment import Lots
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np

#: Places of the microphones in metres from the tablet's middle: to the right, upwards, towards the speaker. They are
#: those of the challenge's own localisation software.
TABLET = (
    (-0.10, 0.095, 0.0),
    (0.0, 0.095, -0.02),
    (0.10, 0.095, 0.0),
    (-0.10, -0.095, 0.0),
    (0.0, -0.095, 0.0),
    (0.10, -0.095, 0.0),
)
#: The microphone that faces backwards, counted from 0.
BACK = 1
#: Metres a second.
SOUND = 343.0
#: Samples kept before the direct sound of a response, so that its rise is whole.
LEAD = 24
#: A louder noise than this is not asked for, nor a softer one.
LEAST_SNR, MOST_SNR = -30.0, 60.0
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".sph")


@dataclass(frozen=True)
class Surroundings:
    """What a scene is drawn from; ranges are drawn from evenly.

    Attributes:
        snr: dB over the whole utterance, mean power of the front microphones.
        distance: metres from the tablet to the mouth.
        rt60: seconds of reverberation; a room too large for so little gets the least that it can have.
        sources: how many places in the room a noise comes from.
        diffuse: dB of noise that comes from everywhere against noise from those places.
        hiss: dB of the microphones' own noise against all other noise.
        stretch: part of each noise recording that is used, so that training and test need not share any.
        seed: other scenes for the same utterances.
    """

    snr: tuple[float, float] = (0.0, 10.0)
    distance: tuple[float, float] = (0.3, 0.7)
    rt60: tuple[float, float] = (0.1, 0.4)
    sources: tuple[int, int] = (2, 4)
    diffuse: tuple[float, float] = (-9.0, -3.0)
    hiss: float = -30.0
    stretch: tuple[float, float] = (0.0, 1.0)
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "snr": (LEAST_SNR, MOST_SNR),
            "distance": (0.1, 1.0),
            "rt60": (0.05, 2.0),
            "sources": (1, 20),
            "diffuse": (-60.0, 60.0),
            "stretch": (0.0, 1.0),
        }
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most or (name == "stretch" and low == high):
                raise UserError(
                    f"{name}: found {low:g} to {high:g}, expected a range within {least:g} to {most:g}"
                )


class Scene(NamedTuple):
    """What the microphones hear: speech and noise, (N, C) float32 each; and what was drawn."""

    speech: np.ndarray
    noise: np.ndarray
    drawn: dict[str, float]

    def mixture(self) -> np.ndarray:
        """(N, C) float32."""
        return self.speech + self.noise


class Noises:
    """Recordings of noise in a folder; longer ones are drawn more often.

    Args:
        folder: searched with its subfolders.
        rate: in Hz, to which they are brought.
        stretch: part of each recording that is used.

    Raises:
        UserError: if there is none, or one of them cannot be read.
    """

    def __init__(
        self, folder: str | Path, rate: int, stretch: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        import numpy as np

        from espnet_ext.audio.read import load

        self.paths = sound_files(folder)
        found = [load(path, rate)[0] for path in self.paths]
        low, high = stretch
        self.sounds = [s[int(low * len(s)) : max(1, int(high * len(s)))] for s in found]
        # no more often than half a minute of it deserves, nor less than one second does
        seconds = np.clip([len(s) / rate for s in self.sounds], 1, 30)
        self.shares = seconds / seconds.sum()

    def draw(self, random: np.random.Generator) -> int:
        """One of the recordings."""
        return int(random.choice(len(self.sounds), p=self.shares))

    def piece(self, number: int, length: int, random: np.random.Generator) -> np.ndarray:
        """(length,) of a recording from anywhere on, from its beginning again after its end; mean power 1."""
        import numpy as np

        from espnet_ext.audio.effects import power, repeated

        sound = self.sounds[number]
        found = repeated(sound, int(random.integers(len(sound))), length).astype(np.float64)
        return found / math.sqrt(power(found) + 1e-12)


def sound_files(folder: str | Path) -> list[Path]:
    """Sounds below a folder, sorted.

    Raises:
        UserError: if there is none.
    """
    found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SOUNDS)
    if not str(folder) or not found:
        raise UserError(
            f"{folder or 'noise'}: found no {', '.join(SOUNDS)}, expected a folder of noise recordings, "
            "such as MUSAN's noise/ or CHiME-4's backgrounds/: set NOISE=<dir> in local/db.sh or the environment"
        )
    return found


def simulate(
    samples: np.ndarray, rate: int, noises: Noises, options: Surroundings, seed: int
) -> Scene:
    """Somebody says an utterance to the tablet somewhere.

    Args:
        samples: (N,) float, spoken close to a microphone.
        rate: in Hz.
        noises: what there is to hear beside it.
        options: what is drawn from.
        seed: what all lots follow from.

    Returns:
        what six microphones hear, as loud as `samples` and no louder than full scale.
    """
    import numpy as np

    lots = Lots(seed)
    random = lots.random("scene")
    responses, drawn = room_responses(rate, options, random)
    length = len(samples)
    speech = _heard(samples[None].astype(np.float64), responses[:1], length)
    dry = np.stack([noises.piece(noises.draw(random), length, random) for _ in responses[1:]])
    noise = _heard(dry, responses[1:], length)
    level = random.uniform(*options.diffuse)
    around = diffuse_noise(noises, length, rate, random)
    noise = noise + around * math.sqrt(_power(noise) / _power(around) * 10 ** (level / 10))
    hiss = random.standard_normal(noise.shape)
    noise = noise + hiss * math.sqrt(_power(noise) * 10 ** (options.hiss / 10))
    snr = random.uniform(*options.snr)
    gain = math.sqrt(_power(samples[None]) / max(_power(speech), 1e-20))
    speech = speech * gain
    noise = noise * math.sqrt(_power(speech) / max(_power(noise), 1e-20) / 10 ** (snr / 10))
    peak = max(1.0, float(np.abs(speech + noise).max()) / 0.99)
    drawn |= {"snr": float(snr), "diffuse": float(level)}
    return Scene(_as_file(speech / peak), _as_file(noise / peak), drawn)


def _as_file(sounds: np.ndarray) -> np.ndarray:
    """(C, N) -> (N, C) float32."""
    import numpy as np

    return np.ascontiguousarray(sounds.T, dtype=np.float32)


def _power(sounds: np.ndarray) -> float:
    """Mean power of the front microphones of (C, N), or of (1, N)."""
    import numpy as np

    front = sounds if len(sounds) == 1 else np.delete(sounds, BACK, axis=0)
    return float(np.square(front).mean())


def _heard(dry: np.ndarray, responses: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Sources (S, N) through the responses [(C, R)] of each, summed: (C, N)."""
    from scipy.signal import oaconvolve

    return sum(
        oaconvolve(source[None], response, axes=1)[:, LEAD : LEAD + length]
        for source, response in zip(dry, responses, strict=True)
    )


def room_responses(
    rate: int, options: Surroundings, random: np.random.Generator
) -> tuple[list[np.ndarray], dict[str, float]]:
    """A room with a tablet, a speaker before it and sources of noise farther away.

    Returns:
        impulse responses (C, R) of the speaker and of each source of noise; and what was drawn. The speaker's direct
        sound reaches the nearest microphone after LEAD samples.
    """
    import numpy as np
    import pyroomacoustics as pra

    from espnet_ext.audio.rooms import least_rt60

    size = random.uniform([3.5, 3.5, 2.5], [8, 8, 3.5])
    seconds = max(random.uniform(*options.rt60), least_rt60(size))
    absorption, order = pra.inverse_sabine(seconds, size)
    room = pra.ShoeBox(size, fs=rate, materials=pra.Material(absorption), max_order=min(order, 40))
    middle = np.append(random.uniform(1.2, size[:2] - 1.2), random.uniform(1.0, 1.5))
    axes = _orientation(random)
    distance = random.uniform(*options.distance)
    speaker = middle + distance * axes.T @ _before_the_tablet(random)
    room.add_source(np.clip(speaker, 0.1, size - 0.1))
    for _ in range(int(random.integers(options.sources[0], options.sources[1] + 1))):
        room.add_source(_away_from(middle, size, random))
    _add_microphones(room, (middle + np.array(TABLET) @ axes).T, -axes[2])
    room.compute_rir()
    found = [_together([room.rir[c][s] for c in range(len(TABLET))]) for s in range(room.n_sources)]
    first = int(np.abs(found[0]).argmax(1).min()) - LEAD
    sources = float(room.n_sources - 1)
    drawn = {"rt60": float(seconds), "distance": float(distance), "sources": sources}
    return [np.pad(r, ((0, 0), (max(0, -first), 0)))[:, max(0, first) :] for r in found], drawn


def _orientation(random: np.random.Generator) -> np.ndarray:
    """Unit vectors of a tablet held in two hands: to its right, up along it, and to the person before it; (3, 3)."""
    import numpy as np

    turn, tilt = random.uniform(0, 2 * math.pi), random.uniform(0, math.radians(40))
    right = np.array([math.cos(turn), math.sin(turn), 0.0])
    ahead = np.array([-math.sin(turn), math.cos(turn), 0.0])
    front = math.cos(tilt) * ahead + math.sin(tilt) * np.array([0.0, 0.0, 1.0])
    return np.stack([right, np.cross(front, right), front])


def _before_the_tablet(random: np.random.Generator) -> np.ndarray:
    """A direction within 25 degrees of straight ahead, in the tablet's axes; (3,) of length 1."""
    import numpy as np

    aside, up = np.radians(random.uniform(-25, 25, 2))
    found = np.array([math.tan(aside), math.tan(up), 1.0])
    return found / np.linalg.norm(found)


def _away_from(middle: np.ndarray, size: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A place in the room 1 metre and more from the tablet."""
    while True:
        found = random.uniform(0.3, size - 0.3)
        if math.dist(found, middle) >= 1:
            return found


def _add_microphones(room: Any, places: np.ndarray, back: np.ndarray) -> None:
    """Microphones at (3, C); the one on the back hears what is behind the tablet better."""
    from pyroomacoustics.directivities import DirectionVector, SubCardioid

    azimuth, colatitude = math.atan2(back[1], back[0]), math.acos(max(-1.0, min(1.0, back[2])))
    behind = SubCardioid(DirectionVector(azimuth, colatitude, degrees=False))
    for channel, place in enumerate(places.T):
        room.add_microphone(place, directivity=behind if channel == BACK else None)


def _together(responses: list[np.ndarray]) -> np.ndarray:
    """Responses of different length as one array."""
    import numpy as np

    found = np.zeros((len(responses), max(map(len, responses))))
    for row, response in zip(found, responses, strict=True):
        row[: len(response)] = response
    return found


def diffuse_noise(
    noises: Noises, length: int, rate: int, random: np.random.Generator
) -> np.ndarray:
    """One kind of noise from all directions: pieces with the coherence of a spherical field; (C, N).

    Habets, Cohen and Gannot (2008), with the symmetric root of the coherence in place of Cholesky's.
    """
    import numpy as np

    number = noises.draw(random)
    pieces = np.stack([noises.piece(number, length, random) for _ in TABLET])
    spectra = np.fft.rfft(pieces)
    roots = coherence_roots(rate)  # (F, C, C)
    at = np.linspace(0, len(roots) - 1, spectra.shape[1])
    below = np.minimum(at.astype(int), len(roots) - 2)
    part = (at - below)[:, None, None]
    mixing = (1 - part) * roots[below] + part * roots[below + 1]
    return np.fft.irfft(np.einsum("fcd,df->cf", mixing, spectra), length)


@lru_cache(maxsize=4)
def coherence_roots(rate: int, number: int = 257) -> np.ndarray:
    """Roots (F, C, C) of sin(kd)/kd between the microphones, at frequencies from 0 to half the rate."""
    import numpy as np

    places = np.array(TABLET)
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    frequencies = np.linspace(0, rate / 2, number)[:, None, None]
    values, vectors = np.linalg.eigh(np.sinc(2 * frequencies * distances / SOUND))
    roots = np.sqrt(np.maximum(values, 0))
    return np.einsum("fck,fk,fdk->fcd", vectors, roots, vectors)
