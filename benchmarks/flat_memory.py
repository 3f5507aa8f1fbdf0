"""Peak memory of the data stages by the number of lines in wav.scp: tables are read line by line.

Each command runs on data directories of 1,000 and of 100,000 utterances (all of them one short recording under many
names), as a process of its own whose peak resident memory the system reports. Printed is what 100,000 lines more cost.

Usage: python benchmarks/flat_memory.py [--lines 1000 100000] [--no_results]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
COMMANDS = {
    "validate_data": ["validate_data", "{data}/train"],
    "format_audio, in place": ["format_audio", "{data}", "{raw}/org", "train"],
    "format_audio, written": ["format_audio", "{data}", "{raw}/new", "train", "--audio_format", "wav.ark"],
    "filter_data": ["filter_data", "{raw}/org", "{raw}", "train", "--rule", "level>=-90"],
    "audit_data": ["audit_data", "{data}/train", "--nj", "1", "--output", "{raw}/audit"],
}  # fmt: skip


def make(folder: Path, lines: int) -> None:
    """`folder/data/train` of so many utterances."""
    import numpy as np

    from espnet_ext.audio.write import write
    from espnet_ext.datadir.edit import write_all

    noise = np.random.default_rng(0).integers(-3000, 3000, 4000, np.int16)
    write(folder / "noise.flac", noise, 16000)
    utts = [f"s{i // 100:04d}-{i:06d}" for i in range(lines)]
    tables = {
        "wav.scp": dict.fromkeys(utts, str(folder / "noise.flac")),
        "text": {u: f"SOME WORDS OF {u}" for u in utts},
        "utt2spk": {u: u[:5] for u in utts},
    }
    write_all(folder / "data/train", tables)


def peak(command: Sequence[str]) -> float:
    """MB of resident memory that a command (and its children) needed at most.

    Raises:
        SystemExit: if it failed.
    """
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"flat_memory: error: {' '.join(command)} ended with status {status}")
    return usage.ru_maxrss / 1024


def measure(lines: Sequence[int]) -> dict[str, list[float]]:
    """MB of every command at each number of lines."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for count in lines:
        with tempfile.TemporaryDirectory(prefix="flat_memory") as scratch:
            folder = Path(scratch)
            # In a process of its own: what this one ever held would count as held by those it starts.
            maker = multiprocessing.Process(target=make, args=(folder, count))
            maker.start()
            maker.join()
            if maker.exitcode:
                raise SystemExit("flat_memory: error: the data directory could not be made")
            for name, (module, *options) in COMMANDS.items():
                places = {"data": folder / "data", "raw": folder / "raw"}
                filled = [option.format(**places) for option in options]
                found[name].append(
                    peak([sys.executable, "-m", f"espnet_ext.bin.{module}", *filled])
                )
                print(f"{count} lines, {name}: {found[name][-1]:.0f} MB", flush=True)
    return found


def section(found: dict[str, list[float]], lines: Sequence[int], argv: Sequence[str]) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    heads = [f"{count:,} lines, MB" for count in lines]
    rows = [
        "## Memory of the data stages",
        "",
        "Peak resident memory; no more than one utterance of audio is held, here of 0.25 s.",
        "",
    ]
    rows.append("| command | " + " | ".join(heads) + " | MB per 100,000 lines |")
    rows.append("|---" * (len(heads) + 2) + "|")
    for name, peaks in found.items():
        slope = (peaks[-1] - peaks[0]) / (lines[-1] - lines[0]) * 100_000
        rows.append(f"| {name} | " + " | ".join(f"{p:.0f}" for p in peaks) + f" | {slope:.0f} |")
    return "\n".join([*rows, "", *origin("flat_memory", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, nargs=2, default=[1000, 100_000], help="of wav.scp")
    parser.add_argument("--no_results", action="store_true", help="leave RESULTS.md as it is")
    args = parser.parse_args(argv)
    from benchmarks.results import write_section

    text = section(measure(args.lines), args.lines, argv)
    if not args.no_results:
        write_section(ROOT / "benchmarks/RESULTS.md", "flat_memory", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
