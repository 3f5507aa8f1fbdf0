"""Recognition through ONNX Runtime: `Speech2Text` with graphs in place of the model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_ext.bridge.batched import joint_search, search_by_method
from espnet_ext.errors import UserError
from espnet_ext.inference.onnx_decoder import OnnxDecoderScorer
from espnet_ext.inference.onnx_session import Session, graph_path, open_graph, read_manifest
from espnet_ext.inference.onnx_text import text_of
from espnet_ext.inference.options import DecodeOptions
from espnet_ext.inference.speech2text import Speech2Text
from espnet_ext.search.beam import BatchSearch


class OnnxModel:
    """The part of a recogniser's model that an engine talks to, made of graphs.

    Args:
        folder: that export_onnx wrote.
        facts: its manifest.
        precision: "fp32" or "int8".
        threads: of an operation; None = as many as torch has.
    """

    def __init__(
        self, folder: Path, facts: dict[str, Any], precision: str, threads: int | None
    ) -> None:
        self.graphs = {
            name: open_graph(folder, name, precision, threads) for name in facts["graphs"]
        }
        self.token_list, self.eos = facts["tokens"], facts["eos"]
        stft = SimpleNamespace(n_fft=facts["n_fft"])
        self.frontend = SimpleNamespace(stft=stft, multichannel=False)
        self.ctc = OnnxCtc(self.graphs["ctc"]) if "ctc" in self.graphs else None
        self.decoder: OnnxDecoderScorer | None = None
        if "decoder" in self.graphs:
            self.decoder = OnnxDecoderScorer(self.graphs["memory"], self.graphs["decoder"])

    def encode(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) and (B,), all of one length -> (B, T, D) and (B,)."""
        (feats,) = self.graphs["frontend"](speech=speech.numpy())
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

    Args:
        folder: of the graphs.
        options: how to search; weights of language models are not used.
        precision: "int8" where graphs have such a form, else "fp32".
        threads: of an operation; None = as many as torch has.

    Raises:
        UserError: if onnxruntime or a file is missing, or the model lacks what the search needs.
    """

    def __init__(
        self,
        folder: str | Path,
        options: DecodeOptions | None = None,
        precision: str = "fp32",
        threads: int | None = None,
    ) -> None:
        folder = Path(folder)
        facts = read_manifest(folder, "asr")
        self.options, self.device, self.config = options or DecodeOptions(), "cpu", facts
        self.rate, self.pipeline, self.dtype = facts["rate"], text_of(facts, folder), torch.float32
        if "frontend" not in facts["graphs"]:
            raise UserError(f"{folder}: found a model of features, expected one that hears sound")
        self.model = OnnxModel(folder, facts, precision, threads)
        self.files = [graph_path(folder, name, precision) for name in facts["graphs"]]
        self.search = None
        self.batched = _search(self.model, self.options)

    @classmethod
    def from_dir(cls, folder: str | Path, **more: Any) -> OnnxSpeech2Text:  # type: ignore[override]
        """Use what export_onnx left in a folder."""
        return cls(folder, **more)


def _search(model: OnnxModel, options: DecodeOptions) -> Any:
    """Our search around the graphs."""
    for name in ("boost", "coverage_weight"):
        if getattr(options, name):
            raise UserError(f"{name}: found {getattr(options, name)!r}, which ONNX models lack")
    return search_by_method(model, options, lambda: _joint(model, options))


def _joint(model: OnnxModel, options: DecodeOptions) -> BatchSearch:
    assert model.decoder is not None
    return joint_search(model, {"decoder": model.decoder}, options)
