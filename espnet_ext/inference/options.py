"""How to recognise: the keys of a decoding's YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.train.config import check_keys

METHODS = ("joint", "attention", "ctc_greedy", "ctc_prefix", "ctc_rescore")


#: Methods that ask nothing but CTC.
CTC_ALONE = ("ctc_greedy", "ctc_prefix")


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
        method: "joint", by all that have a weight; "attention", the same without CTC; "ctc_greedy", the likeliest
            token of each frame; "ctc_prefix", CTC alone, frame by frame, with sums over all ways to say a text;
            "ctc_rescore", the `beam_size` best of these ranked by all that have a weight. What begins with ctc knows
            no maxlenratio and minlenratio; "ctc_greedy" and "ctc_prefix" leave all weights as they are, ask for no
            language model, and refuse what is asked of one, of boost and of whatever else needs the joint search.
        length_alpha: rank by score / ((5 + tokens) / 6)^length_alpha, GNMT's, 0.6 to 0.8 there; 0 = by the score.
        coverage_weight: added for every frame that the decoder has looked at, against words left out.
        coverage_threshold: how much all tokens together have to look at a frame for that; a token's look at all frames
            sums up to 1, so the mean is that of tokens per frame.
        boost: phrases that are likelier here than the model knows (names, terms), or a file with one a line.
        boost_weight: added for every token within such a phrase.
        confidence_scale, confidence_shift: how raw confidences become honest ones (see inference.confidence); the
            command `calibrate` finds them on a set with transcripts. The scale is much the same from model to model,
            0.41 on AN4 and 0.48 on mini, the shift is not (0.15 and 1.8): the defaults lie between.

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
    method: str = "joint"
    length_alpha: float = 0.0
    coverage_weight: float = 0.0
    coverage_threshold: float = 0.1
    boost: tuple[str, ...] | str = ()
    boost_weight: float = 1.0
    confidence_scale: float = 0.4
    confidence_shift: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.boost, list):  # as a YAML has it
            object.__setattr__(self, "boost", tuple(self.boost))
        for name, value in vars(self).items():
            if name == "boost":
                _check_phrases(value)
            elif name in _NAMES:
                _check_name(name, value)
            else:
                _check_number(name, value)
        if self.normalize_length and self.length_alpha:
            raise UserError(
                f"found normalize_length and length_alpha: {self.length_alpha}, expected one of them"
            )
        if self.search == "stock" and (asked := self.ours_alone):
            raise UserError(f"search: stock does not know {', '.join(asked)}: use search: batch")
        if self.ctc_alone and (asked := self.joint_alone):
            raise UserError(
                f"method: {self.method} does not know {', '.join(asked)}: leave it out, or use method: ctc_rescore "
                "or joint"
            )

    @property
    def ours_alone(self) -> list[str]:
        """Options with a value that stock ESPnet's search does not know."""
        asked = ["coverage_weight", "length_alpha", "boost"]
        found = [name for name in asked if getattr(self, name)]
        return found + ([f"method: {self.method}"] if self.method.startswith("ctc_") else [])

    @property
    def ctc_alone(self) -> bool:
        """Whether nothing but CTC is asked."""
        return self.method in CTC_ALONE

    @property
    def joint_alone(self) -> list[str]:
        """Options with a value that CTC alone does not know; not those that recipes give whatever the method is."""
        asked = [
            "boost",
            "penalty",
            "length_alpha",
            "normalize_length",
            "coverage_weight",
            "ilm_weight",
        ]
        found = [name for name in asked if getattr(self, name)]
        more = self.method == "ctc_greedy" and self.nbest > 1
        return found + ([f"nbest: {self.nbest}"] if more else [])

    def phrases(self) -> list[str]:
        """Those to boost.

        Raises:
            UserError: if their file is not there.
        """
        if not isinstance(self.boost, str):
            return list(self.boost)
        if not Path(self.boost).is_file():
            raise UserError(
                f"boost: {self.boost}: no such file, expected phrases, one a line, or a list of them"
            )
        lines = Path(self.boost).read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]


def changed(
    options: DecodeOptions | None, beam: int | None, changes: Mapping[str, Any]
) -> DecodeOptions:
    """Options with some of them changed by name, and `beam` for beam_size.

    Raises:
        UserError: if there is no such option.
    """
    changes = {**changes} if beam is None else {**changes, "beam_size": beam}
    check_keys(changes, vars(DecodeOptions()), "from_pretrained")
    return replace(options or DecodeOptions(), **changes)


#: Values of options that have a few.
_NAMES = {"search": ("batch", "stock"), "method": METHODS}
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
    "length_alpha": (float, 0, math.inf),
    "coverage_threshold": (float, 0, math.inf),
}


def _check_name(name: str, value: object) -> None:
    if value not in _NAMES[name]:
        raise UserError(f"{name}: found {value!r}, expected {' or '.join(_NAMES[name])}")


def _check_phrases(value: object) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, tuple) or not all(isinstance(p, str) and p.strip() for p in value):
        raise UserError(
            f"boost: found {value!r}, expected a list of phrases, or a file with one a line"
        )


def _check_number(name: str, value: object) -> None:
    kind, low, high = _RANGES.get(name, (float, -math.inf, math.inf))
    fits = isinstance(value, (kind, int)) and isinstance(value, bool) == (kind is bool)
    if fits and low <= value <= high:  # type: ignore[operator]
        return
    wanted = {bool: "true or false", float: "a number", int: "a whole number"}[kind]
    unbounded = kind is bool or low == -math.inf
    bounds = "" if unbounded else f" from {low} to {high}".removesuffix(" to inf")
    raise UserError(f"{name}: found {value!r}, expected {wanted}{bounds}")
