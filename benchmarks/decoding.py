"""Decoding a test set: our batched search beside ESPnet's own, same weights, same audio, same options.

Stock ESPnet (`espnet2.bin.asr_inference.Speech2Text`) recognises one utterance after the other, here in two ways: one
process of `--threads` threads, and its fairest, as many processes of one thread, which share the utterances. Ours is
one process of `--threads` threads. All hold the audio in memory and have recognised something before the clock
starts; they take turns, `--runs` times, and the medians are given. Also: the encoder alone, the seconds that a single
utterance takes, the peak of memory, and how many 1-best hypotheses are the same.

Usage: python benchmarks/decoding.py --model_dir DIR --data DIR [--lm_dir DIR] [--limit 500] [--runs 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
#: Utterances that are timed one by one.
SINGLE = 20
#: Asked for: times one stock process, times stock's fairest, share of the same hypotheses, of stock's time for one.
WANTED = {
    "process": 9.0,
    "fairest": 6.0,
    "same": 0.995,
    "latency": 0.25,
    "encoder": 1.2,
    "memory": 1.5,
}


# -- in a process of its own ----------------------------------------------------------------------------------------


def sounds(data: Path, limit: int, share: int, shares: int) -> dict[str, Any]:
    """Every `shares`-th utterance of a data directory, longest first as both sides like it best."""
    from espnet_ext.audio.read import read
    from espnet_ext.datadir import read_table

    entries = list(read_table(data / "wav.scp").items())[:limit]
    found = {utt: read(entry, utt)[0][:, 0].astype("float32") for utt, entry in entries}
    ordered = sorted(found, key=lambda utt: -len(found[utt]))
    return {utt: found[utt] for utt in ordered[share::shares]}


def stock_recogniser(args: argparse.Namespace) -> Callable[[list[Any]], list[str]]:
    """ESPnet's, one utterance a call."""
    import espnet_ext  # noqa: F401  (stock may build classes that a YAML names)
    from espnet_ext.bridge.imports import espnet2

    lm = {}
    if args.lm_dir:
        lm = {
            "lm_train_config": f"{args.lm_dir}/config.yaml",
            "lm_file": f"{args.lm_dir}/{args.lm_model}",
        }
    recogniser = espnet2("bin.asr_inference").Speech2Text(
        asr_train_config=f"{args.model_dir}/config.yaml",
        asr_model_file=f"{args.model_dir}/{args.model}",
        beam_size=args.beam,
        ctc_weight=args.ctc_weight,
        lm_weight=args.lm_weight if args.lm_dir else 0.0,
        **lm,
    )

    def words(speech: Any) -> str:
        found = recogniser(
            speech
        )  # with what the intermediate CTC says beside it, where there is one
        return str((found[0] if isinstance(found, tuple) else found)[0][0] or "")

    return lambda speeches: [words(speech) for speech in speeches]


def our_recogniser(args: argparse.Namespace) -> Any:
    """Ours."""
    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

    options = DecodeOptions(
        beam_size=args.beam,
        ctc_weight=args.ctc_weight,
        lm_weight=args.lm_weight if args.lm_dir else 0.0,
    )
    return Speech2Text.from_dir(
        args.model_dir, args.model, args.lm_dir, args.lm_model, options=options
    )


def recogniser(args: argparse.Namespace) -> Callable[[list[Any]], list[str]]:
    """(utterances) -> their words, for one of the sides."""
    if args.side == "stock":
        return stock_recogniser(args)
    ours = our_recogniser(args)
    if args.side == "encoder":
        return lambda speeches: [encoded(ours.model, speech) for speech in speeches]
    return lambda speeches: [found[0].text for found in ours.many(speeches)]


def encoded(model: Any, speech: Any) -> str:
    """The encoder and nothing else; how many frames it makes."""
    import torch

    with torch.inference_mode():
        return str(
            int(model.encode(torch.from_numpy(speech)[None], torch.tensor([len(speech)]))[1])
        )


