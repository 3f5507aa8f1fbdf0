"""Decoding a test set: our batched search beside ESPnet's own, same weights, same audio, same options.

Stock ESPnet (`espnet2.bin.asr_inference.Speech2Text`) recognises one utterance after the other, here in two ways: one
process of one or two threads, and its fairest, two processes of one thread which share the utterances. Ours is
one process, or two of one thread. All hold the audio in memory and have recognised something before the clock starts.

Without and with a language model: (1) all utterances once, stock its fairest way and ours: which
1-best hypotheses are the same, word error rates, memory; of those that differ, both sides' scorers say which is the
better one. With --upstream, a later ESPnet as well, which searches several utterances at once (pull request #6599), as
many as suit it best. (2) an even choice of --subset utterances, --runs times, everybody in turn, with one and with two
threads: medians of the time, of the encoder alone, and of what one utterance takes. With a GPU (--device cuda), ours
with batches of several sizes beside stock.

Usage: python benchmarks/decoding.py --model_dir DIR --data DIR [DIR ...] [--lm_dir DIR] [--limit 500] [--runs 3]
[--upstream DIR] (from the folder that the paths in the model's config.yaml are relative to). About 25 minutes on two
quiet cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PAIR, ONE, ENCODER = "stock, two processes", "stock, one process", "encoder alone"
OURS, BOTH = "ours, one process", "ours, two processes"
UPSTREAM = "later stock in batches, two processes"
#: Utterances at once that upstream's search is tried with.
SIZES = (1, 4, 16, 32)
Rows = dict[str, dict[str, Any]]


class Side:
    """A process that does what it is asked; see decoding_sides."""

    def __init__(self, argv: Sequence[str], side: str, packages: Path | None = None) -> None:
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115 (closed in close)
        before = [packages and str(packages.resolve()), str(ROOT), os.environ.get("PYTHONPATH")]
        path = os.pathsep.join(filter(None, before))
        self.process = subprocess.Popen(
            [sys.executable, __file__, *argv, "--side", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": path},
        )
        self._line("ready")

    def _line(self, wanted: str = "{") -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(wanted):
                return line
        self.log.seek(0)
        raise SystemExit("".join(self.log.readlines()[-15:]) + "decoding: error: a process ended")

    def ask(self, **wanted: Any) -> None:
        """Begin with something."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """What came out."""
        return json.loads(self._line())

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def run(
    sides: Sequence[Side], threads: int, subset: int = 0, one: bool = False, batch: int = 0
) -> dict[str, Any]:
    """Processes share the utterances: seconds on the clock, all that was found, the sum of the peaks."""
    started = time.perf_counter()
    for share, side in enumerate(sides):
        more = {"subset": subset, "threads": threads, "one": one, "batch": batch}
        side.ask(do="recognise", share=share, shares=len(sides), **more)
    parts = [side.answer() for side in sides]
    return {
        "seconds": time.perf_counter() - started,
        "each": parts[0]["each"],
        "found": {utt: found for part in parts for utt, found in part["found"].items()},
        "peak": sum(part["peak"] for part in parts),
        "audio": sum(part["audio"] for part in parts),
        "busy": sum(part["busy"] for part in parts),
    }


def told(name: str, result: dict[str, Any]) -> dict[str, Any]:
    """The result; a line about it is printed."""
    print(f"{name}: {result['seconds']:.1f} s for {result['audio']:.0f} s of sound", flush=True)
    return result


def upstreams(sides: Sequence[Side], subset: int) -> dict[str, Any]:
    """All utterances by a later ESPnet, with as many at once as are the fastest for some of them."""
    tried = {}
    for size in SIZES:
        result = run(sides, 1, subset, batch=size)
        tried[size] = told(f"{subset}, {UPSTREAM}, {size} at once", result)["seconds"]
    best = min(tried, key=lambda size: tried[size])
    return {**told(f"all, {UPSTREAM}, {best}", run(sides, 1, batch=best)), "batch": best}


def whole(sides: dict[str, list[Side]], threads: int, subset: int) -> Rows:
    """All utterances once."""
    # the two first: a process' peak counts all that it has done, and with more threads it searches more at once
    both = told(f"all, {BOTH}", run(sides["ours"], 1))
    rows = {OURS: told(f"all, {OURS}", run(sides["ours"][:1], threads)), BOTH: both}
    rows[ENCODER] = told(f"all, {ENCODER}", run(sides["encoder"], threads))
    rows[PAIR] = told(f"all, {PAIR}", run(sides["stock"], 1))
    if sides["upstream"]:
        rows[UPSTREAM] = upstreams(sides["upstream"], subset)
    return rows


def medians(sides: dict[str, list[Side]], args: argparse.Namespace, threads: int) -> Rows:
    """A choice of the utterances: medians of everybody's turns."""
    ways: dict[str, tuple[list[Side], int]] = {
        ONE: (sides["stock"][:1], threads),
        PAIR: (sides["stock"], 1),
        OURS: (sides["ours"][:1], threads),
        BOTH: (sides["ours"], 1),
        ENCODER: (sides["encoder"], threads),
    }
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for turn in range(args.runs):
        for name, (some, number) in ways.items():
            if name in (PAIR, BOTH) and threads == 1:
                continue
            result = told(
                f"turn {turn + 1}, {threads} threads, {name}", run(some, number, args.subset)
            )
            if name == OURS:  # stock's are one by one already
                result["each"] = run(some, number, args.subset, one=True)["each"]
            turns[name].append(result)
    return {
        name: {**every[-1], **{k: statistics.median(r[k] for r in every) for k in ("seconds", "busy", "each")}}
        for name, every in turns.items()
        if every
    }  # fmt: skip


