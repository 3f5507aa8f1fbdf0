"""How to listen to streams: options, and which of them a decoding's YAML has."""

from __future__ import annotations

from dataclasses import dataclass

from espnet_ext.errors import UserError
from espnet_ext.inference.options import DecodeOptions


@dataclass(frozen=True)
class StreamOptions:
    """How to listen; times are in seconds.

    Attributes:
        chunk: what the encoder works on at a time, rounded to its frames.
        left: chunks before its own that a frame attends to; None = as in training.
        beam: prefixes that CTC follows, >= 1.
        ctc_weight: share of CTC in the choice among them at the end of a sentence; 1 = no decoder.
        margin: prefixes that are so much less likely than the best have no say in what is shown, >= 0; more shows
            words later and changes fewer of them.
        pause: after so much silence the last word is shown as well.
        silence: after so much of it a sentence ends; 0 = never by itself.
        longest: a sentence that is longer ends at the next pause, or at 1.5 times that; 0 = never.
        again: a sentence of up to a minute that is over is heard once more, as a whole, by models that were trained
            with whole utterances, too (offline_share): as right as offline, for the offline encoder's time.
        confidence_scale, confidence_shift: how raw confidences become honest ones, as offline (DecodeOptions).

    Raises:
        UserError: for a value out of its range.
    """

    chunk: float = 0.32
    left: int | None = None
    beam: int = 8
    ctc_weight: float = 0.5
    margin: float = 1.0
    pause: float = 0.24
    silence: float = 0.8
    longest: float = 20.0
    again: bool = True
    confidence_scale: float = DecodeOptions.confidence_scale
    confidence_shift: float = DecodeOptions.confidence_shift

    def __post_init__(self) -> None:
        bounds = {
            "chunk": (0.01, 60.0),
            "beam": (1, 10_000),
            "left": (0, 10_000),
            "ctc_weight": (0.0, 1.0),
            "confidence_shift": (-1e9, 1e9),
        }
        for name, value in vars(self).items():
            low, high = bounds.get(name, (0.0, 1e9))
            kind = int if name in ("beam", "left") else (int, float)
            fits = isinstance(value, kind) and low <= value <= high
            if name != "again" and not fits and (name, value) != ("left", None):
                raise UserError(f"{name}: found {value!r}, expected a number from {low} to {high}")


def options_of(decoding: DecodeOptions) -> StreamOptions:
    """What a decoding's options say of streams: the share of CTC and the confidences."""
    names = ("ctc_weight", "confidence_scale", "confidence_shift")
    return StreamOptions(**{name: getattr(decoding, name) for name in names})
