"""Recognition of streams: speed on one core, how late words are known, words that flicker, errors beside offline.

With --model_dir and --data: a recogniser that was trained in chunks listens to the utterances of a data directory as if
they were spoken now, in pieces of --piece seconds, and the same model recognises them offline (whole utterances, joint
search). The delay of a word runs from its end, as CTC's best path has it, to the moment since which it was shown and
stayed; that is the sound that had come plus the work on its last piece. Without them: the speed alone, of a Conformer
of 30 M parameters with made-up weights on noise. Writes a section of RESULTS.md and prints it.

Usage: python benchmarks/streaming.py [--model_dir DIR --data DIR] [--limit 100] [--chunk 0.32] [--runs 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
#: Hypotheses that are followed, in stream and whole utterance.
BEAM = 10
#: Asked for: real-time factor on one core, median delay in seconds, points of word error rate beside offline.
WANTED = {"rtf": 0.5, "delay": 0.7, "wer": 1.0}


def made_up() -> tuple[Any, Any, int]:
    """A model of the usual size that was taught nothing, its text side and its rate."""
    import torch

    from benchmarks.train_step import PARTS, TOKENS, encoders
    from espnet_ext.bridge.tasks import TASKS
    from espnet_ext.text.tokens import TextPipeline

    torch.manual_seed(0)
    chunk = {"sizes": [8, 16], "left": 8}
    config = {
        **TASKS["asr"].defaults,
        **PARTS["ours"],
        "token_list": list(TOKENS),
        "normalize": None,
        "encoder_conf": {**encoders(0.0)["ours"], "chunk": chunk},
        "decoder_conf": {"attention_heads": 4, "linear_units": 2048, "num_blocks": 6},
        "model_conf": {"ctc_weight": 0.3, "report_cer": False, "report_wer": False},
    }
    return TASKS["asr"].build(config).eval(), TextPipeline("char", TOKENS), 16000


def sounds(args: argparse.Namespace, rate: int) -> Iterator[tuple[Any, str]]:
    """Signals at the model's rate, and what is said in them."""
    import numpy as np

    if args.data is None:
        random = np.random.default_rng(0)
        for _ in range(min(args.limit, 3)):
            yield (0.05 * random.standard_normal(10 * rate)).astype(np.float32), ""
        return
    from espnet_ext.audio.read import load
    from espnet_ext.datadir import read_table

    texts = read_table(args.data / "text")
    for utt, entry in list(read_table(args.data / "wav.scp").items())[: args.limit]:
        yield load(entry, rate)[0], texts[utt]


def listen(engine: Any, given: list[tuple[Any, str]], args: argparse.Namespace) -> dict[str, Any]:
    """Play everything `runs` times; the speed is the median, the rest of the last time."""
    from espnet_ext.inference.streaming_show import delays, played, stability

    speeds, found = [], {"late": list[float](), "changed": 0, "shown": 0, "texts": list[str]()}
    for run in range(args.runs):
        spent = busy = seconds = 0.0
        for samples, _ in given:
            replies = list(played(engine, samples, args.piece))
            spent += sum(reply.spent for reply in replies)
            busy += sum(reply.busy for reply in replies)
            seconds += len(samples) / engine.rate
            if run == args.runs - 1:
                said = [one for reply in replies for one in reply.said]
                changed, shown = stability(said)
                found["changed"] += changed
                found["shown"] += shown
                found["late"] += delays(replies)
                found["texts"].append(" ".join(one.text for one in said if one.final))
        speeds.append((spent / seconds, busy / seconds))
    rtf, busy = (statistics.median(pair[place] for pair in speeds) for place in (0, 1))
    return {**found, "rtf": rtf, "busy": busy, "seconds": seconds}


def error_rate(given: list[tuple[Any, str]], texts: Sequence[str]) -> float:
    """Words, in percent."""
    from espnet_ext.metrics.wer import align, total

    pairs = zip(given, texts, strict=True)
    counts = total(align(ref.split(), hyp.split()).counts for (_, ref), hyp in pairs)
    return counts.error_rate or 0.0


