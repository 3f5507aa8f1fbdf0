"""What `export.py` measures besides encoders and vocoders: CTC, the decoder's step, an acoustic model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from benchmarks.export_versions import FORMS, Version, forms, graph_versions, torch_versions

WIDTH, TOKENS, HYPOTHESES, READ = 256, 5000, 10, 30


def _of_graph(graph: Any, threads: int) -> list[Version]:
    found = torch_versions(graph.module.eval(), tuple(graph.inputs.values()), int8=True)
    return found + graph_versions(graph, threads, "ONNX Runtime")


def ctc(args: Any) -> list[Version]:
    """Its output layer, over the encoder's frames of 40 ms."""
    import torch

    from espnet_ext.export.onnx_asr import ctc_graph

    torch.manual_seed(0)
    made = SimpleNamespace(ctc=SimpleNamespace(ctc_lo=torch.nn.Linear(WIDTH, TOKENS)))
    encoded = torch.randn(args.batch, int(args.seconds * 25), WIDTH)
    return _of_graph(replace(ctc_graph(made, WIDTH), inputs={"encoded": encoded}), args.threads)


def decoder_step(args: Any) -> list[Version]:
    """One token of each hypothesis."""
    import torch

    from espnet_ext.asr.decoder import CachedTransformerDecoder
    from espnet_ext.export.onnx_asr import decoder_graphs, step_example

    torch.manual_seed(0)
    sizes = {"attention_heads": 4, "linear_units": 2048, "num_blocks": 6}
    decoder = CachedTransformerDecoder(TOKENS, WIDTH, **sizes).eval()
    step = decoder_graphs(decoder, WIDTH)[1]
    inputs = step_example(step.module, args.batch, HYPOTHESES, READ, int(args.seconds * 25))
    return _of_graph(replace(step, inputs=inputs), args.threads)


def _model(args: Any) -> Any:
    """ESPnet's model around the acoustic model."""
    import torch

    from espnet_ext.bridge.load import load_model
    from espnet_ext.export.pack import find_weights
    from espnet_ext.inference.voices import task_of
    from espnet_ext.tts.acoustic import AcousticModel

    if args.tts_dir is None:
        torch.manual_seed(0)
        return SimpleNamespace(tts=AcousticModel(80, 80).eval(), normalize=None)
    config = args.tts_dir / "config.yaml"
    usual = ("valid.mel.ave.pth", "valid.loss.ave.pth", "valid.mel.best.pth")
    return load_model(task_of(config), config, find_weights(args.tts_dir, usual, args.tts_model))[0]


def _rate(model: Any) -> float:
    """Frames a second."""
    if getattr(model, "feats_extract", None) is None:
        return 22050 / 256
    front = model.feats_extract.get_parameters()
    return float(front["fs"] / front["n_shift"])


def acoustic(args: Any) -> list[Version]:
    """Tokens to the log-mel spectrogram, of a batch of one."""
    import torch

    from espnet_ext.asr.packed import pack
    from espnet_ext.export.onnx_acoustic import acoustic_graphs

    model = _model(args)
    text, mel = acoustic_graphs(copy.deepcopy(model))[0][:2]
    given = _inputs(text, mel, int(args.seconds * _rate(model)))

    def version(name: str, read: Callable[..., Any], speak: Callable[..., Any]) -> Version:
        def run() -> Any:
            encoded = read(**given[0])[0]
            return speak(encoded=encoded, **given[1])[0]

        return Version(name, run)

    def of_torch(modules: Sequence[Any], name: str) -> Version:
        def called(module: Any) -> Callable[..., Any]:
            return lambda **inputs: [
                part.numpy() for part in module(*map(torch.as_tensor, inputs.values()))
            ]

        return version(name, *map(called, modules))

    from benchmarks.export_words import quantised

    plain = text.module.eval(), mel.module.eval()
    # no bf16 in torch: pitch is looked up in a table between two of its rows, which autocast does not know
    packed = [pack(copy.deepcopy(module)) for module in plain]
    found = [
        of_torch(plain, "torch, fp32"),
        of_torch(packed, "torch, fp32, packed"),
        of_torch([quantised(module) for module in plain], "torch, INT8 of linear layers"),
    ]
    both = forms(text, args.threads), forms(mel, args.threads)
    return found + [
        version(f"ONNX Runtime, {FORMS[form]}", both[0][form], both[1][form]) for form in both[0]
    ]


def _inputs(text: Any, mel: Any, frames: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of both graphs, but for what the first one gives: as many tokens as last about so many frames.

    The spectrogram's durations are the first module's, stretched to the frames.
    """
    import numpy as np
    import torch

    from espnet_ext.tts.alignment import frame_tokens

    number = max(2, frames // 7)
    drawn = torch.Generator().manual_seed(0)
    known = int(text.inputs["tokens"].max()) + 1
    first = dict(text.inputs)
    first["tokens"] = torch.randint(1, known, (1, number), generator=drawn)
    first["lengths"] = torch.tensor([number])
    if "noise" in first:
        first["noise"] = torch.zeros(1, number)
    with torch.no_grad():
        lasts = text.module.eval()(*first.values())[1]
    ends = (lasts.cumsum(1) * frames / lasts.sum()).round().long()
    durations = torch.diff(ends, prepend=torch.zeros(1, 1, dtype=torch.int64))
    spoken = frame_tokens(durations, frames)
    second = {name: value for name, value in mel.inputs.items() if name != "encoded"}
    second |= {"lengths": first["lengths"], "number": spoken[0], "places": spoken[1]}
    second |= {"semitones": torch.zeros(1, number), "loudness": torch.ones(1, number)}
    if "noise" in second:
        second["noise"] = torch.zeros(1, frames, second["noise"].shape[2])
    arrays = [{name: np.asarray(value) for name, value in part.items()} for part in (first, second)]
    return arrays[0], arrays[1]


def distortion(one: Any, other: Any) -> float:
    """Mel-cepstral distortion in dB of two log-mel spectrograms (1, T, M), coefficients 1 to 13 (Kubichek 1993)."""
    import numpy as np
    from scipy.fft import dct

    away = dct(np.asarray(one - other, np.float64), norm="ortho")[..., 1:14]
    return float(10 / np.log(10) * np.sqrt(2 * (away**2).sum(-1)).mean())
