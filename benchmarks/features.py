"""How fast sound is looked at: F0, voice activity, log-mel features, ours beside stock ESPnet's in one run.

F0 and voice activity are CPU seconds of one core for an hour of speech. Features are extracted by our command and by
stock ESPnet's (asr_train --collect_stats with --write_collected_feats), each a process of its own with its imports, in
turn, from the same wav.scp; both results are compared. Writes a section of RESULTS.md and prints it.

Usage: python benchmarks/features.py [--audio DIR] [--minutes 20] [--runs 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
DEFAULT = Path(os.environ.get("ESPNET_EXT_REALDATA") or ROOT.parent / "shared/realdata")
FRONTEND = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}


def corpus(audio: Path, minutes: float, folder: Path) -> tuple[list[tuple[Any, int]], float]:
    """The first minutes of a folder's flac files: samples and rates, and a data directory in `folder`."""
    from espnet_ext.audio.read import load

    waves, seconds, lines = [], 0.0, []
    for path in sorted(audio.rglob("*.flac")):
        if seconds >= 60 * minutes:
            break
        wave, rate = load(path, 16000)
        waves.append((wave, rate))
        seconds += len(wave) / rate
        lines.append((f"{path.stem.partition('-')[0]}-{path.stem}", path, len(wave)))
    if not waves:
        raise SystemExit(f"features: error: {audio}: found no .flac, expected speech: set --audio")
    lines.sort()
    tables = {
        "wav.scp": "".join(f"{utt} {path}\n" for utt, path, _ in lines),
        "utt2spk": "".join(f"{utt} {utt.partition('-')[0]}\n" for utt, _, _ in lines),
        "text": "".join(f"{utt} A\n" for utt, _, _ in lines),
        "shape": "".join(f"{utt} {length}\n" for utt, _, length in lines),
        "tokens.txt": "<blank>\n<unk>\nA\n<sos/eos>\n",
    }
    for name, text in tables.items():
        (folder / name).write_text(text)
    for name in ("wav.scp", "text", "shape"):  # what stock wants to validate on
        (folder / f"one.{name}").write_text(tables[name].splitlines()[0] + "\n")
    return waves, seconds


def cpu_seconds(work: Callable[[Any, int], object], waves: list[tuple[Any, int]]) -> float:
    """CPU seconds of this process, after one call that warms up."""
    work(*waves[0])
    started = time.process_time()
    for wave, rate in waves:
        work(wave, rate)
    return time.process_time() - started


