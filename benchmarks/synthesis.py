"""From a sentence to speech: stock ESPnet's synthesis, in a process of its own, beside ours; with text to phonemes.

Weights are made up, and a token lasts as long as is usual, so that ten words are about 2.9 s at 22.05 kHz.

- The same weights: FastSpeech 2 of ESPnet's LJSpeech recipe and HiFi-GAN V1, through espnet2.bin.tts_inference (its
  vocoder without weight normalisation, as a trained one is loaded there) and through ours; spectrograms and waveforms
  are compared. Ours speaks HiFi-GAN through ONNX Runtime where it is installed.
- Ours, before the Vocos of egs2/ljspeech: the same FastSpeech 2, that recipe's acoustic model, the preset
  conf/tts/fast.yaml.
- Batches: the preset's spectrograms of 16 sentences at once, beside one at a time.
- A stream: seconds until the first audio of a paragraph, beside all of it.

The systems take turns, each turn with another sentence; medians are given. Writes a section of RESULTS.md and prints
it; exits with 1 where a figure misses its bound.

Usage: python benchmarks/synthesis.py [--runs 7] [--threads 1 2] [--output benchmarks/RESULTS.md]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.synthesis_sides import RATE, SENTENCES, Apart, ours, written  # noqa: E402

PARAGRAPH = " ".join(SENTENCES)
#: what must hold with the most threads: times stock, and seconds
SAME, OURS, RTF, FAST, BATCH, ALIKE = 1.4, 8.0, 0.06, 0.1, 1.5, 1e-4


@dataclass
class System:
    """What speaks.

    Attributes:
        name: as in the table.
        speak: a sentence to its waveform, (T,).
        clock: of its processor, in seconds.
        seconds: of each turn.
        busy: processor seconds of each turn, which hardly see what else the machine does.
        rtf: of each turn: seconds for a second of speech.
    """

    name: str
    speak: Callable[[str], Any]
    clock: Callable[[], float] = time.process_time
    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    rtf: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds)


@dataclass
class Bench:
    """Everything that is measured on a device.

    Attributes:
        stock, same, light, own, fast: engines: stock's, ours of the same weights, the same acoustic model before Vocos,
            our models, the preset.
    """

    stock: Apart
    same: Any
    light: Any
    own: Any
    fast: Any

    @classmethod
    def of(cls, files: dict[str, tuple[Path, Path]], device: str, threads: int) -> Bench:
        """Of the files that `written` has left."""
        return cls(
            Apart(files["fastspeech2"], files["hifigan"], device, threads=threads),
            ours(files["fastspeech2"], files["hifigan"], device),
            ours(files["fastspeech2"], files["vocos"], device),
            ours(files["own"], files["vocos"], device),
            ours(files["fast"], files["vocos"], device),
        )

    def systems(self) -> list[System]:
        """In the table's order; stock first."""
        return [
            System(
                "stock: FastSpeech 2, HiFi-GAN V1",
                lambda t: self.stock(t)["wav"],
                lambda: self.stock.busy,
            ),
            System("ours, the same weights", lambda t: self.same(t).wave),
            System("ours, the same FastSpeech 2, Vocos", lambda t: self.light(t).wave),
            System("ours: egs2/ljspeech's acoustic model, Vocos", lambda t: self.own(t).wave),
            System("ours: conf/tts/fast.yaml, Vocos", lambda t: self.fast(t).wave),
        ]


# -- measuring -----------------------------------------------------------------------------------------------------


def taking_turns(systems: list[System], runs: int) -> None:
    """Seconds of each system, after a first turn that warms up; who begins changes."""
    for turn in range(runs + 1):
        order = systems if turn % 2 else systems[::-1]
        sentence = SENTENCES[turn % len(SENTENCES)]
        for system in order:
            started, busy = time.perf_counter(), system.clock()
            wave = system.speak(sentence)
            spent = time.perf_counter() - started
            if turn:
                system.seconds.append(spent)
                system.busy.append(system.clock() - busy)
                system.rtf.append(spent * RATE / len(wave))


def difference(bench: Bench) -> tuple[float, float, float]:
    """Of stock's and ours of the same weights: largest of the spectrograms, of the waveforms; samples' deviation."""
    import numpy as np

    mels, waves, loud = [], [], []
    for sentence in SENTENCES[:3]:
        theirs, mine = bench.stock(sentence), bench.same(sentence)
        wave = theirs["wav"]
        mels.append(np.abs(theirs["feat_gen"] - mine.mel).max())
        waves.append(np.abs(wave - mine.wave).max())
        loud.append(wave.std())
    return float(max(mels)), float(max(waves)), float(min(loud))


def batches(engine: Any, runs: int) -> tuple[float, float, float]:
    """Seconds of 16 sentences' spectrograms one at a time and at once; the largest difference."""
    from espnet_ext.inference.phrases import Phrase
    from espnet_ext.inference.speaking import Job, speak_batch

    texts = [*SENTENCES, *SENTENCES[:4]]
    jobs = [Job(n, Phrase(t), engine.pipeline.ids(t), {}) for n, t in enumerate(texts)]

    def together(some: list[Any]) -> list[Any]:
        return [one["feat_gen"].cpu() for one in speak_batch(engine.model, some, {}, engine.device)]

    spent: dict[str, list[float]] = {"one": [], "all": []}
    for turn in range(runs + 1):
        started = time.perf_counter()
        alone = [together([job])[0] for job in jobs]
        middle = time.perf_counter()
        every = together(jobs)
        if turn:
            spent["one"].append(middle - started)
            spent["all"].append(time.perf_counter() - middle)
    apart = max(float((a - b).abs().max()) for a, b in zip(alone, every, strict=True))
    return statistics.median(spent["one"]), statistics.median(spent["all"]), apart


