"""The conditions of evaluation suites by name, such as `noise_10db`, `reverb_0.6s` or `telephone`.

What happens to an utterance follows from (seed, kind of condition, utterance): at 20 and at 0 dB it is the same noise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from espnet_ext.audio import effects
from espnet_ext.audio.augment import Lots, seed_of
from espnet_ext.errors import UserError
from espnet_ext.suites import sounds

if TYPE_CHECKING:
    import numpy as np

ROOMS = 24  # simulated for each reverberation time; a process makes each once
VOICES = 5  # in babble


@dataclass(frozen=True)
class Surroundings:
    """What there is besides the utterance itself.

    Attributes:
        seed: another one gives other noises and rooms.
        noises: entries of sound files; none: noise is synthesised.
        voices: utterance -> (speaker, entry, start, end in seconds or None), the set's own, for babble.
    """

    seed: int
    noises: tuple[str, ...]
    voices: Mapping[str, tuple[str, str, float, float | None]]


@dataclass(frozen=True)
class Sound:
    """An utterance (one channel of it) that something happens to.

    Attributes:
        samples: (T,) float32.
        rate: in Hz.
        utt: its id.
        around: see Surroundings.
        lots: what is drawn for it.
        channel: counted from 0; each has a noise of its own.
    """

    samples: np.ndarray
    rate: int
    utt: str
    around: Surroundings
    lots: Lots
    channel: int = 0


@dataclass(frozen=True)
class Kind:
    """A kind of condition.

    Attributes:
        apply: (sound, value) -> samples (T',).
        what: in words; {} stands for the value.
        unit: written after the value; None: there is no value.
        low, high: range of values.
    """

    apply: Callable[[Sound, float], np.ndarray]
    what: str
    unit: str | None = None
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Condition:
    """One condition: its name, its kind and the value in it."""

    name: str
    kind: str
    value: float

    @property
    def what(self) -> str:
        return KINDS[self.kind].what.format(f"{self.value:g}")


def _noise(s: Sound, snr: float) -> np.ndarray:
    random = s.lots.random(f"noise start {s.channel}")
    if s.around.noises:
        noise = _heard(s.around.noises[s.lots.choose("noise", len(s.around.noises))], s.rate)
        wave = effects.repeated(noise, int(random.integers(len(noise))), len(s.samples))
    else:
        wave = sounds.coloured_noise(random, len(s.samples), s.rate)
    return effects.add_noise(s.samples, wave, snr)


def _babble(s: Sound, snr: float, number: int = VOICES) -> np.ndarray:
    """Others of the set, of other speakers if there are any."""
    own = s.around.voices[s.utt][0]
    others = [v for u, v in s.around.voices.items() if u != s.utt]
    others = [v for v in others if v[0] != own] or others
    if not others:
        return _noise(s, snr)
    random = s.lots.random(f"voices {s.channel}")
    chosen = s.lots.random("voices").choice(len(others), min(number, len(others)), replace=False)
    voices = [_heard(others[k][1], s.rate, *others[k][2:]) for k in chosen]
    starts = random.integers(0, 1 << 30, len(voices)).tolist()
    return effects.add_noise(s.samples, sounds.babble(voices, starts, len(s.samples)), snr)


def _reverb(s: Sound, seconds: float, apart: float = 0.3) -> np.ndarray:
    from espnet_ext.audio.rooms import simulated

    room = s.lots.choose("room", ROOMS)
    return effects.reverberate(s.samples, simulated(room, s.rate, seconds, seconds, apart))


def _far_field(s: Sound, _: float) -> np.ndarray:
    far = _reverb(s, 0.6, apart=2.0)
    return _noise(Sound(far, s.rate, s.utt, s.around, s.lots, s.channel), 10.0)


def _speed(s: Sound, factor: float) -> np.ndarray:
    from espnet_ext.audio.resample import change_speed

    return change_speed(s.samples, factor)


#: Kind -> what it does. With a unit, its conditions are called KIND_<value><unit>.
KINDS: dict[str, Kind] = {
    "noise": Kind(_noise, "noise, signal-to-noise ratio {} dB", "db", -20, 60),
    "babble": Kind(_babble, f"{VOICES} other voices, together {{}} dB below", "db", -20, 60),
    "talker": Kind(
        lambda s, v: _babble(s, v, 1), "another voice, {} dB below", "db", -20, 60
    ),
    "reverb": Kind(_reverb, "simulated room, reverberation time {} s", "s", 0.1, 3),
    "far_field": Kind(_far_field, "two metres and more away, 0.6 s of reverberation, noise at 10 dB"),
    "telephone": Kind(
        lambda s, _: sounds.telephone(s.samples, s.rate), "telephone: 300-3400 Hz, 8 kHz, mu-law"
    ),
    "telephone_gsm": Kind(
        lambda s, _: sounds.telephone(s.samples, s.rate, "gsm"), "mobile telephone: GSM 06.10"
    ),
    "mp3": Kind(
        lambda s, _: effects.through_codec(s.samples, s.rate, "mp3", 0.01), "MP3, about 20 kbit/s"
    ),
    "opus": Kind(
        lambda s, _: effects.through_codec(s.samples, s.rate, "opus", 0.01), "Opus, about 9 kbit/s"
    ),
    "clipping": Kind(
        lambda s, v: sounds.clip(s.samples, v / 100), "overdriven: {} % of the samples clipped", "pc", 0.1, 90
    ),
    "packet_loss": Kind(
        lambda s, v: sounds.lose_packets(
            s.samples, s.rate, v / 100, s.lots.random(f"packets {v:g}")
        ),
        "{} % of the packets of 20 ms lost, in bursts", "pc", 0.1, 90,
    ),
    "speed": Kind(_speed, "played at {} times the speed, with its pitch", "", 0.3, 3),
    "tempo": Kind(
        lambda s, v: effects.stretch(s.samples, s.rate, 1 / v), "spoken {} times as fast, same pitch", "", 0.3, 3
    ),
    "level": Kind(lambda s, v: sounds.at_level(s.samples, v), "level {} dBFS", "db", -80, 0),
    "padding": Kind(
        lambda s, v: sounds.between_pauses(s.samples, s.rate, v, s.lots.random("pauses")),
        "{} s of near-silence before and after", "s", 0.1, 60,
    ),
    "offset": Kind(
        lambda s, v: s.samples + (v / 100), "constant offset of {} % of full scale", "pc", -50, 50
    ),
    "joined": Kind(lambda s, _: s.samples, "a speaker's utterances in a row, {} s and more", "s", 1, 3600),
}  # fmt: skip

#: The usual suite.
STANDARD = (
    "noise_20db noise_10db noise_5db noise_0db babble_20db babble_10db babble_5db babble_0db talker_10db "
    "reverb_0.3s reverb_0.6s reverb_0.9s far_field telephone telephone_gsm mp3 opus clipping_10pc "
    "packet_loss_5pc packet_loss_20pc speed_0.8 speed_1.25 tempo_0.8 tempo_1.25 "
    "level_-40db padding_2s offset_10pc joined_30s"
).split()


def condition(name: str) -> Condition:
    """The condition of a name.

    Raises:
        UserError: for one that is not known, or a value out of its range.

    >>> condition("noise_7.5db")
    Condition(name='noise_7.5db', kind='noise', value=7.5)
    """
    if name in KINDS and KINDS[name].unit is None:
        return Condition(name, name, 0.0)
    for kind, how in KINDS.items():
        found = how.unit is not None and re.fullmatch(rf"{kind}_(-?\d+(?:\.\d+)?){how.unit}", name)
        if found:
            value = float(found[1])
            if not how.low <= value <= how.high:
                raise UserError(
                    f"condition {name!r}: found {value:g}, expected {how.low:g} to {how.high:g}: choose another value"
                )
            return Condition(name, kind, value)
    forms = [k if h.unit is None else f"{k}_NUMBER{h.unit}" for k, h in KINDS.items()]
    raise UserError(f"found no condition {name!r}, expected some of {', '.join(forms)}")


def spoil(
    samples: np.ndarray, rate: int, utt: str, how: Condition, around: Surroundings
) -> np.ndarray:
    """An utterance under a condition, for a file of 16 bits: lowered where it would clip.

    Args:
        samples: (T, C) float32, T >= 1.
        rate: in Hz.
        utt: its id.
        how: the condition.
        around: see Surroundings.

    Returns:
        (T', C) float32 in [-1, 1].
    """
    import numpy as np

    seed = seed_of(around.seed, how.kind, utt)
    found = [
        KINDS[how.kind].apply(Sound(x, rate, utt, around, Lots(seed), channel), how.value)
        for channel, x in enumerate(np.ascontiguousarray(samples.T))
    ]
    spoilt = np.stack(found, axis=1)
    highest = float(np.abs(spoilt).max(initial=0.0))
    return spoilt / np.float32(highest) if highest > 1 else spoilt


@lru_cache(maxsize=128)
def _heard(entry: str, rate: int, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """The first channel of a sound at a rate, at most a minute of it."""
    from espnet_ext.audio.read import read
    from espnet_ext.audio.resample import resample

    last = start + 60.0 if end is None else min(end, start + 60.0)
    samples, found = read(entry, start=start, end=last)
    return resample(samples[:, 0].copy(), found, rate)
