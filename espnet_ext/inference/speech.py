"""How a synthesiser is to speak, and what it said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
from torch import Tensor

from espnet_ext.errors import UserError
from espnet_ext.inference.phrases import Phrase

#: one value for all tokens, or one for each
PerToken = float | Sequence[float]
#: what changes pitch and amplitude
CONTROLS = ("both", "model", "wave")
#: length of the speech against the model's own, at least and at most
LENGTHS = (0.05, 20.0)
_WHOLE = ("griffin_lim_iters", "seed", "longest", "batch_size")
_RANGES = {
    "speed_control_alpha": LENGTHS,
    "griffin_lim_iters": (1, 1e9),
    "noise_scale": (0, 1e9),
    "noise_scale_dur": (0, 1e9),
    "longest": (1, 1e9),
    "pause": (0, 60),
    "batch_size": (1, 1e9),
}


@dataclass(frozen=True)
class SynthesisOptions:
    """How to speak; names are those of stock ESPnet's tts_inference where it has them.

    Attributes:
        speed_control_alpha: length of the speech against the model's own, > 1 is slower.
        pitch_shift: semitones above the model's own pitch.
        energy_factor: of the amplitude that the voice has.
        controls: what changes pitch and amplitude: "model", as far as it learned to, in half the time; "wave", the
            waveform alone is changed; "both", the model, and what it leaves is made up for in the waveform.
        griffin_lim_iters: iterations where no vocoder is part of the model.
        seed: of models that draw (VITS).
        noise_scale, noise_scale_dur: spread of what VITS draws.
        longest: tokens that are spoken in one go, no more than the model's context; a longer text is spoken sentence by
            sentence.
        pause: seconds of silence after a sentence of these; half as long after a clause, twice after a paragraph.
        batch_size: phrases whose spectrograms are computed at once, where many texts are spoken.

    Raises:
        UserError: for a value that is none, or out of its range.
    """

    speed_control_alpha: float = 1.0
    pitch_shift: float = 0.0
    energy_factor: float = 1.0
    controls: str = "both"
    griffin_lim_iters: int = 32
    seed: int = 777
    noise_scale: float = 0.667
    noise_scale_dur: float = 0.8
    longest: int = 600
    pause: float = 0.25
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "controls":
                if value not in CONTROLS:
                    raise UserError(f"controls: found {value!r}, expected both, model or wave")
                continue
            whole = name in _WHOLE
            low, high = _RANGES.get(name, (-1e9, 1e9))
            fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
            if not fits or not low <= value <= high:
                bounds = f" from {low:g}" * (low > -1e9) + f" to {high:g}" * (high < 1e9)
                raise UserError(
                    f"{name}: found {value!r}, expected a {'whole ' * whole}number{bounds}"
                )


@dataclass(frozen=True)
class Speech:
    """One synthesised utterance.

    Attributes:
        wave: samples (T,), float32, within [-1, 1].
        rate: Hz.
        mel: log-mel spectrogram (frames, bins), before normalisation, or None; None for speech in several pieces.
        durations: frames of each token with the final <sos/eos>, or None; likewise.
    """

    wave: np.ndarray
    rate: int
    mel: np.ndarray | None
    durations: np.ndarray | None


def joined(pieces: Iterable[Speech]) -> Speech:
    """Pieces one after the other; one alone stays what it is."""
    found = list(pieces)
    if len(found) == 1:
        return found[0]
    return Speech(np.concatenate([piece.wave for piece in found]), found[0].rate, None, None)


def paused(seconds: float, spoken: Iterable[tuple[Phrase, Speech]]) -> Iterator[Speech]:
    """Phrases with silence before each but the first, as long as the phrase before it asks for.

    Args:
        seconds: after a sentence.
        spoken: phrases and their speech.
    """
    silence = 0
    for phrase, speech in spoken:
        if silence:
            quiet = np.zeros(silence, np.float32)
            yield replace(speech, wave=np.concatenate([quiet, speech.wave]))
        else:
            yield speech
        silence = round(seconds * phrase.pause * speech.rate)


def array(tensor: Tensor | None) -> np.ndarray | None:
    """What a model computed, where it did."""
    return None if tensor is None else tensor.cpu().numpy()


def each(change: Callable[[float], float], values: PerToken) -> float | list[float]:
    """One value changed, or all of several."""
    return [change(v) for v in values] if isinstance(values, Sequence) else change(values)
