"""How fast exported models compute on the CPU, and how well: torch beside ONNX Runtime, in float and in INT8.

The encoder is a Conformer of 12 blocks of width 256, the decoder's step that of 6 blocks for 10 hypotheses of 30
tokens, CTC has 5,000 tokens; the acoustic model (--tts_dir; ids of its tokens at random, as many as make the seconds)
has its durations from torch in every version, so that spectrograms can be compared; vocoders are HiFi-GAN V1 and
Vocos at their papers' sizes. Other weights are made up. The versions take turns, who begins changing each time; the
medians are given, and how many times as fast as torch in fp32 each is. "Off" is the mean absolute difference from
torch in fp32, as a share of the mean absolute value, "most" the largest difference, as a share of the largest value.
Processor seconds hardly see what else the machine does. INT8 is dynamic and of matrix products only; HiFi-GAN has
none. "Packed" is what our engines in torch do with linear layers. MCD is that of the spectrograms themselves, 13
coefficients. With a trained recogniser (--model_dir, --data) the words are counted that it gets wrong in each way.
Writes a section of RESULTS.md and prints it. Status 1 where what is asked for is not held: an encoder 1.4 times as
fast as torch whose recogniser's WER changes by 0.2 at most, and for each vocoder 1.35 times with the same waveform to
1e-4.

Usage: python benchmarks/export.py [--model_dir exp/asr_x --data dump/raw/test] [--tts_dir exp/tts_x] [--runs 7]
    [--threads 2] [--seconds 10]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.export_versions import Version

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RATE, HOP, BANDS = 22050, 256, 80
#: Asked for: times torch in fp32, of the encoder and of a vocoder; most that the WER and a sample may change.
ENCODER, VOCODER, WORDS, SAMPLE = 1.4, 1.35, 0.2, 1e-4


def encoder(args: argparse.Namespace) -> list[Version]:
    """The recogniser's."""
    import torch

    from benchmarks.export_versions import graph_versions, torch_versions
    from benchmarks.train_step import encoders
    from espnet_ext.asr.encoder import CnnConformerEncoder
    from espnet_ext.export.onnx_asr import encoder_graph

    torch.manual_seed(0)
    made = CnnConformerEncoder(BANDS, **encoders(0.0)["ours"]).eval()
    parts = {"preencoder": None, "encoder": made, "postencoder": None, "ctc": None}
    graph = encoder_graph(SimpleNamespace(**parts), BANDS)
    frames = int(args.seconds * 100)
    feats, lengths = torch.randn(args.batch, frames, BANDS), torch.full((args.batch,), frames)
    inputs = {"feats": feats, "lengths": lengths}
    found = torch_versions(made, (feats, lengths), int8=True)
    return found + graph_versions(_with(graph, inputs), args.threads, "ONNX Runtime")


def _with(graph: Any, inputs: dict[str, Any]) -> Any:
    from dataclasses import replace

    return replace(graph, inputs=inputs)


def vocoder(made: Any, args: argparse.Namespace, int8: bool) -> list[Version]:
    """A generator behind the normalisation that it has in a `VocoderModel`."""
    import torch

    from benchmarks.export_versions import Version, graph_versions, torch_versions
    from espnet_ext.audio.features import Features
    from espnet_ext.export.onnx_vocoder import vocoder_graph
    from espnet_ext.inference.graph_hifigan import quicken
    from espnet_ext.inference.onnx_vocoder import GraphVocoder
    from espnet_ext.vocoder.hifigan import HiFiGAN
    from espnet_ext.vocoder.norm import remove_weight_norm

    torch.manual_seed(0)
    generator = made().eval()
    for name, parameter in generator.named_parameters():
        if name.endswith("weight_g"):  # loud enough to see a difference
            parameter.data.fill_(1.0)
    remove_weight_norm(generator)
    mel = torch.randn(args.batch, int(args.seconds * RATE / HOP), BANDS)
    found = torch_versions(copy.deepcopy(generator), (mel.transpose(1, 2),), int8)
    if isinstance(generator, HiFiGAN):
        quick = quicken(copy.deepcopy(generator))
        found.append(
            Version("our engine: ONNX Runtime, fp32", lambda: quick(mel.transpose(1, 2)).numpy())
        )
    front = Features(kind="logmel", fs=RATE, n_fft=1024, hop_length=HOP, n_mels=BANDS)
    parts = {"mean": torch.zeros(BANDS), "std": torch.ones(BANDS), "features": front}
    graph, facts = vocoder_graph(SimpleNamespace(generator=generator, **parts))

    def call(session: Any) -> Any:
        one = mel.numpy()
        if len(one) > 1:
            return session(mel=one)[0]
        return GraphVocoder(session, facts, args.threads)(one[0]).numpy()

    graph = _with(graph, {"mel": mel})
    return found + graph_versions(graph, args.threads, "ONNX Runtime", call)


def models(args: argparse.Namespace) -> dict[str, Callable[[], list[Version]]]:
    """Those that are measured, by name."""
    from benchmarks.export_parts import acoustic, ctc, decoder_step
    from espnet_ext.vocoder.hifigan import HiFiGAN
    from espnet_ext.vocoder.vocos import Vocos

    return {
        "encoder, 12 blocks of 256": lambda: encoder(args),
        "CTC, 5,000 tokens": lambda: ctc(args),
        "decoder's step, 6 blocks of 256, 10 hypotheses": lambda: decoder_step(args),
        f"acoustic model, {'trained' if args.tts_dir else 'made up'}": lambda: acoustic(args),
        "HiFi-GAN V1": lambda: vocoder(HiFiGAN, args, int8=False),
        "Vocos": lambda: vocoder(Vocos, args, int8=True),
    }


