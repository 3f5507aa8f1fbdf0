"""A vocoder through ONNX Runtime: `Vocoder` with a graph in place of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_ext.audio.features import Features
from espnet_ext.inference.onnx_session import Session, graph_path, open_graph, read_manifest
from espnet_ext.inference.shares import run_key
from espnet_ext.inference.vocoder import Vocoder


def in_pieces(graph: Session, mel: np.ndarray, pieces: int, facts: Mapping[str, Any]) -> np.ndarray:
    """Speak a spectrogram in pieces side by side, each with as much around it as its samples depend on.

    The runtime gives threads utterances, groups of 64 channels or rows of an image, not parts of a row: HiFi-GAN's last
    layers, a third of its work, would be done by one thread.

    Args:
        graph: the vocoder's.
        mel: (F, M).
        pieces: how many; 1 for a short spectrogram in any case.
        facts: of the graph: "reach", frames around its own that a sample depends on, 0 = unknown; and "hop".

    Returns:
        (F * hop,).
    """
    around, hop, step = int(facts.get("reach", 0)), facts["hop"], -(-len(mel) // pieces)
    length = step + 2 * around
    if not around or pieces < 2 or length + 2 * around > len(mel):
        whole: np.ndarray = graph(mel=mel[None])[0][0]
        return whole
    own = range(0, len(mel), step)
    begins = [min(max(begin - around, 0), len(mel) - length) for begin in own]
    (waves,) = graph(mel=np.stack([mel[begin : begin + length] for begin in begins]))
    ends = [min(begin + step, len(mel)) for begin in own]
    parts = zip(waves, begins, own, ends, strict=True)
    return np.concatenate([w[(a - at) * hop : (b - at) * hop] for w, at, a, b in parts])


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
        self.graph = open_graph(folder, "vocoder", precision, threads)
        self.pieces = torch.get_num_threads() if threads is None else threads

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
        given = mel.float().cpu().numpy()
        if self.facts["noise"]:
            noise = self._noise(len(mel))
            return torch.from_numpy(self.graph(mel=given[None], noise=noise)[0][0])
        return torch.from_numpy(in_pieces(self.graph, given, self.pieces, self.facts))

    def _noise(self, frames: int) -> np.ndarray:
        """What the generator in torch draws, the same every time."""
        drawn, bins = torch.Generator().manual_seed(0), self.facts["bins"]
        if self.facts["noise"] == "phase":
            found = (2 * math.pi * torch.rand((frames, bins), generator=drawn)).T[None]
        else:
            found = torch.randn((1, bins, frames * self.facts["hop"]), generator=drawn)
        return found.contiguous().numpy()
