"""Synthesis through ONNX Runtime: `Text2Speech` with graphs in place of the model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_ext.audio.features import Features
from espnet_ext.errors import UserError
from espnet_ext.inference.onnx_session import graph_path, open_graph, read_manifest
from espnet_ext.inference.onnx_text import text_of
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.inference.vocoder import Vocoder, griffin_lim
from espnet_ext.tts.duration import stretched


class OnnxAcoustic:
    """The part of a synthesiser that an engine talks to, made of graphs.

    Args:
        folder: that export_onnx wrote.
        facts: its manifest.
        precision: "fp32" or "int8".
        threads: of an operation; None = as many as torch has.
    """

    require_vocoder = True

    def __init__(
        self, folder: Path, facts: dict[str, Any], precision: str, threads: int | None
    ) -> None:
        self.text, self.mel = (
            open_graph(folder, name, precision, threads) for name in ("text", "mel")
        )
        self.eos, self.voices = facts["eos"], facts["voices"]

    def inference(
        self,
        text: Tensor,
        alpha: float = 1.0,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        use_teacher_forcing: bool = False,
    ) -> dict[str, Tensor]:
        """As the model's: token ids (N - 1,) -> feat_gen_denorm (T, M), duration (N,)."""
        tokens = np.append(text.numpy(), self.eos)[None]
        given = {"tokens": tokens, "lengths": np.array([tokens.shape[1]])}
        for name, value in (("sids", sids), ("lids", lids), ("spembs", spembs)):
            if name in self.voices:
                if value is None:
                    raise UserError(f"found no {name}, expected them: the model has several voices")
                row = value.numpy().reshape(1, -1)
                given[name] = row if name == "spembs" else row[:, 0]
        encoded, frames = self.text(**given)
        lengths = torch.from_numpy(frames)
        durations = stretched(lengths, alpha, torch.ones_like(lengths, dtype=torch.bool))[0]
        places = np.repeat(np.arange(tokens.shape[1]), durations.numpy())[None]
        (mel,) = self.mel(encoded=encoded, places=places)
        return {"feat_gen_denorm": torch.from_numpy(mel[0]), "duration": durations}


class OnnxText2Speech(Text2Speech):
    """Speaks with the graphs that `export_onnx --task tts` wrote; is called as `Text2Speech` is.

    Args:
        folder: of the graphs.
        options: how to speak.
        vocoder: makes the waveform, e.g. an `OnnxVocoder`; None = Griffin-Lim.
        precision: "int8" where graphs have such a form, else "fp32".
        threads: of an operation; None = as many as torch has.

    Raises:
        UserError: if onnxruntime or a file is missing, or the vocoder reads other spectrograms.
    """

    def __init__(
        self,
        folder: str | Path,
        options: SynthesisOptions | None = None,
        vocoder: Vocoder | None = None,
        precision: str = "fp32",
        threads: int | None = None,
    ) -> None:
        folder = Path(folder)
        facts = read_manifest(folder, "tts")
        self.options, self.device, self.config = options or SynthesisOptions(), "cpu", facts
        acoustic = OnnxAcoustic(folder, facts, precision, threads)
        self.model = SimpleNamespace(tts=acoustic, inference=acoustic.inference)
        text, mel = (graph_path(folder, name, precision) for name in ("text", "mel"))
        self.files = (text, mel)
        self.pipeline, front = text_of(facts, folder), Features(**facts["features"])
        self.rate = front.fs
        self.vocoder = vocoder or griffin_lim(front, self.options.griffin_lim_iters)
        if vocoder is not None:
            vocoder.check(front)

    @classmethod
    def from_dir(cls, folder: str | Path, **more: Any) -> OnnxText2Speech:  # type: ignore[override]
        """Use what export_onnx left in a folder."""
        return cls(folder, **more)