# -- the same hypotheses? ---------------------------------------------------------------------------------------------


def error_rate(found: dict[str, Any], reference: dict[str, str]) -> float:
    """Percent of words that are wrong."""
    import jiwer

    return 100 * jiwer.wer([reference[utt] for utt in found], [found[utt][0] for utt in found])


def differing(sides: dict[str, list[Side]], rows: Rows) -> Iterator[str]:
    """A line about each utterance whose 1-best is not the same: whose scores better, as both sides see it."""
    ours, stock = rows[OURS]["found"], rows[PAIR]["found"]
    other = [utt for utt in ours if ours[utt][0] != stock[utt][0]]
    if not other:
        return
    texts = {utt: [ours[utt][1], stock[utt][1]] for utt in other}
    seen = []
    for side in (sides["stock"][0], sides["ours"][0]):
        side.ask(do="score", texts=texts)
        seen.append(side.answer())
    for utt in other:
        by_stock, by_ours = seen[0][utt], seen[1][utt]
        lead = by_stock[0] - by_stock[1]
        better = "equal" if abs(lead) < 1e-3 else "ours" if lead > 0 else "stock's"
        yield (
            f"- {utt}: ours `{ours[utt][0]}`, stock `{stock[utt][0]}`; the better one: {better} (by stock's "
            f"scorers {by_stock[0]:.3f} and {by_stock[1]:.3f}, by ours {by_ours[0]:.3f} and {by_ours[1]:.3f})"
        )


def same(rows: Rows, theirs: str = PAIR) -> float:
    """Share of utterances with the same 1-best."""
    ours, stock = rows[OURS]["found"], rows[theirs]["found"]
    return sum(ours[utt][0] == stock[utt][0] for utt in ours) / len(ours)


def furthest(rows: Rows) -> float:
    """The greatest difference between both sides' scores of a hypothesis that is the same."""
    ours, stock = rows[OURS]["found"], rows[PAIR]["found"]
    same = [utt for utt in ours if ours[utt][0] == stock[utt][0]]
    return max((abs(ours[utt][2] - stock[utt][2]) for utt in same), default=0.0)


# -- what is written --------------------------------------------------------------------------------------------------


