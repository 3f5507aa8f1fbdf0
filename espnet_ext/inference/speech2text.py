"""Recognition with a trained hybrid CTC/attention model, ours or stock ESPnet's."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.audio.resample import resample
from espnet_ext.bridge.batched import batch_search
from espnet_ext.bridge.external import find_scorer, neural_scorer, scorer_files
from espnet_ext.bridge.load import load_model, text_pipeline
from espnet_ext.bridge.search import Others, beam_search
from espnet_ext.bridge.tasks import sampling_rate
from espnet_ext.errors import UserError
from espnet_ext.inference.shares import run_key
from espnet_ext.search.batches import MOST, search_all


@dataclass(frozen=True)
class DecodeOptions:
    """How to search; names and defaults are those of stock ESPnet's asr_inference.

    Attributes:
        beam_size: hypotheses kept at each step, >= 1.
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

    def __post_init__(self) -> None:
        if self.search not in ("batch", "stock"):
            raise UserError(f"search: found {self.search!r}, expected batch or stock")
        for name, value in vars(self).items():
            if name == "search":
                continue
            kind, low, high = _RANGES.get(name, (float, -math.inf, math.inf))
            fits = isinstance(value, (kind, int)) and isinstance(value, bool) == (kind is bool)
            if not fits or not low <= value <= high:
                wanted = (
                    "true or false"
                    if kind is bool
                    else "a number"
                    if kind is float
                    else "a whole number"
                )
                bounds = (
                    ""
                    if kind is bool or low == -math.inf
                    else f" from {low} to {high}".removesuffix(" to inf")
                )
                raise UserError(f"{name}: found {value!r}, expected {wanted}{bounds}")


#: Kind of number, least and greatest value of options that have one.
_RANGES: dict[str, tuple[type, float, float]] = {
    "beam_size": (int, 1, math.inf),
    "nbest": (int, 1, math.inf),
    "ctc_weight": (float, 0, 1),
    "ilm_weight": (float, 0, math.inf),
    "pre_beam_ratio": (float, 1, math.inf),
    "minlenratio": (float, 0, math.inf),
    "normalize_length": (bool, 0, 1),
}


@dataclass(frozen=True)
class Hypothesis:
    """One recognised utterance.

    Attributes:
        text: as a person reads it.
        tokens: units of the token list.
        token_ids: their numbers.
        score: weighted log probability; only differences mean something.
        scores: its parts before weighting: "decoder", "ctc", "lm", "ngram", "ilm", "length_bonus" as far as they have
            a weight.
    """

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)


_NOTHING = Hypothesis("", (), (), float("-inf"))