def race(versions: list[Version], runs: int) -> None:
    """Take turns, after one each that warms up and tells how far it is off."""
    import numpy as np
    import torch

    with torch.inference_mode():
        exact = np.squeeze(versions[0].run())
        for version in versions:
            found = np.squeeze(version.run())
            version.off = float(np.abs(found - exact).mean() / np.abs(exact).mean())
            version.most = float(np.abs(found - exact).max() / np.abs(exact).max())
        for number in range(runs):
            for version in versions if number % 2 else versions[::-1]:
                started, busy = time.perf_counter(), time.process_time()
                version.run()
                version.busy.append(time.process_time() - busy)
                version.spent.append(time.perf_counter() - started)


def bounds(
    raced: dict[str, list[Version]], heard: Sequence[Any]
) -> Iterator[tuple[str, float, float]]:
    """What is compared, its value and the least that is asked for: the fastest version that changes little enough."""
    for name, versions in raced.items():
        first = versions[0]
        if name not in ("HiFi-GAN V1", "Vocos") and not name.startswith("encoder"):
            continue
        if name.startswith("encoder"):
            if not heard:
                continue
            # of INT8 there are two ways; the last in the dictionary is that of the encoder alone
            wrong = {one.name: abs(one.rate - heard[0].rate) for one in reversed(heard)}
            wanted, fits = ENCODER, [v for v in versions if wrong.get(v.name, 9.0) <= WORDS]
        else:
            wanted, fits = VOCODER, [v for v in versions if v.most <= SAMPLE]
        best = min(fits, key=lambda v: v.seconds)
        yield f"{name}: {best.name}", first.seconds / best.seconds, wanted


def rows(name: str, versions: Sequence[Version]) -> list[str]:
    """Of the table of speeds."""
    first = versions[0].seconds
    return [
        f"| {name} | {v.name} | {v.seconds:.3f} | {statistics.median(v.busy):.3f} "
        f"| {first / v.seconds:.2f} | {v.off:.1e} | {v.most:.1e} |"
        for v in versions
    ]


def distortions(raced: dict[str, list[Version]]) -> list[str]:
    """Lines on how far the acoustic model's spectrograms are off, in dB."""
    from benchmarks.export_parts import distortion

    found = [v for name, versions in raced.items() if name.startswith("acoustic") for v in versions]
    if not found:
        return []
    import torch

    with torch.inference_mode():
        mels = [version.run() for version in found]
    said = (f"{v.name} {distortion(mels[0], mel):.3f}" for v, mel in zip(found, mels, strict=True))
    return ["", f"Acoustic model, MCD against torch, fp32, in dB: {', '.join(said)}."]


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--runs", type=int, default=7)
    add("--threads", type=int, default=2)
    add("--seconds", type=float, default=10.0, help="of speech")
    add("--batch", type=int, default=1, help="utterances at once")
    add("--only", default="", help="models whose names begin so")
    add("--model_dir", type=Path, help="a trained recogniser")
    add("--model", help="its weights; the usual ones if not given")
    add("--tts_dir", type=Path, help="a trained acoustic model; without, one is made up")
    add("--tts_model", help="its weights; the usual ones if not given")
    add("--data", type=Path, nargs="+", default=[], help="data directories with wav.scp and text")
    add("--limit", type=int, default=500, help="utterances of each, the first")
    add("--beam", type=int, default=10)
    add("--ctc_weight", type=float, default=0.3)
    add("--output", type=Path, default=ROOT / "benchmarks/RESULTS.md")
    args = parser.parse_args(argv)
    if (args.model_dir is None) != (not args.data):
        parser.error("found one of --model_dir and --data, expected both or neither")
    return args


def recogniser(args: argparse.Namespace) -> tuple[list[Any], list[str]]:
    """What the trained recogniser said in each way, and the lines about it; nothing without one."""
    if args.model_dir is None:
        return [], []
    from benchmarks.export_words import hear, sounds, table
    from espnet_ext.export.pack import TASKS, find_weights

    args.model = find_weights(args.model_dir, TASKS["asr"].preferred, args.model).name
    heard = hear(args)
    audio = sum(len(x) for x in sounds(args.data, args.limit)[0].values()) / 16000
    return heard, table(heard, audio)


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    args = arguments(argv)
    import torch

    from benchmarks.results import origin, write_section
    from espnet_ext.inference.onnx_session import require

    torch.set_num_threads(args.threads)
    lines = [
        "## Exported models",
        "",
        f"{args.batch} x {args.seconds:g} s of speech, {args.threads} threads, medians of {args.runs} turns, "
        f"onnxruntime {require('onnxruntime').__version__}.",
        "",
        "| model | computed by | s | processor s | times as fast as torch, fp32 | off | most |",
        "|---|---|---|---|---|---|---|",
    ]
    raced = {}
    for name, make in models(args).items():
        if name.startswith(args.only):
            raced[name] = make()
            race(raced[name], args.runs)
            lines += rows(name, raced[name])
            print("\n".join(rows(name, raced[name])), flush=True)
    lines += distortions(raced)
    heard, said = recogniser(args)
    figures = list(bounds(raced, heard))
    lines += ["", *said, *(_judged(*figure) for figure in figures)]
    text = "\n".join([*lines, "", *origin("export", argv)])
    write_section(args.output, "export", text)
    print(text)
    return 0 if all(value >= wanted for _, value, wanted in figures) else 1


def _judged(name: str, value: float, wanted: float) -> str:
    missed = "" if value >= wanted else " **not held**"
    return f"- {name}: {value:.2f} times torch, fp32 (asked: at least {wanted:g}){missed}"


if __name__ == "__main__":
    raise SystemExit(main())
