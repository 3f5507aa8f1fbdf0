"""Augmentation by lot: what is drawn for an utterance follows from a seed alone, so from (seed, epoch, utterance).

On the fly it is a preprocessor (espnet_ext.train.augment); as stage 2 it is augment_audio and format_audio.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Chance:
    """How often something happens, and the range that its size is drawn from, evenly.

    Attributes:
        prob: 0 (never) to 1 (always).
        low, high: the range, in the unit of what it is the chance of.
    """

    prob: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an utterance, in this order; nothing does until its `prob` is above 0.

    Attributes:
        speed: factor; changes pitch and length too.
        pitch: semitones; the length stays.
        reverb: a room. The size is the reverberation time in seconds of simulated rooms; recorded ones have theirs.
        rir_scp: table of recorded impulse responses (id and file); None = simulate.
        rooms: how many rooms are simulated; a process makes each once (0.01 to 0.1 s).
        noise: signal-to-noise ratio in dB over the whole utterance.
        noise_scp: table of noises (id and file); None = white noise.
        compress: ratio of dynamic range compression above a threshold 10 to 30 dB under the utterance's peak.
        codec: quality of the lossy ones from 0 to 1.
        codecs: which are drawn from.
        volume: dB.
        seed: another one gives other files in stage 2; on the fly the training's own seed is used.
        token_drop: share of tokens that is left out (for language models and recognisers' text).
        token_unk: share of tokens that becomes <unk>.
    """

    speed: Chance = field(default=Chance(0.0, 0.8, 1.2))
    pitch: Chance = field(default=Chance(0.0, -2, 2))
    reverb: Chance = field(default=Chance(0.0, 0.2, 0.8))
    rir_scp: str | None = None
    rooms: int = 200
    noise: Chance = field(default=Chance(0.0, 5, 20))
    noise_scp: str | None = None
    compress: Chance = field(default=Chance(0.0, 2, 8))
    codec: Chance = field(default=Chance(0.0, 0.2, 0.8))
    codecs: tuple[str, ...] = ("mulaw", "alaw", "gsm", "mp3", "opus")
    volume: Chance = field(default=Chance(0.0, -10, 10))
    seed: int = 0
    token_drop: float = 0.0
    token_unk: float = 0.0

    @property
    def lasts(self) -> bool:
        """Whether every utterance keeps its length and its pitch."""
        return not (self.speed.prob or self.pitch.prob)


#: sizes beyond these are mistakes
_LIMITS = {
    "speed": (0.1, 10),
    "pitch": (-24, 24),
    "reverb": (0.05, 3),
    "noise": (-30, 100),
    "compress": (1, 100),
    "codec": (0, 1),
    "volume": (-60, 60),
}


def augmentation(conf: Mapping[str, Any], where: str = "augmentation") -> Augmentation:
    """Options from a YAML mapping such as `{speed: {prob: 0.5, low: 0.9, high: 1.1}, noise_scp: data/noise.scp}`.

    A bare number is a `prob` with the usual range.

    Raises:
        UserError: for an unknown key, or a value out of its range.
    """
    known: dict[str, Any] = {f.name: f.default for f in fields(Augmentation)}
    given: dict[str, Any] = {}
    for name, value in conf.items():
        if name not in known:
            raise UserError(f"{where}: found {name!r}, expected some of {', '.join(known)}")
        given[name] = _chance_of(name, value, known[name], where) if name in _LIMITS else value
    _check(given, where)
    if "codecs" in given:
        given["codecs"] = tuple(given["codecs"])
    return Augmentation(**given)