class Speech2Text:
    """Recognises an utterance, or many together.

    Args:
        config, weights: config.yaml and .pth of the recogniser.
        lm_config, lm_weights: of a language model over the same tokens.
        options: how to search.
        device: "cpu", "cuda", ...
        ngram: an n-gram model over the same tokens, or the folder of one.
        ilm: a model of the training transcripts, neural (folder) or n-gram; see DecodeOptions.ilm_weight.
    """

    def __init__(
        self,
        config: str | Path,
        weights: str | Path,
        lm_config: str | Path | None = None,
        lm_weights: str | Path | None = None,
        options: DecodeOptions | None = None,
        device: str = "cpu",
        ngram: str | Path | None = None,
        ilm: str | Path | None = None,
    ) -> None:
        self.options, self.device = options or DecodeOptions(), device
        self.files = [p for p in (config, weights, lm_config, lm_weights) if p is not None]
        self.model, self.config = load_model("asr", config, weights, device)
        self.rate = sampling_rate("asr", self.config)
        tokens = self.model.token_list
        others: dict[str, Any] = {}
        if lm_config is not None:
            others["lm"] = neural_scorer(lm_config, lm_weights, tokens, device)
        for name, path in (("ngram", ngram), ("ilm", ilm)):
            if path is not None:
                others[name] = find_scorer(path, tokens, device)
                self.files += scorer_files(path)
        self.search = beam_search(self.model, Others(**others), self.options, device)
        self.batched = self._batched(Others(**others))
        for name in ("beam_search", "batch_beam_search"):  # they tell every step
            logging.getLogger(f"espnet.nets.{name}").setLevel(logging.WARNING)
        self.pipeline = text_pipeline(self.config)

    @classmethod
    def from_dir(
        cls,
        model_dir: str | Path,
        weights: str = "valid.acc.ave.pth",
        lm_dir: str | Path | None = None,
        lm_weights: str = "valid.loss.ave.pth",
        **more: Any,
    ) -> Speech2Text:
        """Use what the training stages left in `exp/...`."""
        model_dir = Path(model_dir)
        lm = () if lm_dir is None else (Path(lm_dir) / "config.yaml", Path(lm_dir) / lm_weights)
        return cls(model_dir / "config.yaml", model_dir / weights, *lm, **more)

    @cached_property
    def identity(self) -> str:
        """What its answers depend on besides the sound: a hash of the models and the options."""
        return run_key(self.files, vars(self.options))

    def _batched(self, others: Others) -> Any:
        """Our search, or None where stock's is asked for or needed."""
        if self.options.search == "stock":
            return None
        return batch_search(self.model, others, self.options)

    def __call__(self, speech: np.ndarray, rate: int | None = None) -> list[Hypothesis]:
        """Hypotheses, best first.

        An utterance too short for the front end or the encoder, or with something in it that is no number, gives one
        empty hypothesis.

        Args:
            speech: (T,) or (T, C), float in [-1, 1] or integers; channels are mixed down unless the front end wants
                them.
            rate: in Hz; another one than the model's is resampled. None = the model's.

        Raises:
            UserError: for an array of another form.
        """
        return self.many([speech], [rate])[0]

    @torch.no_grad()
    def many(
        self, speeches: Sequence[np.ndarray], rates: Sequence[int | None] | None = None
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each utterance, searched together; see `__call__`.

        Args:
            speeches: any number, of any lengths; all that the encoder makes of them is held at once.
            rates: of each; None = the model's.

        Raises:
            UserError: for an array of another form.
        """
        rates = rates if rates is not None else [None] * len(speeches)
        encoded = [self._encode(np.asarray(s), r) for s, r in zip(speeches, rates, strict=True)]
        heard = [x for x in encoded if x is not None]
        if self.batched is not None:
            found = search_all(self.batched, heard, MOST // self.batched.options.beam_size)
            lists = iter([[self._hypothesis(h.tokens, h) for h in hyps] for hyps in found])
        else:
            lists = iter([self._one_by_one(x) for x in heard])
        return [[_NOTHING] if x is None else next(lists) or [_NOTHING] for x in encoded]

    def _one_by_one(self, encoded: torch.Tensor) -> list[Hypothesis]:
        """Stock's search of one utterance (T, D)."""
        ratios = {"maxlenratio": self.options.maxlenratio, "minlenratio": self.options.minlenratio}
        found = self.search(x=encoded, **ratios)
        return [self._hypothesis(h.yseq[1:].tolist(), h) for h in found[: self.options.nbest]]

    def _encode(self, speech: np.ndarray, rate: int | None) -> torch.Tensor | None:
        """The encoder's output (T, D); None where there is nothing to recognise."""
        speech = self._as_model_hears(speech, rate)
        if len(speech) <= self._window() // 2:
            return None
        samples = torch.as_tensor(speech, dtype=torch.float32, device=self.device)[None]
        try:
            encoded, _ = self.model.encode(
                samples, torch.tensor([samples.shape[1]], device=self.device)
            )
        except Exception as error:
            if type(error).__name__ != "TooShortUttError":
                raise
            return None
        found: torch.Tensor = (encoded[0] if isinstance(encoded, tuple) else encoded)[0]
        if not bool(found.isfinite().all()):
            logging.warning("found sound that is no number (NaN or infinite): nothing recognised")
            return None
        return found

    def _as_model_hears(self, speech: np.ndarray, rate: int | None) -> np.ndarray:
        """(T,) float32 at the model's rate; (T, C) for a front end of several channels."""
        if speech.ndim not in (1, 2) or (speech.ndim == 2 and speech.shape[1] > len(speech) > 0):
            raise UserError(
                f"found audio of shape {speech.shape}, expected (T,) or (T, C), time first: transpose it"
            )
        if np.issubdtype(speech.dtype, np.integer):
            speech = speech / (np.iinfo(speech.dtype).max + 1.0)
        speech = speech.astype(np.float32, copy=False)
        if speech.ndim == 2 and not getattr(self.model.frontend, "multichannel", False):
            speech = speech.mean(axis=1)
        if rate is None or self.rate is None or rate == self.rate:
            return speech
        return resample(speech, rate, self.rate)

    def _window(self) -> int:
        """Samples of the front end's analysis, which reflects half of them at either end; 0 if unknown."""
        return int(getattr(getattr(self.model.frontend, "stft", None), "n_fft", 0) or 0)

    def _hypothesis(self, ids: Sequence[int], found: Any) -> Hypothesis:
        """What a search wrote, and its score in `score` and `scores`."""
        inside = [i for i in ids if i not in (0, self.model.eos)]
        tokens = tuple(self.model.token_list[i] for i in inside)
        scores = {name: float(score) for name, score in found.scores.items()}
        text = self.pipeline.text(inside)
        return Hypothesis(text, tokens, tuple(inside), float(found.score), scores)