def bounds(every: Rows, some: dict[int, Rows]) -> Iterator[tuple[str, float, float, bool]]:
    """What is asked for: in words, the figure, what it should be, whether at least (or at most)."""
    for threads, rows in some.items():
        name, ours = f", {threads} thread{'s' * (threads > 1)}", rows[OURS]
        if threads > 1:
            both = rows[BOTH]["seconds"]
            yield (
                f"two processes, times one stock process{name}",
                rows[ONE]["seconds"] / both,
                9,
                True,
            )
            yield "two processes, times two of stock's", rows[PAIR]["seconds"] / both, 6, True
        else:
            yield f"times stock{name}", rows[ONE]["seconds"] / ours["seconds"], 6, True
        yield f"of stock's time for one{name}", ours["each"] / rows[ONE]["each"], 0.25, False
        alone = rows[ENCODER]["seconds"]
        yield f"search beside the encoder{name}", ours["seconds"] / alone - 1, 1.2, False
    fairest = every[PAIR]["seconds"] / every[BOTH]["seconds"]
    yield "two processes, times two of stock's, all", fairest, 6, True
    if UPSTREAM in every:
        theirs = every[UPSTREAM]
        name = f"two processes, times two of later stock with {theirs['batch']} at once"
        yield name, theirs["seconds"] / every[BOTH]["seconds"], 1, True
        yield "same 1-best as later stock's", same(every, UPSTREAM), 0.995, True
    alone = every[ENCODER]["seconds"]
    yield "search beside the encoder, all", every[OURS]["seconds"] / alone - 1, 1.2, False
    yield "same 1-best", same(every), 0.995, True
    yield (
        "memory of two, of two stock processes'",
        every[BOTH]["peak"] / every[PAIR]["peak"],
        1.5,
        False,
    )


