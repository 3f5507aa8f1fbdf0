"""The whole recogniser, computed in each way that `export.py` looks at: what it says, and how long it takes."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TORCH, ONNX = "torch", "ONNX Runtime"


@dataclass(frozen=True)
class Heard:
    """What one way of computing made of the utterances.

    Attributes:
        name: of the encoder's version in the table of speeds.
        what: of the recogniser is computed so.
        words: of each utterance.
        seconds: for all of them.
        encoder: seconds of these in front end and encoder.
        rate: word error rate, in per cent.
    """

    name: str
    what: str
    words: dict[str, str]
    seconds: float
    encoder: float
    rate: float


def sounds(folders: Sequence[Path], limit: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Samples and words of the utterances of data directories."""
    from espnet_ext.audio.read import read
    from espnet_ext.datadir import read_table

    found, said = {}, {}
    for folder in folders:
        texts = read_table(folder / "text")
        for utt, entry in list(read_table(folder / "wav.scp").items())[:limit]:
            found[utt] = read(entry, utt)[0][:, 0].astype("float32")
            said[utt] = texts[utt]
    return found, said


def word_error_rate(words: dict[str, str], said: dict[str, str]) -> float:
    """In per cent."""
    from espnet_ext.metrics.wer import align, total

    counts = total(align(said[utt].split(), words[utt].split()).counts for utt in words)
    return 100 * counts.errors / max(sum(len(said[utt].split()) for utt in words), 1)


Way = tuple[str, str, Callable[[], Any]]


def ways(args: Any, graphs: Path) -> Iterator[Way]:
    """Name of the version, what is computed so, and the recogniser."""
    from espnet_ext.inference.onnx_speech2text import OnnxSpeech2Text
    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

    options = DecodeOptions(beam_size=args.beam, ctc_weight=args.ctc_weight)

    def of_torch(**more: Any) -> Any:
        return Speech2Text.from_dir(args.model_dir, args.model, options=options, **more)

    def int8() -> Any:
        made = of_torch()
        made.model.encoder = quantised(made.model.encoder)
        return made

    def of_onnx(precision: str) -> Any:
        return OnnxSpeech2Text(graphs, options, precision, args.threads)

    yield f"{TORCH}, fp32", "all", of_torch
    yield f"{TORCH}, bf16", "encoder", lambda: of_torch(dtype="bfloat16")
    yield f"{TORCH}, INT8 of linear layers", "encoder", int8
    yield f"{ONNX}, fp32", "all", lambda: of_onnx("fp32")
    yield f"{ONNX}, INT8", "encoder", lambda: of_onnx("int8")
    yield f"{ONNX}, INT8", "encoder and decoder", lambda: of_onnx("int8-all")
    yield f"{ONNX}, kept in bf16", "all", lambda: of_onnx("bf16")


def quantised(module: Any) -> Any:
    """Torch's dynamic INT8 of linear layers."""
    import copy

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(
            copy.deepcopy(module), {torch.nn.Linear}, dtype=torch.qint8
        )


def hear(args: Any) -> list[Heard]:
    """Recognise all utterances in every way; the first is torch in fp32."""
    from espnet_ext.export.onnx_model import export_onnx

    speeches, said = sounds(args.data, args.limit)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        export_onnx("asr", args.model_dir, folder, args.model, half="bf16")
        for name, what, make in ways(args, Path(folder)):
            found.append(_heard(name, what, make(), speeches, said))
            print(f"{name} ({what}): {found[-1].rate:.2f} %, {found[-1].seconds:.1f} s", flush=True)
    return found


def _heard(
    name: str, what: str, engine: Any, speeches: dict[str, Any], said: dict[str, str]
) -> Heard:
    spent, encode = [0.0], engine.model.encode

    def timed(*given: Any) -> Any:
        started = time.perf_counter()
        result = encode(*given)
        spent[0] += time.perf_counter() - started
        return result

    engine(next(iter(speeches.values())))  # warms up
    engine.model.encode = timed
    started = time.perf_counter()
    texts = [one.text for one in engine.many(list(speeches.values()))]
    seconds = time.perf_counter() - started
    words = dict(zip(speeches, texts, strict=True))
    return Heard(name, what, words, seconds, spent[0], word_error_rate(words, said))


def table(found: Sequence[Heard], audio: float) -> list[str]:
    """Its lines."""
    first = found[0]
    lines = [
        f"Whole recogniser, {len(first.words)} utterances ({audio:.0f} s), each way once:",
        "",
        "| computed by | what of it | WER % | change | other sentences | encoder s | as fast | all s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        other = sum(one.words[utt] != first.words[utt] for utt in first.words)
        lines.append(
            f"| {one.name} | {one.what} | {one.rate:.2f} | {one.rate - first.rate:+.2f} | {other} "
            f"| {one.encoder:.1f} | {first.encoder / one.encoder:.2f} | {one.seconds:.1f} |"
        )
    return [*lines, ""]
