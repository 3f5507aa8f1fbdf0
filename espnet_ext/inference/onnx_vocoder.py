"""A vocoder through ONNX Runtime: `Vocoder` with a graph in place of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_ext.audio.features import Features
from espnet_ext.inference.onnx_session import Session, graph_path, open_graph, read_manifest
from espnet_ext.inference.shares import run_key
from espnet_ext.inference.vocoder import Vocoder
from espnet_ext.vocoder.pieces import in_pieces


class GraphVocoder:
    """Spectrogram, or hidden states -> waveform.

    Args:
        graph: of a generator.
        facts: of it: "noise", "bins", "hop", "reach".
        threads: of an operation; None = as many as torch has.
    """

    def __init__(self, graph: Session, facts: Mapping[str, Any], threads: int | None) -> None:
        self.graph, self.facts = graph, facts
        self.pieces = torch.get_num_threads() if threads is None else threads

    def __call__(self, mel: np.ndarray, **more: np.ndarray) -> Tensor:
        """(F, M), and what else the graph wants -> (F * hop,)."""
        if self.facts["noise"]:
            return torch.from_numpy(self.graph(mel=mel[None], noise=self._noise(len(mel)))[0][0])
        around, hop = int(self.facts.get("reach", 0)), self.facts["hop"]
        waves = in_pieces(partial(self._waves, more), mel.T[None], self.pieces, around, hop)
        return torch.from_numpy(waves[0])

    def _waves(self, more: Mapping[str, np.ndarray], mels: np.ndarray) -> np.ndarray:
        """Spectrograms (P, M, F) -> (P, F * hop)."""
        (found,) = self.graph(mel=np.ascontiguousarray(mels.swapaxes(1, 2)), **more)
        return found

    def _noise(self, frames: int) -> np.ndarray:
        """What the generator in torch draws, the same every time."""
        drawn, bins = torch.Generator().manual_seed(0), self.facts["bins"]
        if self.facts["noise"] == "phase":
            found = (2 * math.pi * torch.rand((frames, bins), generator=drawn)).T[None]
        else:
            found = torch.randn((1, bins, frames * self.facts["hop"]), generator=drawn)
        return found.contiguous().numpy()


class OnnxVocoder(Vocoder):
    """Log-mel spectrogram -> waveform, with the graph that `export_onnx --task voc` wrote.

    Args:
        folder: of the graph.
        precision: "int8" where the graph has such a form, else "fp32".
        threads: of an operation; None = as many as torch has.
    """

    def __init__(
        self, folder: str | Path, precision: str = "fp32", threads: int | None = None
    ) -> None:
        self.folder, self.precision, self.device = Path(folder), precision, "cpu"
        self.facts = read_manifest(folder, "voc")
        self.features = Features(**self.facts["features"])
        graph = open_graph(folder, "vocoder", precision, threads)
        self.speak = GraphVocoder(graph, self.facts, threads)

    @classmethod
    def from_dir(cls, folder: str | Path, **more: Any) -> OnnxVocoder:  # type: ignore[override]
        """Use what export_onnx left in a folder."""
        return cls(folder, **more)

    @cached_property
    def identity(self) -> str:
        """What its speech depends on besides the spectrogram: a hash of the files."""
        return run_key([graph_path(self.folder, "vocoder", self.precision)])

    def __call__(self, mel: Tensor) -> Tensor:
        """Log-mel spectrogram (F, M) as `features` computes it -> waveform (F * hop,), float32."""
        return self.speak(mel.float().cpu().numpy())
