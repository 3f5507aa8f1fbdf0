"""Memory and speed of transcribing by the length of the recording: it is cut at its pauses and never held whole.

Utterances of a data directory are put one behind the other, a second of near silence between them, into recordings of
--minutes; each is transcribed by a process of its own, whose peak resident memory the system reports.

Usage: python benchmarks/long_audio.py --model_dir DIR --data DIR [--minutes 6 60] [--model FILE]
(from the folder that the paths in the model's config.yaml are relative to).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RATE = 16000


def pieces(data: Path, seconds: float) -> Iterator[object]:
    """Utterances and pauses, again and again, so many seconds of them: (T,) int16 each."""
    import itertools

    import numpy as np

    from espnet_ext.audio.read import load
    from espnet_ext.datadir import read_table

    random, left = np.random.default_rng(0), round(seconds * RATE)
    for entry in itertools.cycle(read_table(data / "wav.scp").values()):
        pause = random.standard_normal(RATE) * 1e-4
        both = np.concatenate([load(entry, RATE)[0], pause])[:left]
        yield (np.clip(both, -1, 1) * 32767).astype(np.int16)
        left -= len(both)
        if not left:
            return


def write(path: Path, data: Path, minutes: float) -> None:
    """A recording of so many minutes."""
    import soundfile

    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as stream:
        for samples in pieces(data, 60 * minutes):
            stream.write(samples)


def transcribe(args: argparse.Namespace) -> None:
    """In a process of its own: print seconds of work, of the recording, and words."""
    import torch

    from espnet_ext.inference.options import DecodeOptions
    from espnet_ext.inference.speech2text import Speech2Text
    from espnet_ext.inference.transcribe import Cutting, Vad

    torch.set_num_threads(1)
    options = DecodeOptions(beam_size=10, ctc_weight=0.3, lm_weight=0.0)
    recogniser = Speech2Text.from_dir(args.model_dir, args.model, options=options)
    started, words, end = time.perf_counter(), 0, 0.0
    for segment in recogniser.transcribe(args.file, Cutting(vad=Vad(args.vad, pad=0.2))):
        words, end = words + len(segment.text.split()), segment.end
    print(f"{time.perf_counter() - started:.1f} {end:.0f} {words}", flush=True)


def measured(argv: Sequence[str], file: Path) -> tuple[float, list[str]]:
    """MB at most, and what the process printed."""
    import subprocess

    command = [sys.executable, __file__, *argv, "--file", str(file)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    printed = process.stdout.read().split()
    _, status, usage = os.wait4(process.pid, 0)
    if status or len(printed) != 3:
        raise SystemExit(f"long_audio: error: {' '.join(command)} ended with status {status}")
    return usage.ru_maxrss / 1024, printed


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--model", default="valid.acc.ave.pth")
    parser.add_argument("--data", type=Path, required=True, help="data directory with wav.scp")
    parser.add_argument("--minutes", type=float, nargs="+", default=[6.0, 60.0])
    parser.add_argument("--vad", choices=("auto", "silero", "energy"), default="energy")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/RESULTS.md")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.file:
        transcribe(args)
        return 0
    from benchmarks.results import origin, write_section

    lines = ["## Long recordings", "", "One thread; pauses by level; peak resident memory.", ""]
    lines += ["| minutes | peak MB | real-time factor | words |", "|---|---|---|---|"]
    for minutes in args.minutes:
        with tempfile.TemporaryDirectory(prefix="long_audio") as scratch:
            write(Path(scratch) / "long.wav", args.data, minutes)
            peak, (spent, _, words) = measured(argv, Path(scratch) / "long.wav")
        rtf = float(spent) / (60 * minutes)
        lines.append(f"| {minutes:g} | {peak:.0f} | {rtf:.4f} | {words} |")
        print(lines[-1], flush=True)
    write_section(args.output, "long_audio", "\n".join([*lines, "", *origin("long_audio", argv)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
