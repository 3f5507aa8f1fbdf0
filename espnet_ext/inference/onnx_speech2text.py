"""Recognition through ONNX Runtime: `Speech2Text` with graphs in place of the model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from espnet_ext.bridge.batched import (
    Boost,
    boost_scorer,
    joint_search,
    language_scorer,
    search_by_method,
)
from espnet_ext.bridge.external import find_scorer, neural_scorer, scorer_files
from espnet_ext.bridge.search import Others, weights_of
from espnet_ext.errors import UserError
from espnet_ext.inference.boosting import boost_of
from espnet_ext.inference.onnx_decoder import OnnxDecoderAlone, OnnxDecoderScorer
from espnet_ext.inference.onnx_session import (
    Session,
    graph_path,
    open_graph,
    read_manifest,
    require_form,
)
from espnet_ext.inference.onnx_text import text_of
from espnet_ext.inference.options import DecodeOptions, changed
from espnet_ext.inference.pretrained import lm_files
from espnet_ext.inference.speech2text import Speech2Text
from espnet_ext.search.scorers import CoverageScorer

#: Graphs that "int8" leaves in fp32: the decoder's small products gain nothing, and it makes more mistakes.
_EXACT = ("memory", "decoder")


def form_of(name: str, precision: str) -> str:
    """In which form of `onnx_session.ENDINGS` a graph is read.

    >>> [form_of(name, "int8") for name in ("encoder", "decoder")], form_of("decoder", "int8-all")
    (['int8', 'fp32'], 'int8')
    """
    if precision == "int8-all":
        return "int8"
    return "fp32" if precision == "int8" and name in _EXACT else precision


#: Arguments of `OnnxSpeech2Text` and its `from_dir` that are no options of the search.
_GIVEN = ("precision", "threads", "lm_dir", "lm_weights", "ngram", "ilm")


class TooShortUttError(UserError):
    """As ESPnet's of the same name, by which `Speech2Text` knows what gives no words."""


