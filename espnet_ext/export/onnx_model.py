"""A trained model's folder as a folder of ONNX graphs that needs neither ESPnet nor its YAML."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.export.onnx_graph import Graph, halve, quantise, write_graph
from espnet_ext.export.pack import TASKS, find_weights
from espnet_ext.files import write_json
from espnet_ext.inference.onnx_session import ENDINGS, MANIFEST, OPSET, require
from espnet_ext.text.tokens import LEXICON_FILE

#: Frames of features, within which every encoder hears something.
MOST_FRAMES = 100


@dataclass(frozen=True)
class Written:
    """One graph.

    Attributes:
        name: of its file, without ending.
        difference: its largest one from torch, as a share of the largest number.
        bytes: of the file.
        int8: bytes of the INT8 form; None if there is none.
        half: bytes of the form in 16 bits; None if there is none.
    """

    name: str
    difference: float
    bytes: int
    int8: int | None = None
    half: int | None = None


def export_onnx(
    task: str,
    model_dir: str | Path,
    output_dir: str | Path,
    weights: str | None = None,
    int8: bool = True,
    half: str | None = None,
) -> list[Written]:
    """Write a model's graphs, each compared with torch, and what an engine has to know of it.

    Args:
        task: "asr", "tts" or "voc".
        model_dir: what training left, e.g. exp/asr_x.
        output_dir: receives `NAME.onnx`, `NAME.int8.onnx` and, last of all, `onnx.json`.
        weights: name of the file in model_dir; None = the usual ones of the task.
        int8: write the INT8 forms, too.
        half: write forms whose weights are kept in 16 bits, too: "bf16" or "fp16".

    Raises:
        UserError: if onnx or onnxruntime are missing, the model is, or a part of it cannot be written.
    """
    require("onnx"), require("onnxruntime")
    folder, output = Path(model_dir), Path(output_dir)
    graphs, facts, files = READERS[task](folder, weights)
    output.mkdir(parents=True, exist_ok=True)
    (output / MANIFEST).unlink(missing_ok=True)
    written = [_write(graph, output, int8, half) for graph in graphs]
    for name, path in files.items():
        shutil.copyfile(path, output / name)
    shown = {w.name: {"difference": w.difference, "int8": w.int8 is not None} for w in written}
    facts = {"task": task, "opset": OPSET, "source": str(folder), "graphs": shown, **facts}
    write_json(output / MANIFEST, facts)
    return written


def _write(graph: Graph, output: Path, int8: bool, half: str | None) -> Written:
    """One graph in its forms; those of an earlier export do not stay."""
    difference = write_graph(graph, output)
    paths = {form: output / (graph.name + ending) for form, ending in ENDINGS.items()}
    plain = paths.pop("fp32")
    for path in paths.values():
        path.unlink(missing_ok=True)
    if int8 and graph.quantise and not quantise(plain, paths["int8"]):
        paths["int8"].unlink()  # nothing in it to be quantised
    if half is not None and not halve(plain, paths[half], half):
        paths[half].unlink()
    sizes = {form: path.stat().st_size for form, path in paths.items() if path.is_file()}
    kept = sizes.get(half) if half is not None else None
    return Written(graph.name, difference, plain.stat().st_size, sizes.get("int8"), kept)


Read = tuple[list[Graph], Mapping[str, Any], Mapping[str, Path]]


def _read_asr(folder: Path, weights: str | None) -> Read:
    from espnet_ext.bridge.load import load_model
    from espnet_ext.bridge.tasks import sampling_rate
    from espnet_ext.export.onnx_asr import asr_graphs

    path = find_weights(folder, TASKS["asr"].preferred, weights)
    model, config = load_model("asr", folder / "config.yaml", path)
    stft = getattr(model.frontend, "stft", None)
    facts = {
        "rate": sampling_rate("asr", config),
        "n_fft": getattr(stft, "n_fft", 0),
        "eos": model.eos,
    }
    facts["shortest"] = _shortest(model, config["input_size"])
    text, files = _text(config)
    return asr_graphs(model, config["input_size"]), {**facts, **text}, files


def _shortest(model: Any, size: int | None) -> int:
    """Frames of features that the encoder needs, found by trying: in a graph its own check is lost."""
    import torch

    from espnet_ext.export.onnx_asr import Encode

    encode, size = Encode(model), model.frontend.output_size() if size is None else size
    for frames in range(1, MOST_FRAMES):
        try:
            with torch.no_grad():
                if encode(torch.zeros(1, frames, size), torch.tensor([frames]))[0].shape[1]:
                    return frames
        except (
            Exception
        ):  # TooShortUttError, or what a convolution says: whatever is raised, more are needed
            continue
    raise UserError(
        f"encoder: found none that hears {MOST_FRAMES} frames of features, expected one that does"
    )


def _read_tts(folder: Path, weights: str | None) -> Read:
    from espnet_ext.audio.features import features_of_model
    from espnet_ext.bridge.load import load_model
    from espnet_ext.export.onnx_tts import tts_graphs
    from espnet_ext.inference.voices import task_of

    usual = (*TASKS["tts"].preferred, "valid.mel.ave.pth", "valid.mel.best.pth")
    path = find_weights(folder, usual, weights)
    model, config = load_model(task_of(folder / "config.yaml"), folder / "config.yaml", path)
    graphs, facts = tts_graphs(model)
    text, files = _text(config)
    rate = getattr(model.tts, "fs", None) or model.feats_extract.get_parameters()["fs"]
    more: dict[str, Any] = {"rate": int(rate)}
    if model.tts.require_vocoder:
        more["features"] = vars(features_of_model(config))
    return graphs, {**facts, **more, **text}, files


def _read_vocoder(folder: Path, weights: str | None) -> Read:
    from espnet_ext.export.onnx_vocoder import vocoder_graph
    from espnet_ext.inference.vocoder import Vocoder

    vocoder = Vocoder.from_dir(folder, weights)
    graph, facts = vocoder_graph(vocoder.model)
    return [graph], {**facts, "features": vars(vocoder.features)}, {}


def _text(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """The text side of a model, and the files that belong to it."""
    from espnet_ext.bridge.load import text_pipeline

    pipeline = text_pipeline(dict(config))
    files = {} if pipeline.bpemodel is None else {"bpe.model": pipeline.bpemodel}
    lexicon = pipeline.g2p is not None and Path(pipeline.g2p).is_file()
    facts = {
        "tokens": pipeline.token_list,
        "token_type": pipeline.token_type,
        "bpemodel": next(iter(files), None),
        "g2p": LEXICON_FILE if lexicon else pipeline.g2p,
        "cleaner": pipeline.cleaner,
        "symbols": list(pipeline.nlsyms),
    }
    return facts, {**files, LEXICON_FILE: Path(str(pipeline.g2p))} if lexicon else files


READERS: dict[str, Callable[[Path, str | None], Read]] = {
    "asr": _read_asr,
    "tts": _read_tts,
    "voc": _read_vocoder,
}