def looks(waves: list[tuple[Any, int]], hours: float) -> list[str]:
    """Rows: CPU seconds for an hour of speech."""
    from espnet_ext.audio.f0 import F0, track
    from espnet_ext.audio.vad import Vad, speech

    few = waves[: max(1, len(waves) // 20)]  # the slow ones
    seconds = sum(len(w) / r for w, r in few)
    works: dict[str, tuple[Callable[[Any, int], object], list[Any], float]] = {
        "F0, dio (the default)": (lambda w, r: track(w, r), waves, hours),
        "F0, dio with step=1": (lambda w, r: track(w, r, F0(step=1)), waves, hours),
        "F0, harvest": (lambda w, r: track(w, r, F0("harvest")), few, seconds / 3600),
        "voice activity, silero": (lambda w, r: speech(w, r, Vad("silero")), waves, hours),
        "voice activity, energy": (lambda w, r: speech(w, r, Vad("energy")), waves, hours),
    }
    rows = []
    for name, (work, given, length) in works.items():
        rows.append(f"| {name} | {cpu_seconds(work, given) / length:.1f} |")
        print(rows[-1], flush=True)
    return rows


def ours(folder: Path, out: Path) -> list[str]:
    """Our command."""
    settings = [word for name, value in FRONTEND.items() for word in ("--set", f"{name}={value}")]
    command = ["espnet_ext.bin.extract_features", str(folder), str(out)]
    return [sys.executable, "-m", *command, *settings]


def stock(folder: Path, out: Path) -> list[str]:
    """Stock ESPnet's command."""
    settings = [
        word for name, value in FRONTEND.items() for word in ("--frontend_conf", f"{name}={value}")
    ]
    data = []
    for split, before in (("train", ""), ("valid", "one.")):
        for name, kind in (("wav.scp", "speech,sound"), ("text", "text,text")):
            what = f"{folder}/{before}{name},{kind}"
            data += [f"--{split}_data_path_and_name_and_type", what]
        data += [f"--{split}_shape_file", f"{folder}/{before}shape"]
    command = ["espnet2.bin.asr_train", "--collect_stats", "true", "--output_dir", str(out)]
    more = ["--write_collected_feats", "true", "--token_type", "char", "--use_preprocessor", "true"]
    more += ["--token_list", f"{folder}/tokens.txt", "--num_workers", "0", "--ngpu", "0"]
    more += ["--model_conf", "ctc_weight=1.0"]  # no decoder to build
    return [sys.executable, "-m", *command, *more, *settings, *data]


def timed(command: list[str]) -> float:
    """Processor seconds of a command on one thread: what others do on the machine matters less than in seconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"features: error: {' '.join(command)}\n{done.stderr[-2000:]}")
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def largest_difference(one: Path, other: Path) -> float:
    """Of our ark and stock's .npy files of the same utterances, but for the frames that padding in a batch reaches."""
    import kaldiio
    import numpy as np

    from espnet_ext.datadir import read_table

    first, second = kaldiio.load_scp(str(one)), read_table(other)
    if set(first) != set(second):
        raise SystemExit(f"features: error: not the same utterances: {one}, {other}")
    pairs = ((first[utt], np.load(second[utt])) for utt in first)
    return max(float(np.abs((a - b[: len(a)])[:-3]).max()) for a, b in pairs)


def compare(folder: Path, runs: int) -> tuple[float, float, float]:
    """Median CPU seconds of ours and of stock after a run each that warms the disk's cache; the largest difference."""
    spent: dict[str, list[float]] = {"ours": [], "stock": []}
    for run in range(runs + 1):
        for name in ("ours", "stock") if run % 2 else ("stock", "ours"):
            out = folder / f"{name}-{run}"
            seconds = timed((ours if name == "ours" else stock)(folder, out))
            if run:
                spent[name].append(seconds)
            print(f"{name}: {seconds:.1f} s", flush=True)
    theirs = folder / f"stock-{runs}/train/collect_feats/feats.scp"
    difference = largest_difference(folder / f"ours-{runs}/feats.scp", theirs)
    return statistics.median(spent["ours"]), statistics.median(spent["stock"]), difference


def section(rows: list[str], result: str, minutes: float, argv: Sequence[str]) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    head = ["## Looking at sound", "", f"{minutes:.0f} minutes of read speech, 16 kHz flac.", ""]
    table = ["| what | CPU s an hour |", "|---|---|", *rows, "", result, ""]
    return "\n".join([*head, *table, *origin("features", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audio", type=Path, default=DEFAULT / "LibriSpeech", help="flac files")
    parser.add_argument("--minutes", type=float, default=20, help="how much of them")
    parser.add_argument(
        "--runs", type=int, default=3, help="of each command, beside one to warm up"
    )
    args = parser.parse_args(argv)
    from benchmarks.results import write_section

    with tempfile.TemporaryDirectory() as scratch:
        waves, seconds = corpus(args.audio, args.minutes, Path(scratch))
        rows = looks(waves, seconds / 3600)
        mine, theirs, difference = compare(Path(scratch), args.runs)
    result = (
        f"Log-mel features to arks with their statistics: ours {mine:.1f} CPU s, stock ESPnet {theirs:.1f} CPU s "
        f"(**{theirs / mine:.1f} times**), medians of {args.runs} runs in turn; largest difference {difference:.1e}."
    )
    text = section(rows, result, seconds / 60, argv)
    write_section(ROOT / "benchmarks/RESULTS.md", "features", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