class OnnxModel:
    """The part of a recogniser's model that an engine talks to, made of graphs.

    Args:
        folder: that export_onnx wrote.
        facts: its manifest.
        precision: see `OnnxSpeech2Text`.
        threads: of an operation; None = as many as torch has.
    """

    def __init__(
        self, folder: Path, facts: dict[str, Any], precision: str, threads: int | None
    ) -> None:
        forms = {name: form_of(name, precision) for name in facts["graphs"]}
        require_form(folder, forms)
        self.graphs = {
            name: open_graph(folder, name, form, threads) for name, form in forms.items()
        }
        self.token_list, self.eos = facts["tokens"], facts["eos"]
        self.shortest = int(facts.get("shortest", 1))
        stft = SimpleNamespace(n_fft=facts["n_fft"])
        self.frontend = SimpleNamespace(stft=stft, multichannel=False)
        self.ctc = OnnxCtc(self.graphs["ctc"]) if "ctc" in self.graphs else None
        self.decoder: OnnxDecoderScorer | None = None
        if "decoder" in self.graphs:
            self.decoder = OnnxDecoderScorer(self.graphs["memory"], self.graphs["decoder"])

    def encode(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) and (B,), all of one length -> (B, T, D) and (B,).

        Raises:
            TooShortUttError: for fewer frames than the encoder needs.
        """
        (feats,) = self.graphs["frontend"](speech=speech.numpy())
        if feats.shape[1] < self.shortest:
            raise TooShortUttError(
                f"found a sound of {feats.shape[1]} frames of features, expected {self.shortest} or more: it is too "
                "short for the encoder"
            )
        frames = np.full(len(feats), feats.shape[1], dtype=np.int64)
        encoded, found = self.graphs["encoder"](feats=feats, lengths=frames)
        return torch.from_numpy(encoded), torch.from_numpy(found)


class OnnxCtc:
    """CTC's output layer."""

    def __init__(self, graph: Session) -> None:
        self.graph = graph

    def log_softmax(self, encoded: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V)."""
        return torch.from_numpy(self.graph(encoded=encoded.numpy())[0])


class OnnxSpeech2Text(Speech2Text):
    """Recognises with the graphs that `export_onnx --task asr` wrote; is called as `Speech2Text` is.

    Language models stay in torch: one that reads a token at a time from a cache is no faster as a graph.

    Args:
        folder: of the graphs.
        options: how to search, all of them.
        precision: a form of the graphs, of those that have it (one at least): "fp32", "int8" (of the encoder),
            "int8-all" (of the decoder, too), "bf16" or "fp16".
        threads: of an operation; None = as many as torch has.
        lm_config, lm_weights, ngram, ilm: as `Speech2Text` has them.

    Raises:
        UserError: if onnxruntime or a file is missing, no graph has this form, or the model lacks what the search
            needs.
    """

    def __init__(
        self,
        folder: str | Path,
        options: DecodeOptions | None = None,
        precision: str = "fp32",
        threads: int | None = None,
        lm_config: str | Path | None = None,
        lm_weights: str | Path | None = None,
        ngram: str | Path | None = None,
        ilm: str | Path | None = None,
    ) -> None:
        folder = Path(folder)
        facts = read_manifest(folder, "asr")
        self.options, self.device, self.config = options or DecodeOptions(), "cpu", facts
        self.rate, self.pipeline, self.dtype = facts["rate"], text_of(facts, folder), torch.float32
        if "frontend" not in facts["graphs"]:
            raise UserError(f"{folder}: found a model of features, expected one that hears sound")
        if self.options.search == "stock":
            raise UserError("search: found stock, which does not know ONNX graphs, expected batch")
        self.model = OnnxModel(folder, facts, precision, threads)
        self.files = [graph_path(folder, n, form_of(n, precision)) for n in facts["graphs"]]
        others = self._others(lm_config, lm_weights, ngram, ilm)
        boost = boost_of(self.pipeline, self.options.phrases())
        if isinstance(self.options.boost, str):
            self.files.append(Path(self.options.boost))
        self.search = None
        self.batched = search_by_method(
            self.model, self.options, others, lambda: joint(self.model, self.options, others, boost)
        )

    @classmethod
    def from_dir(  # type: ignore[override]
        cls,
        folder: str | Path,
        lm_dir: str | Path | None = None,
        lm_weights: str = "valid.loss.ave.pth",
        **more: Any,
    ) -> OnnxSpeech2Text:
        """Use what export_onnx left in a folder, and perhaps a language model's folder."""
        if lm_dir is not None:
            more |= {
                "lm_config": Path(lm_dir) / "config.yaml",
                "lm_weights": Path(lm_dir) / lm_weights,
            }
        return cls(folder, **more)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        name: str | Path,
        *,
        device: str = "cpu",
        beam: int | None = None,
        lm: str | Path | bool = True,
        options: DecodeOptions | None = None,
        **more: Any,
    ) -> OnnxSpeech2Text:
        """Use the graphs in a folder, as `Speech2Text.from_pretrained` uses a model.

        Args:
            name: the folder; graphs are shared as folders.
            device: "cpu", where graphs run.
            beam: instead of beam_size.
            lm: the folder of a language model; none comes with graphs.
            options: how to search.
            more: what the class or `from_dir` takes (precision, threads, lm_dir, ngram, ...), and options by name,
                e.g. ctc_weight=0.3.

        Raises:
            UserError: for another device, if there are no such graphs, or no such option.
        """
        if device != "cpu":
            raise UserError(
                f"device: found {device!r}, expected cpu, where graphs are searched: Speech2Text uses GPUs"
            )
        given = {key: more.pop(key) for key in _GIVEN if key in more}
        if isinstance(lm, str | Path):
            given |= {"lm_dir": lm, "lm_weights": lm_files(lm)["lm_weights"].name}
        return cls.from_dir(name, options=changed(options, beam, more), **given)

    def _others(
        self,
        lm_config: str | Path | None,
        lm_weights: str | Path | None,
        ngram: str | Path | None,
        ilm: str | Path | None,
    ) -> Others:
        """Language models over the graphs' tokens, whose files are added to `files`."""
        tokens, found = self.model.token_list, {}
        if lm_config is not None:
            found["lm"] = neural_scorer(lm_config, lm_weights, tokens)
            self.files += [Path(p) for p in (lm_config, lm_weights) if p is not None]
        for name, path in (("ngram", ngram), ("ilm", ilm)):
            if path is not None:
                found[name] = find_scorer(path, tokens)
                self.files += scorer_files(path)
        return Others(**found)


def joint(model: OnnxModel, options: DecodeOptions, others: Others, boost: Boost | None) -> Any:
    """The search by all that have a weight.

    Raises:
        UserError: for a language model of a kind that is not known, or coverage without decoder.
    """
    weights, decoder = weights_of(options), model.decoder
    assert decoder is not None
    decoder.threshold = options.coverage_threshold if options.coverage_weight else None
    known: dict[str, Any] = {
        "decoder": decoder,
        "ilm": OnnxDecoderAlone(decoder.memory, decoder.decoder),
        "coverage": CoverageScorer(cast(Any, decoder), len(model.token_list)),
    }
    if boost is not None:
        known["boost"] = boost_scorer(boost, model.eos, "cpu")
    given = {name: lm for name, lm in vars(others).items() if lm is not None}
    known |= {name: language_scorer(lm) for name, lm in given.items()}
    known = {name: scorer for name, scorer in known.items() if weights[name]}
    for name, scorer in known.items():
        if scorer is None:
            raise UserError(
                f"{name}: found a {type(given[name]).__name__}, expected a Transformer, LSTM or n-gram model"
            )
    return joint_search(model, known, options)
