"""How to recognise: the keys of a decoding's YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass

from espnet_ext.errors import UserError


@dataclass(frozen=True)
class DecodeOptions:
    """How to search; names and defaults are those of stock ESPnet's asr_inference where it has them.

    Attributes:
        beam_size: hypotheses kept at each step.
        ctc_weight: share of CTC against the attention decoder, 0 to 1.
        lm_weight: weight of the language model's log probability.
        ngram_weight: weight of the n-gram model's log probability, if there is one.
        ilm_weight: how much of the log probability of the language that the recogniser was taught is taken away, >= 0:
            of a model of that language if there is one (density ratio), else of the decoder without sound (ILME).
        penalty: added for every token.
        pre_beam_ratio: CTC scores only so many times `beam_size` tokens after each hypothesis, those that decoder and
            language models like best. Where these know little (few data, a high `ctc_weight`) more of them find better
            hypotheses; from the size of the token list on it scores all.
        maxlenratio: longest output as a share of the encoder's frames; 0 = until hypotheses end by themselves.
        minlenratio: shortest output, likewise.
        normalize_length: rank by score per token.
        nbest: hypotheses returned.
        search: "batch", ours, of several utterances at once, or "stock", ESPnet's, of one, which finds the same. Models
            that ours does not know (a recurrent decoder) are searched by stock's in any case.
        confidence_scale, confidence_shift: how raw confidences become honest ones (see inference.confidence); the
            command `calibrate` finds them on a set with transcripts.

    Raises:
        UserError: for a value that is none, or out of its range.
    """

    beam_size: int = 20
    ctc_weight: float = 0.5
    lm_weight: float = 1.0
    ngram_weight: float = 0.3
    ilm_weight: float = 0.0
    penalty: float = 0.0
    pre_beam_ratio: float = 1.5
    maxlenratio: float = 0.0
    minlenratio: float = 0.0
    normalize_length: bool = False
    nbest: int = 1
    search: str = "batch"
    confidence_scale: float = 0.4
    confidence_shift: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name in _NAMES:
                _check_name(name, value)
            else:
                _check_number(name, value)


#: Values of options that have a few.
_NAMES = {"search": ("batch", "stock")}
#: Kind of number, least and greatest value of options that have one.
_RANGES: dict[str, tuple[type, float, float]] = {
    "beam_size": (int, 1, math.inf),
    "nbest": (int, 1, math.inf),
    "ctc_weight": (float, 0, 1),
    "ilm_weight": (float, 0, math.inf),
    "pre_beam_ratio": (float, 1, math.inf),
    "minlenratio": (float, 0, math.inf),
    "normalize_length": (bool, 0, 1),
    "confidence_scale": (float, 0, math.inf),
}


def _check_name(name: str, value: object) -> None:
    if value not in _NAMES[name]:
        raise UserError(f"{name}: found {value!r}, expected {' or '.join(_NAMES[name])}")


def _check_number(name: str, value: object) -> None:
    kind, low, high = _RANGES.get(name, (float, -math.inf, math.inf))
    fits = isinstance(value, (kind, int)) and isinstance(value, bool) == (kind is bool)
    if fits and low <= value <= high:  # type: ignore[operator]
        return
    wanted = {bool: "true or false", float: "a number", int: "a whole number"}[kind]
    unbounded = kind is bool or low == -math.inf
    bounds = "" if unbounded else f" from {low} to {high}".removesuffix(" to inf")
    raise UserError(f"{name}: found {value!r}, expected {wanted}{bounds}")