def first_audio(engine: Any, runs: int) -> tuple[float, float, float]:
    """Of a paragraph: seconds until the first audio of a stream, until all of it, seconds of speech."""
    first, whole, length = [], [], 0.0
    for turn in range(runs + 1):
        started = time.perf_counter()
        stream = engine.stream(PARAGRAPH)
        next(stream)
        heard = time.perf_counter() - started
        for _ in stream:
            pass
        started = time.perf_counter()
        length = len(engine(PARAGRAPH).wave) / RATE
        if turn:
            first.append(heard)
            whole.append(time.perf_counter() - started)
    return statistics.median(first), statistics.median(whole), length


# -- telling -------------------------------------------------------------------------------------------------------


def table(systems: list[System], where: str) -> list[str]:
    """Rows of RESULTS.md."""
    first, busy = systems[0].median, [statistics.median(s.busy) for s in systems]
    return [
        f"| {where} | {s.name} | {s.median:.3f} | {statistics.median(s.rtf):.3f} | {first / s.median:.2f} | "
        f"{cpu:.3f} | {busy[0] / cpu:.2f} |"
        for s, cpu in zip(systems, busy, strict=True)
    ]


def missed(systems: list[System], batch: tuple[float, float, float]) -> list[str]:
    """What is below its bound."""
    first, same, light, own, fast = systems
    figures = (
        (f"{same.name}: times stock", first.median / same.median, SAME, True),
        (f"{light.name}: times stock", first.median / light.median, OURS, True),
        (f"{light.name}: real-time factor", statistics.median(light.rtf), RTF, False),
        (f"{own.name}: real-time factor", statistics.median(own.rtf), RTF, False),
        (f"{fast.name}: seconds", fast.median, FAST, False),
        ("a batch: times one at a time", batch[0] / batch[1], BATCH, True),
        ("a batch: difference", batch[2], ALIKE, False),
    )
    return [
        f"{name}: found {value:.3g}, expected {'at least' if least else 'at most'} {bound:g}"
        for name, value, bound, least in figures
        if (value < bound if least else value > bound)
    ]


def measured(bench: Bench, runs: int, where: str) -> tuple[dict[str, list[str]], list[str]]:
    """Rows of the three tables, and what misses its bound."""
    import torch

    with torch.inference_mode():
        systems = bench.systems()
        taking_turns(systems, runs)
        batch = batches(bench.fast, runs)
        first, whole, length = first_audio(bench.own, max(1, runs // 3))
    one, every, apart = batch
    rows = {
        "speech": table(systems, where),
        "batch": [f"| {where} | {one:.3f} | {every:.3f} | {one / every:.2f} | {apart:.1e} |"],
        "stream": [f"| {where} | {length:.1f} | {first:.3f} | {whole:.3f} | {whole / first:.1f} |"],
    }
    return rows, [f"{where}: {line}" for line in missed(systems, batch)]


def section(rows: dict[str, list[str]], apart: tuple[float, float, float], runs: int) -> list[str]:
    """The text for RESULTS.md."""
    return [
        "## From a sentence to speech",
        "",
        f"Ten words, about 2.9 s at 22.05 kHz, text to phonemes included; median of {runs} turns. With the same "
        f"weights the spectrograms differ by at most {apart[0]:.1e}, the waveforms (deviation {apart[2]:.2f}) by at "
        f"most {apart[1]:.1e}.",
        "",
        "| where | system | s | real-time factor | times stock | processor s | times stock |",
        "|---|---|---|---|---|---|---|",
        *rows["speech"],
        "",
        "Spectrograms of 16 sentences by conf/tts/fast.yaml:",
        "",
        "| where | one at a time, s | at once, s | times | largest difference |",
        "|---|---|---|---|---|",
        *rows["batch"],
        "",
        f"A paragraph of {len(SENTENCES)} sentences by egs2/ljspeech's models:",
        "",
        "| where | speech, s | first audio of a stream, s | all of it, s | times sooner |",
        "|---|---|---|---|---|",
        *rows["stream"],
        "",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    where = ROOT / "benchmarks/RESULTS.md"
    parser.add_argument("--output", type=Path, default=where, help="receives the section")
    args = parser.parse_args(argv)
    import torch

    from benchmarks.results import origin, write_section

    rows: dict[str, list[str]] = {"speech": [], "batch": [], "stream": []}
    below: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        files = written(Path(scratch))
        places = [("cpu", threads) for threads in args.threads]
        places += [("cuda", max(args.threads))] if torch.cuda.is_available() else []
        apart = None
        for device, threads in places:
            torch.set_num_threads(threads)
            bench = Bench.of(
                files, device, threads
            )  # anew: engines are chosen by the number of threads
            apart = apart or difference(bench)
            where = f"{threads} thread{'s' * (threads > 1)}" if device == "cpu" else device
            found, under = measured(bench, args.runs, where)
            bench.stock.close()
            for name, lines in found.items():
                rows[name] += lines
            if device == "cpu" and threads == max(args.threads):
                below = under
    assert apart is not None
    text = "\n".join([*section(rows, apart, args.runs), *origin("synthesis", argv)])
    write_section(args.output, "synthesis", text)
    print(text)
    for line in below:
        print(f"synthesis: error: {line}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    raise SystemExit(main())