def table(every: Rows, some: dict[int, Rows], reference: dict[str, str], most: int) -> list[str]:
    """A row a way."""
    lines = [
        "| way | threads | utterances | s | processor s | real-time factor | s for one | WER % | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def row(name: str, threads: str, r: dict[str, Any], one: bool, full: bool) -> str:
        rate = f"{error_rate(r['found'], reference):.2f}" if full and name != ENCODER else ""
        each = f"{r['each']:.3f}" if one else ""
        peak = f"{r['peak']:.0f}" if full else ""
        counts = f"{len(r['found'])} | {r['seconds']:.1f} | {r['busy']:.1f} | {r['seconds'] / r['audio']:.4f}"
        return f"| {name} | {threads} | {counts} | {each} | {rate} | {peak} |"

    for name, r in every.items():
        number = "1 each" if name in (PAIR, BOTH, UPSTREAM) else str(most)
        lines.append(row(name, number, r, False, True))
    for threads, rows in some.items():
        for name, r in rows.items():
            number = "1 each" if name in (PAIR, BOTH) else str(threads)
            lines.append(row(name, number, r, name in (ONE, OURS), False))
    return lines


def held(value: float, wanted: float, least: bool) -> bool:
    return value >= wanted if least else value <= wanted


def section(measured: dict[str, Any], args: argparse.Namespace, lm: bool) -> list[str]:
    """The text about one setting."""
    from espnet_ext.datadir import read_table

    every, some = measured["every"], measured["some"]
    most = max(args.threads)
    reference: dict[str, str] = {}
    for folder in args.data:
        reference |= read_table(folder / "text")
    figures = list(bounds(every, some))
    return [
        f"### {f'Language model, weight {args.lm_weight:g}' if lm else 'No language model'}",
        "",
        f"All {len(every[OURS]['found'])} utterances, {every[OURS]['audio']:.0f} s, once "
        f"(our one process: {most} threads); {args.subset} of them {args.runs} times (medians).",
        "",
        *table(every, some, reference, most),
        "",
        *(f"- later stock: {path.stem}" for path in args.packages),
        *(
            f"- {name}: {value:.3g} (asked: at {'least' if least else 'most'} {wanted:g})"
            f"{'' if held(value, wanted, least) else ' **not held**'}"
            for name, value, wanted, least in figures
        ),
        f"- scores of the same hypotheses differ by at most {furthest(every):.2g}",
        f"- other 1-best hypotheses: {len(measured['other'])}",
        *(f"  {line}" for line in measured["other"]),
        "",
    ]


def gpu_table(sides: dict[str, list[Side]], args: argparse.Namespace) -> list[str]:
    """Ours with batches of several sizes beside one stock process, on --device."""
    stock = told(f"{args.device}, stock", run(sides["stock"][:1], 2, args.subset))
    rows = ["| utterances at once | seconds of sound a second | times stock |", "|---|---|---|"]
    rows.append(f"| 1, stock | {stock['audio'] / stock['seconds']:.0f} | 1 |")
    speed = stock["audio"] / stock["seconds"]
    for batch in (1, 8, 32, 128, 512):
        found = told(f"{args.device}, {batch}", run(sides["ours"][:1], 2, batch=batch))
        ours = found["audio"] / found["seconds"]
        rows.append(f"| {batch} | {ours:.0f} | {ours / speed:.1f} |")
    return [*rows, ""]


def setting(argv: Sequence[str], args: argparse.Namespace) -> dict[str, Any]:
    """All of one setting, with or without a language model."""
    names = ["stock", "stock", "ours", "ours", "encoder"]
    started = [(name, Side(argv, name)) for name in names]
    if args.upstream:
        started += [("upstream", Side(argv, "upstream", args.upstream)) for _ in range(2)]
    sides = {name: [side for n, side in started if n == name] for name in [*names, "upstream"]}
    if args.device != "cpu":
        found: dict[str, Any] = {"gpu": gpu_table(sides, args)}
    else:
        every = whole(sides, max(args.threads), args.subset)
        some = {threads: medians(sides, args, threads) for threads in args.threads}
        other = list(differing(sides, every))
        found = {"every": every, "some": some, "other": other}
    for _, side in started:
        side.close()
    return found


def without_lm(argv: Sequence[str]) -> list[str]:
    """The same arguments without the language model."""
    kept, skip = list[str](), False
    for word in argv:
        if not (skip or word.startswith("--lm_dir")):
            kept.append(word)
        skip = word == "--lm_dir"
    return kept


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model_dir", type=Path, required=True, help="a trained recogniser of ESPnet's classes")
    add("--model", default="valid.acc.ave.pth")
    add("--data", type=Path, nargs="+", required=True, help="formatted data directories")
    add("--lm_dir", type=Path, help="a language model over the same tokens")
    add("--lm_model", default="valid.loss.ave.pth")
    add("--lm_weight", type=float, default=0.3)
    add("--beam", type=int, default=10)
    add("--ctc_weight", type=float, default=0.3)
    add("--limit", type=int, default=500, help="utterances, the first")
    add("--subset", type=int, default=40, help="utterances that are timed several times")
    add("--runs", type=int, default=3, help="turns of everybody")
    add("--threads", type=int, nargs="+", default=[1, 2])
    add("--device", default="cpu")
    add("--upstream", type=Path, help="folder of a later ESPnet (pip install --no-deps --target)")
    add("--output", type=Path, default=ROOT / "benchmarks/RESULTS.md")
    add("--side", choices=["stock", "ours", "encoder", "upstream"], help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.packages = [*args.upstream.glob("espnet-*.dist-info")] if args.upstream else []
    if args.upstream and not args.packages:
        parser.error(f"{args.upstream}: found no espnet-*.dist-info, expected an installed ESPnet")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    args = arguments(argv)
    if args.side:
        from benchmarks.decoding_sides import work

        work(args)
        return 0
    from benchmarks.results import origin, write_section

    settings = [(False, without_lm(argv)), *([(True, argv)] if args.lm_dir else [])]
    found = {lm: setting(given, args) for lm, given in settings}
    lines = ["## Decoding" + ("" if args.device == "cpu" else f" on {args.device}"), ""]
    lines += [f"Beam {args.beam}, CTC weight {args.ctc_weight:g}.", ""]
    for lm, measured in found.items():
        lines += measured.get("gpu") or section(measured, args, lm)
    text = "\n".join([*lines, *origin("decoding", argv)])
    name = "decoding" if args.device == "cpu" else f"decoding_{args.device}"
    write_section(args.output, name, text)
    print(text)
    return 1 if "**not held**" in text else 0


if __name__ == "__main__":
    sys.exit(main())