def _check(given: Mapping[str, Any], where: str) -> None:
    """Raises UserError for a value, other than a chance, that is of a wrong type or out of its range."""
    from espnet_ext.audio.effects import CODECS

    for name, value in given.items():
        if name == "codecs":
            listed = isinstance(value, list | tuple) and len(value) > 0
            right, wanted = (
                listed and all(c in CODECS for c in value),
                "some of " + ", ".join(CODECS),
            )
        elif name in ("token_drop", "token_unk"):
            right, wanted = _is_number(value) and 0 <= value < 1, "0 to 1"
        elif name in ("rir_scp", "noise_scp"):
            right, wanted = value is None or isinstance(value, str), "the name of a file"
        elif name in ("rooms", "seed"):
            right = isinstance(value, int) and _is_number(value) and (name == "seed" or value > 0)
            wanted = "a whole number" if name == "seed" else "a whole number from 1 on"
        else:
            continue
        if not right:
            raise UserError(f"{where}: found {name}: {value!r}, expected {wanted}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _chance_of(name: str, value: Any, usual: Chance, where: str) -> Chance:
    if _is_number(value):
        value = {"prob": value}
    mapping = isinstance(value, Mapping) and not set(value) - {"prob", "low", "high"}
    if not mapping or not all(map(_is_number, value.values())):
        raise UserError(
            f"{where}: found {name}: {value!r}, expected {{prob: 0.5, low: {usual.low}, high: {usual.high}}}"
        )
    chance = Chance(**{"prob": 1.0, "low": usual.low, "high": usual.high, **value})
    low, high = _LIMITS[name]
    if not (0 <= chance.prob <= 1 and low <= chance.low <= chance.high <= high):
        raise UserError(
            f"{where}: found {name}: {dict(value)!r}, expected prob from 0 to 1 and {low} <= low <= high <= {high}"
        )
    return chance


def seed_of(*parts: int | str) -> int:
    """One number from several, e.g. (seed, epoch, utterance id); another if any of them is."""
    return zlib.crc32("\0".join(str(part) for part in parts).encode())


class Lots:
    """The lots of one utterance: every effect draws from a generator of its own, so none changes another's."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.drawn: dict[str, float] = {}  # what happened, with its size

    def random(self, name: str) -> np.random.Generator:
        """The generator of one effect."""
        import numpy as np

        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def draw(self, name: str, chance: Chance) -> float | None:
        """The size, or None if it does not happen."""
        happens, size = self.random(name).random(2)
        if happens >= chance.prob:
            return None
        self.drawn[name] = chance.low + (chance.high - chance.low) * float(size)
        return self.drawn[name]

    def choose(self, name: str, number: int) -> int:
        """One of `number`, evenly."""
        return int(self.random(f"{name} choice").integers(number))


def augment(
    samples: np.ndarray, rate: int, options: Augmentation, seed: int
) -> tuple[np.ndarray, dict[str, float]]:
    """Whatever the lots say.

    Args:
        samples: (T,) or (T, C) float32. Channels share all that is drawn but their noise.
        rate: sampling rate in Hz.
        options: what may happen.
        seed: what the lots follow from.

    Returns:
        (T',) or (T', C) float32, T' differs only by the speed; and what happened, with its size. Values may lie beyond
        -1 and 1.
    """
    import numpy as np

    if samples.ndim == 1:
        lots = Lots(seed)
        return _chain(samples, rate, options, lots, 0), lots.drawn
    lots = Lots(seed)
    channels = [_chain(x, rate, options, lots, c) for c, x in enumerate(samples.T)]
    return np.stack(channels, axis=1), lots.drawn


def _chain(
    wave: np.ndarray, rate: int, options: Augmentation, lots: Lots, channel: int
) -> np.ndarray:
    import numpy as np

    from espnet_ext.audio import effects
    from espnet_ext.audio.resample import change_speed

    if not len(wave):
        return wave
    if speed := lots.draw("speed", options.speed):
        # a rational one, a hundredth: the resampler keeps a filter for each
        wave = change_speed(wave, round(speed, 2))
    if semitones := lots.draw("pitch", options.pitch):
        wave = effects.shift_pitch(wave, rate, semitones)
    if (seconds := lots.draw("reverb", options.reverb)) is not None:
        wave = effects.reverberate(wave, _response(rate, options, lots, seconds))
    if (snr := lots.draw("noise", options.noise)) is not None:
        wave = effects.add_noise(wave, _noise(len(wave), rate, options, lots, channel), snr)
    if (ratio := lots.draw("compress", options.compress)) is not None:
        depth = 10 + 20 * lots.random("compress depth").random()
        peak = 20 * np.log10(float(np.abs(wave).max()) + 1e-9)
        wave = effects.compress(wave, rate, peak - depth, ratio)
    if (quality := lots.draw("codec", options.codec)) is not None:
        codec = options.codecs[lots.choose("codec", len(options.codecs))]
        wave = effects.through_codec(wave, rate, codec, quality)
    if (decibel := lots.draw("volume", options.volume)) is not None:
        wave = wave * np.float32(10 ** (decibel / 20))
    return wave


def _response(rate: int, options: Augmentation, lots: Lots, seconds: float) -> np.ndarray:
    from espnet_ext.audio.rooms import simulated

    if options.rir_scp is None:
        # rooms come in ten sizes of reverberation, so that they can be kept
        low, high = options.reverb.low, options.reverb.high
        step = (high - low) / 10
        size = min(9, int((seconds - low) / step)) if step else 0
        number = lots.choose("room", max(1, options.rooms // 10)) * 10 + size
        return simulated(number, rate, low + size * step, low + (size + 1) * step)
    files = _table(options.rir_scp)
    return _sound(files[lots.choose("rir", len(files))], rate)


def _noise(length: int, rate: int, options: Augmentation, lots: Lots, channel: int) -> np.ndarray:
    import numpy as np

    from espnet_ext.audio.effects import repeated

    random = lots.random(f"noise start {channel}")
    if options.noise_scp is None:
        return random.standard_normal(length, dtype=np.float32)
    files = _table(options.noise_scp)
    noise = _sound(files[lots.choose("noise", len(files))], rate)
    return repeated(noise, int(random.integers(len(noise))), length)


@lru_cache(maxsize=4)
def _table(path: str) -> list[str]:
    """The entries of a table of sounds.

    Raises:
        UserError: if there are none.
    """
    from espnet_ext.datadir import read_table

    found = list(read_table(Path(path)).values())
    if not found:
        raise UserError(f"{path}: found no sound, expected lines of id and file")
    return found


@lru_cache(maxsize=64)  # a minute of each at 16 kHz is 4 MB
def _sound(entry: str, rate: int) -> np.ndarray:
    """The first channel of a sound at a rate, at most a minute of it."""
    from espnet_ext.audio.read import read
    from espnet_ext.audio.resample import resample

    samples, found = read(entry, end=60.0)
    return resample(samples[:, 0].copy(), found, rate)


def augmented(
    samples: np.ndarray, rate: int, options: Augmentation, utt: str, draw: str
) -> np.ndarray:
    """`augment` for a file of 16 bits, by an utterance's numbered draw; lowered where it would clip."""
    import numpy as np

    found, _ = augment(samples, rate, options, seed_of(options.seed, draw, utt))
    highest = float(np.abs(found).max(initial=0.0))
    return found / np.float32(highest) if highest > 1 else found


def read_augmentation(data: Path) -> Augmentation:
    """What augment_audio left in a data directory beside `utt2augment`.

    Raises:
        UserError: if it is not there.
    """
    path = data / "augment.json"
    if not path.is_file():
        raise UserError(f"{path}: not found, expected it beside utt2augment: run augment_audio")
    return augmentation(json.loads(path.read_text(encoding="utf-8")), str(path))


def change_tokens(tokens: np.ndarray, options: Augmentation, seed: int, unk: int) -> np.ndarray:
    """Leave tokens out and make others unknown, never all of them; (L,) -> (L',) with 1 <= L' <= L."""
    import numpy as np

    random = np.random.default_rng([seed, 1])
    stay = random.random(len(tokens)) >= options.token_drop
    stay[random.integers(len(tokens))] = True
    unknown = random.random(len(tokens)) < options.token_unk
    return np.where(unknown, unk, tokens)[stay].astype(tokens.dtype)


def mask_features(
    feats: np.ndarray,
    seed: int,
    bands: tuple[int, int] = (0, 27),
    band_masks: int = 2,
    share: float = 0.05,
    time_masks: int = 5,
) -> np.ndarray:
    """SpecAugment's masks (Park et al. 2019) on features that were extracted beforehand.

    Args:
        feats: (F, D); masked with their mean.
        seed: what the masks follow from.
        bands: least and largest width of a mask over dimensions.
        band_masks: how many of them.
        share: largest width of a mask over time, as a share of F.
        time_masks: how many of them.

    Returns:
        (F, D), a copy.
    """
    import numpy as np

    random = np.random.default_rng([seed, 2])
    found, mean = feats.copy(), feats.mean(dtype=np.float64)
    for _ in range(band_masks):
        width = min(int(random.integers(bands[0], bands[1] + 1)), feats.shape[1])
        first = int(random.integers(feats.shape[1] - width + 1))
        found[:, first : first + width] = mean
    for _ in range(time_masks):
        width = int(random.integers(int(share * len(feats)) + 1))
        first = int(random.integers(len(feats) - width + 1))
        found[first : first + width] = mean
    return found