def work(args: argparse.Namespace) -> None:
    """What a side's process does: once for each line that it reads, a line of JSON."""
    import torch

    torch.set_num_threads(args.threads)
    own = sounds(args.data, args.limit, args.share, args.shares)
    recognise = recogniser(args)
    shortest = list(own.values())[-1]
    recognise([shortest])
    print("ready", flush=True)
    for line in sys.stdin:
        chosen = (
            dict(list(own.items())[:: max(1, len(own) // SINGLE)]) if line == "single\n" else own
        )
        print(json.dumps(timed(recognise, chosen, line == "single\n")), flush=True)


def timed(
    recognise: Callable[[list[Any]], list[str]], own: dict[str, Any], one: bool
) -> dict[str, Any]:
    """Seconds, words and the peak of memory so far in MB; `one`: median seconds of one utterance."""
    seconds, words = [], []
    for speeches in [[s] for s in own.values()] if one else [list(own.values())]:
        started = time.perf_counter()
        words += recognise(speeches)
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": statistics.median(seconds),
        "words": dict(zip(own, words, strict=True)),
        "peak": peak,
    }


# -- what starts them -------------------------------------------------------------------------------------------------


class Side:
    """One or more processes that share the utterances.

    Args:
        argv: the benchmark's own arguments.
        side: stock, ours or encoder.
        shares: processes.
        threads: of each.
    """

    def __init__(self, argv: Sequence[str], side: str, shares: int, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115 (closed in close)
        self.processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    __file__,
                    *argv,
                    "--side",
                    side,
                    "--share",
                    str(share),
                    "--shares",
                    str(shares),
                ]
                + ["--threads", str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                text=True,
                env=environment,
            )
            for share in range(shares)
        ]
        for process in self.processes:
            self._line(process, "ready")

    def _line(self, process: subprocess.Popen[str], wanted: str = "{") -> str:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(wanted):
                return line
        self.log.seek(0)
        raise SystemExit("".join(self.log.readlines()[-15:]) + "decoding: error: a process ended")

    def run(self, what: str = "all") -> dict[str, Any]:
        """Seconds on the clock until the last of them is done, all words, the sum of the peaks."""
        started = time.perf_counter()
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(what + "\n")
            process.stdin.flush()
        found = [json.loads(self._line(process)) for process in self.processes]
        spent = time.perf_counter() - started
        return {
            "seconds": found[0]["seconds"] if what == "single" else spent,
            "words": {utt: words for part in found for utt, words in part["words"].items()},
            "peak": sum(part["peak"] for part in found),
        }

    def close(self) -> None:
        """End them."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        self.log.close()


def measure(argv: Sequence[str], runs: int, threads: int) -> dict[str, dict[str, Any]]:
    """Name of the way -> medians; all are loaded at once and take turns."""
    ways = {
        "stock, one process": ("stock", 1, threads),
        "stock, a process a thread": ("stock", threads, 1),
        "ours": ("ours", 1, threads),
        "encoder alone": ("encoder", 1, threads),
    }
    if threads == 1:
        del ways["stock, a process a thread"]
    sides = {name: Side(argv, *way) for name, way in ways.items()}
    found: dict[str, dict[str, Any]] = {name: {"all": [], "one": []} for name in sides}
    for turn in range(runs):
        for name, side in sides.items():
            result = side.run()
            found[name]["all"].append(result["seconds"])
            found[name] |= {"words": result["words"], "peak": result["peak"]}
            if name in ("stock, one process", "ours"):
                found[name]["one"].append(side.run("single")["seconds"])
            print(f"run {turn + 1}/{runs}: {name} {result['seconds']:.1f} s", flush=True)
    for side in sides.values():
        side.close()
    for row in found.values():
        row["seconds"] = statistics.median(row["all"])
        row["latency"] = statistics.median(row["one"]) if row["one"] else None
    return found


def error_rate(words: dict[str, str], reference: dict[str, str]) -> float:
    """Percent of words that are wrong."""
    import jiwer

    return 100 * jiwer.wer([reference[utt] for utt in words], [words[utt] for utt in words])


def bounds(found: dict[str, dict[str, Any]]) -> Iterator[tuple[str, float, bool]]:
    """What is asked for: in words, the figure, whether it holds."""
    ours, one = found["ours"], found["stock, one process"]
    fair = found.get("stock, a process a thread", one)
    same = sum(one["words"][utt] == words for utt, words in ours["words"].items()) / len(
        ours["words"]
    )
    for name, value, wanted, least in (
        ("times one stock process", one["seconds"] / ours["seconds"], WANTED["process"], True),
        ("times stock's fairest", fair["seconds"] / ours["seconds"], WANTED["fairest"], True),
        ("same 1-best hypotheses", same, WANTED["same"], True),
        (
            "of stock's time for one utterance",
            ours["latency"] / one["latency"],
            WANTED["latency"],
            False,
        ),
        (
            "times the encoder alone",
            ours["seconds"] / found["encoder alone"]["seconds"],
            WANTED["encoder"],
            False,
        ),
        (
            "times the memory of one stock process",
            ours["peak"] / one["peak"],
            WANTED["memory"],
            False,
        ),
    ):
        held = value >= wanted if least else value <= wanted
        yield f"{name} (asked: {'at least' if least else 'at most'} {wanted:g})", value, held


def section(found: dict[str, dict[str, Any]], args: argparse.Namespace, argv: Sequence[str]) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin
    from espnet_ext.datadir import read_table

    reference = read_table(args.data / "text")
    rows = []
    for name, row in found.items():
        rate = "" if name == "encoder alone" else f"{error_rate(row['words'], reference):.2f}"
        one = "" if row["latency"] is None else f"{row['latency']:.3f}"
        times = found["stock, one process"]["seconds"] / row["seconds"]
        rows.append(
            f"| {name} | {row['seconds']:.1f} | {times:.1f} | {one} | {rate} | {row['peak']:.0f} |"
        )
    count = len(found["ours"]["words"])
    lm = f", LM {args.lm_weight:g}" if args.lm_dir else ", no LM"
    lines = [
        f"## Decoding{lm}, {args.threads} thread{'s' * (args.threads > 1)}",
        "",
        f"{count} utterances, beam {args.beam}, CTC weight {args.ctc_weight:g}{lm}; medians of {args.runs} turns.",
        "",
        "| way | s | times stock | s for one utterance | WER % | peak MB |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        *(
            f"- {name}: {value:.3g}{'' if held else ', **not held**'}"
            for name, value, held in bounds(found)
        ),
        "",
    ]
    return "\n".join([*lines, *origin("decoding", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model_dir", type=Path, required=True, help="a trained recogniser of ESPnet's classes")
    add("--model", default="valid.acc.ave.pth")
    add("--data", type=Path, required=True, help="a formatted data directory")
    add("--lm_dir", type=Path, help="a language model over the same tokens")
    add("--lm_model", default="valid.loss.ave.pth")
    add("--lm_weight", type=float, default=0.3)
    add("--beam", type=int, default=10)
    add("--ctc_weight", type=float, default=0.3)
    add("--limit", type=int, default=500, help="utterances")
    add("--runs", type=int, default=3)
    add("--threads", type=int, default=2)
    add("--side", choices=["stock", "ours", "encoder"], help=argparse.SUPPRESS)
    add("--share", type=int, default=0, help=argparse.SUPPRESS)
    add("--shares", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.side:
        work(args)
        return 0
    from benchmarks.results import write_section

    found = measure(argv, args.runs, args.threads)
    text = section(found, args, argv)
    name = f"decoding_{'lm' if args.lm_dir else 'no_lm'}_{args.threads}"
    write_section(ROOT / "benchmarks/RESULTS.md", name, text)
    print(text)
    return 0 if all(held for *_, held in bounds(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
