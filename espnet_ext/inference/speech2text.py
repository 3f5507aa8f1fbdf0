"""Recognition with a trained hybrid CTC/attention model, ours or stock ESPnet's."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from espnet_ext.asr.packed import pack
from espnet_ext.bridge.batched import batch_search
from espnet_ext.bridge.external import find_scorer, neural_scorer, scorer_files
from espnet_ext.bridge.load import load_model, text_pipeline
from espnet_ext.bridge.search import Others, beam_search
from espnet_ext.bridge.tasks import sampling_rate
from espnet_ext.errors import UserError
from espnet_ext.inference.boosting import boost_of
from espnet_ext.inference.confidence import Platt, described
from espnet_ext.inference.options import DecodeOptions, changed
from espnet_ext.inference.packed_options import packed_options
from espnet_ext.inference.precision import keep_features_exact, named_dtype
from espnet_ext.inference.pretrained import find_model, lm_files
from espnet_ext.inference.results import NOTHING, Hypothesis, Recognition
from espnet_ext.inference.shares import run_key
from espnet_ext.inference.sounds import (
    WINDOW,
    Given,
    Sound,
    as_heard,
    sound_of,
    sound_or_error,
    too_long,
    windows,
    wrong,
)
from espnet_ext.inference.transcribe import Cutting, Segment, segments_of
from espnet_ext.search.align import align
from espnet_ext.search.batches import if_it_fits, in_halves, room, search_all

__all__ = ["DecodeOptions", "Hypothesis", "Recognition", "Speech2Text"]

#: Utterances whose best hypotheses are aligned together.
_ALIGNED = 8


class Speech2Text:
    """Recognises an utterance, or many together.

    Args:
        config, weights: config.yaml and .pth of the recogniser.
        lm_config, lm_weights: of a language model over the same tokens.
        options: how to search.
        device: "cpu", "cuda", ...
        ngram: an n-gram model over the same tokens, or the folder of one.
        ilm: a model of the training transcripts, neural (folder) or n-gram; see DecodeOptions.ilm_weight.
        dtype: what the encoder calculates in: float32, bfloat16 or float16. The features before it are float32 in any
            case.

    Raises:
        UserError: if the model lacks what the options ask for.
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
        dtype: str = "float32",
    ) -> None:
        self.options, self.device = options or DecodeOptions(), device
        self.dtype = named_dtype(dtype)
        self.files = [p for p in (config, weights, lm_config, lm_weights) if p is not None]
        self.model, self.config = load_model("asr", config, weights, device)
        self.rate = sampling_rate("asr", self.config)
        self.pipeline = text_pipeline(self.config)
        tokens = self.model.token_list
        others: dict[str, Any] = {}
        if lm_config is not None:
            others["lm"] = neural_scorer(lm_config, lm_weights, tokens, device)
        for name, path in (("ngram", ngram), ("ilm", ilm)):
            if path is not None:
                others[name] = find_scorer(path, tokens, device)
                self.files += scorer_files(path)
        if isinstance(self.options.boost, str):
            self.files.append(self.options.boost)
        if self.dtype == torch.float32:
            # oneDNN keeps a program for each of the last 1,024 shapes, and utterances have many lengths
            os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
            pack(self.model.encoder)  # the search packs the weights that it reads
        else:
            keep_features_exact(self.model, torch.device(device).type)
        self.batched = self._batched(Others(**others))
        self.search: Any = None
        if not self.options.method.startswith("ctc_"):
            self.search = beam_search(self.model, Others(**others), self.options, device)
        for name in ("beam_search", "batch_beam_search"):  # they tell every step
            logging.getLogger(f"espnet.nets.{name}").setLevel(logging.WARNING)

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

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        beam: int | None = None,
        lm: str | Path | bool = True,
        cache: str | Path | None = None,
        options: DecodeOptions | None = None,
        **changes: Any,
    ) -> Speech2Text:
        """Use a model by its name.

        Args:
            name: see pretrained.find_model: a folder, a zip, a name of the model zoo or of Hugging Face.
            device, dtype, beam: see the class, and beam_size.
            lm: whether to use the language model and n-gram that come with it, or the folder of another language model.
            cache: where archives are unpacked to.
            options: how to search; None = as the scores of the packed model were made.
            changes: options by name, e.g. ctc_weight=0.3.

        Raises:
            UserError: if there is no such model, or no such option.
        """
        files = find_model(name, "asr", cache)
        given: dict[str, Any] = {"device": device, "dtype": dtype}
        usual = options or packed_options(files, changes.get("method"))
        options = changed(usual, beam, changes)
        if isinstance(lm, str | Path):
            given |= lm_files(lm)
        elif lm and not options.ctc_alone:  # which does not ask for what came with the model
            names = {"lm_config": "lm_train_config", "lm_weights": "lm_file", "ngram": "ngram"}
            given |= {ours: files[theirs] for ours, theirs in names.items() if theirs in files}
        return cls(files["asr_train_config"], files["asr_model_file"], options=options, **given)

    @cached_property
    def identity(self) -> str:
        """What its answers depend on besides the sound: a hash of the models and the options."""
        return run_key(self.files, vars(self.options), str(self.dtype))

    def _batched(self, others: Others) -> Any:
        """Our search, or None where stock's is asked for or needed."""
        if self.options.search == "stock":
            return None
        boost = boost_of(self.pipeline, self.options.phrases())
        return batch_search(self.model, others, self.options, boost)

    # -- what one calls --------------------------------------------------------------------------------------------

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a sequence of str, too
        self, speech: Given, rate: int | None = None
    ) -> Recognition: ...

    @overload
    def __call__(self, speech: Sequence[Given], rate: int | None = None) -> list[Recognition]: ...

    def __call__(
        self, speech: Given | Sequence[Given], rate: int | None = None
    ) -> Recognition | list[Recognition]:
        """Recognise a file or an array, or each of a list of them.

        What is too short for the front end or the encoder gives one empty hypothesis. So does what has something in it
        that is no number, is longer than half an hour or than memory holds, and in a list what cannot be read; then
        `error` says why.

        Args:
            speech: a file of any format and rate; samples (T,) or (T, C), float in [-1, 1] or integers, whose channels
                are mixed down unless the front end wants them; or a list of these.
            rate: of arrays, in Hz; another one than the model's is resampled. None = the model's.

        Raises:
            UserError: for a single file that cannot be read, or an array of another form.
        """
        # a tensor, of torchaudio, say, is one sound; else each number would be an utterance
        if isinstance(speech, str | Path | np.ndarray | Tensor):
            return self.together([sound_of(speech, rate)])[0]
        return list(self.stream(speech, rate))

    def stream(
        self, speeches: Iterable[Given], rate: int | None = None, window: int = WINDOW
    ) -> Iterator[Recognition]:
        """The same of any number, in order, as they come: no more than a quarter of an hour is held at once.

        Args:
            speeches, rate: see `__call__`; an iterator is asked for no more than a window before that is recognised.
            window: utterances recognised together, at most. Many are faster; 1, for a live source, gives what was said
                in an utterance before the next is asked for.

        Raises:
            UserError: for a window of none.
        """
        sounds = (sound_or_error(given, rate) for given in speeches)
        for some in windows(sounds, self.rate, count=window):
            yield from self.together(some)

    def many(
        self, speeches: Sequence[np.ndarray], rates: Sequence[int | None] | None = None
    ) -> list[Recognition]:
        """Arrays of different rates, all searched together; see `__call__`.

        Args:
            speeches: any number, of any lengths; all that the encoder makes of them is held at once.
            rates: of each; None = the model's.

        Raises:
            UserError: for an array of another form, or rates of more or fewer.
        """
        rates = rates if rates is not None else [None] * len(speeches)
        if len(rates) != len(speeches):
            raise UserError(
                f"found {len(rates)} rates of {len(speeches)} arrays, expected one of each"
            )
        return self.together([sound_of(s, r) for s, r in zip(speeches, rates, strict=True)])

    @torch.no_grad()
    def together(self, sounds: Sequence[Sound]) -> list[Recognition]:
        """Recognise sounds, searched together; see inference.sounds."""
        channels = getattr(self.model.frontend, "multichannel", False)
        heard = [as_heard(sound, self.rate, channels) for sound in sounds]
        seconds = [len(x) / (self.rate or 16000) for x in heard]
        errors = [
            sound.error or wrong(x, self.rate) for sound, x in zip(sounds, heard, strict=True)
        ]
        encoded: list[Tensor | None] = [None] * len(heard)
        for number, x in enumerate(heard):
            if errors[number] is None:
                encoded[number], errors[number] = self._encode_or_error(x)
        there = [number for number, x in enumerate(encoded) if x is not None]
        inside = [x for x in encoded if x is not None]
        lists = self._hypotheses(inside)
        errors = _noted(errors, there, lists, seconds)
        hypotheses = [found or [] for found in lists]
        self._describe(hypotheses, inside, [seconds[number] for number in there])
        found = dict(zip(there, hypotheses, strict=True))
        return [
            Recognition(tuple(found.get(number) or [NOTHING]), seconds[number], error)
            for number, error in enumerate(errors)
        ]

    def transcribe(self, recording: str | Path, cutting: Cutting = Cutting()) -> Iterator[Segment]:
        """A recording of any length, cut at its pauses: piece by piece, in flat memory.

        A piece that cannot be recognised is empty, and its `found.error` says why.

        Raises:
            UserError: if it cannot be read.
        """
        for _, segment in segments_of(self, [recording], cutting):
            if segment.found.error and not segment.found.seconds:  # no more of it comes
                raise UserError(segment.found.error)
            if segment.found.seconds:
                yield segment

    # -- how it is done --------------------------------------------------------------------------------------------

    def _hypotheses(self, encoded: Sequence[Tensor]) -> list[list[Hypothesis] | None]:
        """Of each utterance (T, D), best first; none where nothing ended, None where memory was too small."""
        if self.batched is None:
            return [if_it_fits(partial(self._one_by_one, x)) for x in encoded]
        beam = self.batched.options.beam_size
        most = room(self.device, beam, len(self.model.token_list))
        return [
            None if hyps is None else [self._hypothesis(h.tokens, h) for h in hyps]
            for hyps in search_all(self.batched, encoded, most)
        ]

    def _one_by_one(self, encoded: Tensor) -> list[Hypothesis]:
        """Stock's search of one utterance (T, D)."""
        ratios = {"maxlenratio": self.options.maxlenratio, "minlenratio": self.options.minlenratio}
        found = self.search(x=encoded, **ratios)
        return [self._hypothesis(h.yseq[1:].tolist(), h) for h in found[: self.options.nbest]]

    def _describe(
        self,
        lists: list[list[Hypothesis]],
        encoded: Sequence[Tensor],
        seconds: Sequence[float],
    ) -> None:
        """Give the best hypothesis of each list its words, with times and confidences."""
        platt = Platt(self.options.confidence_scale, self.options.confidence_shift)
        full = [number for number, found in enumerate(lists) if found]
        for begin in range(0, len(full), _ALIGNED):
            some = full[begin : begin + _ALIGNED]
            said = [(encoded[number], lists[number][0].token_ids) for number in some]
            paths: Sequence[Any] = [None] * len(some)
            if hasattr(self.model.ctc, "log_softmax"):
                paths = in_halves(self._paths, said)  # what memory does not hold has no times
            for number, path in zip(some, paths, strict=True):
                frame = seconds[number] / len(encoded[number])
                found = lists[number]
                found[0] = described(found, path, frame, self.pipeline.text, platt)

    def _paths(self, said: Sequence[tuple[Tensor, Sequence[int]]]) -> list[Any]:
        """Where the tokens of utterances (T, D) are, by CTC."""
        heard = [self.model.ctc.log_softmax(x[None])[0] for x, _ in said]
        return list(align(heard, [tokens for _, tokens in said]))

    def _encode_or_error(self, speech: np.ndarray) -> tuple[Tensor | None, str | None]:
        """The encoder's output (T, D), None where there is nothing to recognise; and why it cannot be had."""
        held = if_it_fits(lambda: (self._encode(speech),))
        if held is None:
            return None, too_long(len(speech) / (self.rate or 16000))
        (found,) = held
        if found is None or bool(found.isfinite().all()):
            return found, None
        return None, (
            f"found an encoder whose output is no number (NaN or infinite) in {str(self.dtype)[6:]}, though the sound "
            "is, expected finite numbers: use dtype float32, or other weights where it is that"
        )

    def _encode(self, speech: np.ndarray) -> Tensor | None:
        """The encoder's output (T, D); None where there is nothing to recognise."""
        if len(speech) <= self._window() // 2:
            return None
        samples = torch.as_tensor(speech, dtype=torch.float32, device=self.device)[None]
        length, kind = torch.tensor([samples.shape[1]], device=self.device), samples.device.type
        try:
            with torch.autocast(kind, self.dtype, enabled=self.dtype != torch.float32):
                encoded, _ = self.model.encode(samples, length)
        except Exception as error:
            if type(error).__name__ != "TooShortUttError":
                raise
            return None
        found: Tensor = (encoded[0] if isinstance(encoded, tuple) else encoded)[0].float()
        return found

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


def _noted(
    errors: Sequence[str | None],
    there: Sequence[int],
    lists: Sequence[list[Hypothesis] | None],
    seconds: Sequence[float],
) -> list[str | None]:
    """What is wrong with each utterance, with those that memory was too small to search.

    Args:
        errors: of all.
        there: numbers of those that were searched.
        lists: what was found of these; None = memory did not hold it.
        seconds: length of all.
    """
    lost = [number for number, found in zip(there, lists, strict=True) if found is None]
    return [too_long(seconds[n]) if n in lost else error for n, error in enumerate(errors)]
