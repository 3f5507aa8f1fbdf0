"""Synthesis through ONNX Runtime: `Text2Speech` with graphs in place of the model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from espnet_ext.audio.features import Features
from espnet_ext.errors import UserError
from espnet_ext.inference.onnx_session import graph_path, read_manifest
from espnet_ext.inference.onnx_synthesis import KINDS, OnnxSynthesiser
from espnet_ext.inference.onnx_text import text_of
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.inference.vocoder import Vocoder, griffin_lim


class OnnxText2Speech(Text2Speech):
    """Speaks with the graphs that `export_onnx --task tts` wrote; is called as `Text2Speech` is.

    Args:
        folder: of the graphs.
        options: how to speak.
        vocoder: makes the waveform where the model has none of its own, e.g. an `OnnxVocoder`; None = Griffin-Lim.
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
        tts: Any = _kind(folder, facts)(folder, facts, precision, threads)
        self.model = SimpleNamespace(tts=tts, inference=tts.inference)
        paths = (graph_path(folder, name, precision) for name in facts["graphs"])
        self.files = tuple(paths)  # type: ignore[assignment]  # as many as there are
        self.pipeline, self.vocoder = text_of(facts, folder), None
        if not tts.require_vocoder:
            self.rate = facts["rate"]
            return
        front = Features(**facts["features"])
        self.rate = front.fs
        self.vocoder = vocoder or griffin_lim(front, self.options.griffin_lim_iters)
        if vocoder is not None:
            vocoder.check(front)

    @classmethod
    def from_dir(cls, folder: str | Path, **more: Any) -> OnnxText2Speech:  # type: ignore[override]
        """Use what export_onnx left in a folder."""
        return cls(folder, **more)


def _kind(folder: Path, facts: dict[str, Any]) -> type[OnnxSynthesiser]:
    """Raises UserError for a kind of synthesiser that a newer version wrote."""
    kind = facts.get("kind", "aligned")
    if kind not in KINDS:
        raise UserError(
            f"{folder}: found a synthesiser {kind!r}, expected one of {', '.join(KINDS)}"
        )
    return KINDS[kind]
