"""Pitch and loudness as they were asked for, whatever the synthesiser made of it.

A model that was told to speak higher does so as far as its training goes: one that heard a monotone voice hardly can.
What it leaves is made up for in the waveform: the same text is spoken once more without these controls, both are
measured, and only the difference from what was asked for is changed, each token's by itself. A model without such
controls of its own gets all of it that way.

Letters in shapes: N tokens, S samples, F frames of F0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from espnet_ext.audio.psola import shift_pitch
from espnet_ext.errors import UserError
from espnet_ext.inference.speech import PerToken, Speech

#: seconds from frame to frame of F0
STEP = 0.005
#: semitones that nobody hears
UNHEARD = 0.1
#: frames of F0 whose median is taken, against single errors
STEADY = 9
#: seconds over which loudness and pitch go from one token's to the next one's
SMOOTH = 0.02
#: seconds over which loudness is measured, two periods of a low voice, and the share of the loudest below which
#: nothing is brought to a level
HEARD, QUIET = 0.03, 1e-3
#: the loudest sample that is left as it is, and seconds that the limiter looks ahead and behind
FULL, AHEAD = 0.98, 0.002
#: what a model is told where nothing is asked of it
PLAIN = {"pitch_shift": 0.0, "energy_factor": 1.0}


@dataclass(frozen=True)
class Manner:
    """How an utterance is to be spoken, against the model's own way.

    Attributes:
        semitones: added to the pitch: one for all tokens or one for each, without or with that of <sos/eos>.
        loudness: factor of the amplitude, likewise.

    Raises:
        UserError: for values out of range.
    """

    semitones: PerToken = 0.0
    loudness: PerToken = 1.0

    def __post_init__(self) -> None:
        require("pitch_shift", self.semitones, -48, 48)
        require("energy_factor", self.loudness, 0, 100)

    @property
    def changes(self) -> bool:
        """Whether anything is to be other than the model has it."""
        return bool(np.any(np.asarray(self.semitones)) or np.any(np.asarray(self.loudness) != 1))


def require(name: str, values: PerToken, low: float, high: float) -> None:
    """Refuse values out of range.

    Raises:
        UserError: naming the first.
    """
    given = np.atleast_1d(np.asarray(values, np.float64))
    wrong = given[~((given >= low) & (given <= high))]
    if len(wrong):
        raise UserError(f"{name}: found {wrong[0]:g}, expected {low:g} to {high:g}")


def as_asked(
    speak: Callable[[dict[str, Any]], Sequence[Speech]],
    options: dict[str, Any],
    manner: Manner,
    controls: str = "both",
) -> list[Speech]:
    """Utterances at the pitch and the loudness that were asked for.

    Args:
        speak: has the model speak them with these options, the same each time.
        options: of its `inference`, with those of PLAIN that it knows.
        manner: what is asked for.
        controls: see `SynthesisOptions`.

    Raises:
        UserError: see `made_up`.
    """
    nothing = {**options, **{name: none for name, none in PLAIN.items() if name in options}}
    found = list(speak(nothing if controls == "wave" else options))
    if controls == "model" or not manner.changes:
        return found
    plain = found if controls == "wave" or nothing == options else speak(nothing)
    return [
        replace(f, wave=made_up(f.wave, p.wave, f.rate, f.durations, manner))
        for f, p in zip(found, plain, strict=True)
    ]


def made_up(
    found: np.ndarray,
    plain: np.ndarray,
    rate: int,
    durations: np.ndarray | None,
    manner: Manner,
) -> np.ndarray:
    """The waveform with what the model left of the manner asked for.

    Args:
        found: (S,), what the model spoke when it was asked for this manner, as far as it knows it.
        plain: (S,), the same without being asked.
        rate: Hz.
        durations: (N,), of the tokens with <sos/eos>, in frames; None = not known.
        manner: what was asked for.

    Returns:
        (S,) float32, within [-1, 1].

    Raises:
        UserError: for values for each token where the model tells no durations, or other durations than values.
    """
    if len(found) != len(plain):  # a model that draws another timing each time
        found = plain
    semitones, loudness = (
        _by_sample(values, durations, len(found), name)
        for name, values in (("pitch_shift", manner.semitones), ("energy_factor", manner.loudness))
    )
    wave = _pitched(found, plain, rate, semitones)
    gains = loudness if wave is plain else loudness * _levels(plain, wave, rate)
    wave = wave * smooth(gains, SMOOTH * rate)
    if not semitones.any():  # at the same pitch, so what is to stay as it is can be what it was
        kept = smooth(np.asarray(loudness == 1, np.float64), SMOOTH * rate)
        wave = wave + kept * (plain - wave)
    return limited(wave, rate)


def _by_sample(
    values: PerToken, durations: np.ndarray | None, samples: int, name: str
) -> np.ndarray:
    """Each token's value for its samples, (S,)."""
    given = np.atleast_1d(np.asarray(values, np.float64))
    if len(given) == 1:
        return np.full(samples, given[0])
    if durations is None:
        raise UserError(
            f"{name}: found {len(given)} values, but this model does not tell when it speaks which token; expected one "
            "for all, or a model with durations"
        )
    if len(durations) not in (len(given), len(given) + 1):
        raise UserError(
            f"{name}: found {len(given)} values, expected one, or one for each of {len(durations)} tokens"
        )
    given = np.pad(given, (0, len(durations) - len(given)), "edge")
    return np.repeat(given, np.diff(_borders(durations, samples)))