def offline(args: argparse.Namespace, given: list[tuple[Any, str]]) -> list[str]:
    """What the same model hears in whole utterances."""
    from espnet_ext.inference.options import DecodeOptions
    from espnet_ext.inference.speech2text import Speech2Text

    options = DecodeOptions(beam_size=BEAM, ctc_weight=args.ctc_weight, lm_weight=0.0)
    recogniser = Speech2Text.from_dir(args.model_dir, args.model, options=options)
    return [found.text for found in recogniser.many([samples for samples, _ in given])]


def rows(
    found: dict[str, Any], args: argparse.Namespace, given: list[tuple[Any, str]]
) -> list[str]:
    """A figure a row, with what was asked for."""
    table = [
        ("real-time factor, one core", f"{found['rtf']:.3f}", f"< {WANTED['rtf']}"),
        ("the same in processor seconds", f"{found['busy']:.3f}", ""),
    ]
    if args.data is not None:
        late = sorted(found["late"]) or [float("nan")]
        middle, slow = statistics.median(late), late[int(0.9 * (len(late) - 1))]
        share = 100 * found["changed"] / max(found["shown"], 1)
        stream = error_rate(given, found["texts"])
        whole = error_rate(given, offline(args, given))
        table += [
            ("delay of a word, median, s", f"{middle:.2f}", f"< {WANTED['delay']}"),
            ("the same, 90 % of words, s", f"{slow:.2f}", ""),
            ("shown words that changed later, %", f"{share:.1f}", ""),
            ("word error rate, stream, %", f"{stream:.2f}", f"< {whole + WANTED['wer']:.2f}"),
            ("word error rate, offline, %", f"{whole:.2f}", ""),
        ]
    return ["| figure | found | asked for |", "|---|---|---|"] + [
        f"| {name} | {value} | {wanted} |" for name, value, wanted in table
    ]


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_dir", type=Path, help="trained in chunks")
    parser.add_argument("--model", default="valid.acc.ave.pth")
    parser.add_argument("--data", type=Path, help="data directory with wav.scp and text")
    parser.add_argument("--limit", type=int, default=100, help="utterances")
    parser.add_argument("--chunk", type=float, default=0.32, help="seconds")
    parser.add_argument("--piece", type=float, default=0.1, help="seconds that come at a time")
    parser.add_argument("--silence", type=float, default=0.8, help="seconds that end a sentence")
    parser.add_argument("--ctc_weight", type=float, default=0.5, help="beside attention, in both")
    what = "sentences that are over are not heard again as a whole"
    parser.add_argument("--once", action="store_true", help=what)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/RESULTS.md")
    args = parser.parse_args(argv)
    if (args.model_dir is None) != (args.data is None):
        parser.error("found one of --model_dir and --data, expected both or none")
    import torch

    from benchmarks.results import origin, write_section
    from espnet_ext.inference.streaming import StreamingSpeech2Text, StreamOptions

    torch.set_num_threads(1)
    options = StreamOptions(
        chunk=args.chunk,
        silence=args.silence,
        ctc_weight=args.ctc_weight,
        again=not args.once,
    )
    if args.model_dir is None:
        engine = StreamingSpeech2Text(*made_up(), options)
    else:
        engine = StreamingSpeech2Text.from_dir(args.model_dir, args.model, options)
    given = list(sounds(args, engine.rate))
    found = listen(engine, given, args)
    million = sum(p.numel() for p in engine.model.parameters()) / 1e6
    what = f"{len(given)} utterances, {found['seconds']:.0f} s" if args.data else "noise"
    lines = [
        "## Recognition of streams",
        "",
        f"{what}; a model of {million:.1f} M parameters, chunks of {engine.chunk * engine.frame:.2f} s, sound in "
        f"pieces of {args.piece:g} s, median of {args.runs} runs.",
        "",
        *rows(found, args, given),
        "",
        *origin("streaming", argv),
    ]
    name = "streaming" if args.data else "streaming-speed"
    write_section(args.output, name, "\n".join(lines))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