def _borders(durations: np.ndarray, samples: int) -> np.ndarray:
    """(N + 1,), the samples where tokens begin, and the end."""
    ends = np.concatenate(([0], np.cumsum(durations)))
    return np.asarray(np.round(ends / max(1, ends[-1]) * samples), np.int64)


# -- pitch -------------------------------------------------------------------------------------------------------


def _pitched(found: np.ndarray, plain: np.ndarray, rate: int, semitones: np.ndarray) -> np.ndarray:
    """`found`, or `plain` where that is nearer, at `plain`'s pitch moved by (S,) semitones."""
    if not len(plain) or (found is plain and not semitones.any()):
        return plain
    before, now = _track(plain, rate), _track(found, rate)
    frames = np.minimum((np.arange(len(now)) * STEP * rate).astype(int), len(semitones) - 1)
    wanted, asked = semitones[frames], smooth(semitones, SMOOTH * rate)[frames]
    left = None if found is plain else _left(wanted, asked, before, now)
    if left is None:
        found, left, now = plain, asked, before
    if np.abs(left).max(initial=0.0) < UNHEARD:
        return found
    return shift_pitch(found, rate, now, STEP, left)


def _track(samples: np.ndarray, rate: int) -> np.ndarray:
    from espnet_ext.audio.f0 import F0, track

    return track(samples, rate, F0(shift=STEP))


def _left(
    wanted: np.ndarray, asked: np.ndarray, before: np.ndarray, now: np.ndarray
) -> np.ndarray | None:
    """What is left of the semitones asked for, (F,), by F0 without and with the model's own control.

    Args:
        wanted: (F,) semitones, a step wherever a word begins that is to be spoken otherwise.
        asked: the same, smooth.
        before, now: (F,) F0.

    Returns:
        None if the model lost its voice over it.
    """
    both = (before > 0) & (now > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = asked - 12 * np.log2(np.where(both, now / before, 1.0))
    sure = both & (np.abs(left) < 3 + np.abs(asked))  # else an octave that was missed
    if sure.sum() < 0.7 * (before > 0).sum():
        return None
    places = np.flatnonzero(_within(sure))
    if not len(places):
        return np.zeros_like(asked)
    left[places] = _median(left[places])
    # what the model left of one word's pitch says nothing of its neighbours'
    steps = np.flatnonzero(np.diff(wanted)) + 1
    for run in np.split(np.arange(len(asked)), steps):
        inside = places[(places >= run[0]) & (places <= run[-1])]
        near = inside if len(inside) or not wanted[run[0]] else places
        left[run] = np.interp(run, near, left[near]) if len(near) else 0.0
    return smooth(left, SMOOTH / STEP)


def _within(true: np.ndarray) -> np.ndarray:
    """Without the first and the last two of each run: F0 is least certain where a voice sets in."""
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(true, iterations=2))


def _median(values: np.ndarray) -> np.ndarray:
    """The median of STEADY values around each."""
    padded = np.pad(values, STEADY // 2, "edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, STEADY), -1))


# -- loudness ----------------------------------------------------------------------------------------------------


def _levels(plain: np.ndarray, wave: np.ndarray, rate: int) -> np.ndarray:
    """What each sample is to be amplified by to be as loud as it was, (S,)."""
    from scipy.signal import fftconvolve

    window = np.hanning(2 * round(HEARD / 2 * rate) + 3)
    was, is_ = (
        np.sqrt(fftconvolve(np.square(x, dtype=np.float64), window / window.sum(), "same").clip(0))
        for x in (plain, wave)
    )
    least = QUIET * max(was.max(initial=0.0), is_.max(initial=0.0)) + 1e-9
    return np.asarray(((was + least) / (is_ + least)).clip(0.1, 10))


def limited(wave: np.ndarray, rate: int) -> np.ndarray:
    """Turned down where it is louder than full scale, softly, so that nothing is cut off; (S,) float32."""
    from scipy.ndimage import minimum_filter1d

    loud = np.abs(wave)
    if loud.max(initial=0.0) <= 1:
        return np.asarray(wave, np.float32)
    width = max(1, round(AHEAD * rate))
    gains = minimum_filter1d(np.minimum(1.0, FULL / np.maximum(loud, FULL)), 2 * width + 1)
    return np.clip(wave * smooth(gains, 2 * width), -1.0, 1.0).astype(np.float32)


def lasting(speech: Speech, factor: float) -> Speech:
    """Speech so many times as long, of a model that knows no other speed than its own; spectrogram and durations go."""
    from espnet_ext.audio.effects import stretch

    if factor == 1 or not len(speech.wave):
        return speech
    return Speech(
        limited(stretch(speech.wave, speech.rate, factor), speech.rate), speech.rate, None, None
    )


def smooth(values: np.ndarray, width: float) -> np.ndarray:
    """Means of (S,) values with a Hann window of `width` samples at most; the ends are held."""
    over = int(min(width / 2, len(values) - 1))
    if over < 1 or (values == values[0]).all():
        return values
    window = np.hanning(2 * over + 3)[1:-1]
    return np.convolve(np.pad(values, over, "edge"), window / window.sum(), "valid")
