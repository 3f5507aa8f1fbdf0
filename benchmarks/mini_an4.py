"""How long the smallest job takes from audio to scores: stages 1 to 13 of an4/asr1 with language model, in debug form.

A miniature of AN4 (a few utterances, one of them to be recognised) with models of one layer and two units, trained for
one epoch: what is left is what the recipe itself costs. Made like egs2/mini_an4/asr1 of stock ESPnet, whose stages 1
to 13 took 302 s where ours were first timed. Runs in a clone of the last commit, with this checkout's environment;
writes a section of RESULTS.md and prints it.

Usage: python benchmarks/mini_an4.py [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

STOCK_SECONDS = 302.0  # egs2/mini_an4/asr1 of stock ESPnet 202511, stages 1 to 13, two cores
MOST_SECONDS = 75.0
OPTIONS = [
    *("--recipe", "an4/asr1", "--stop_stage", "13", "--nj", "2", "--nbpe", "30"),
    *("--speed_perturb_factors", ""),
    *("--asr_config", "conf/debug_asr.yaml", "--lm_config", "conf/debug_lm.yaml"),
    *("--inference_config", "conf/debug_decode.yaml"),
]


def miniature_of(scratch: Path) -> tuple[Path, str]:
    """The corpus, and what it is made of: real utterances where there are some."""
    from benchmarks.miniature import render, take

    real = Path(os.environ.get("ESPNET_EXT_REALDATA") or ROOT.parent / "shared/realdata") / "an4"
    if real.is_dir():
        return take(real, scratch / "an4"), "real utterances"
    return render(scratch / "an4"), "rendered by espeak-ng"


def clone(scratch: Path) -> Path:
    """The last commit in a folder of its own, with a link to this checkout's environment."""
    folder = scratch / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", folder], check=True)
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    return folder


def timed(folder: Path, an4: Path) -> tuple[float, dict[str, float]]:
    """Seconds of a run from nothing, and of each of its stages in their order."""
    recipe = folder / "egs2/an4/asr1"
    for made in ("data", "dump", "exp"):
        shutil.rmtree(recipe / made, ignore_errors=True)
    started = time.perf_counter()
    done = subprocess.run(
        [str(folder / "run.sh"), *OPTIONS],
        env={**os.environ, "AN4": str(an4)},
        capture_output=True,
        text=True,
    )
    spent = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"mini_an4: error: the recipe failed:\n{done.stdout[-2000:]}{done.stderr}")
    records = [json.loads(path.read_text()) for path in recipe.glob("exp/.stages/*.json")]
    records.sort(key=lambda record: record["number"])
    return spent, {f"{r['number']} {r['name']}": float(r["seconds"]) for r in records}


def section(
    spent: list[float], stages: list[dict[str, float]], what: str, argv: Sequence[str]
) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    median = statistics.median(spent)
    rows = [f"| {name} | {statistics.median(s[name] for s in stages):.1f} |" for name in stages[0]]
    lines = [
        "## The smallest job, from audio to scores",
        "",
        f"Stages 1 to 13 of an4/asr1 in debug form ({what}): **{median:.1f} s**, the median of {len(spent)} runs "
        f"({min(spent):.1f} to {max(spent):.1f} s); the most that it may take is {MOST_SECONDS:.0f} s. "
        f"Stock ESPnet's egs2/mini_an4/asr1 took {STOCK_SECONDS:.0f} s (timed once, not in this run).",
        "",
        "| stage | s |",
        "|---|---|",
        *rows,
        "",
    ]
    return "\n".join([*lines, *origin("mini_an4", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts")
    runs = parser.parse_args(argv).runs
    from benchmarks.results import write_section

    with tempfile.TemporaryDirectory() as name:
        (an4, what), folder = miniature_of(Path(name)), clone(Path(name))
        times = []
        for run in range(runs):
            times.append(timed(folder, an4))
            print(f"run {run + 1} of {runs}: {times[-1][0]:.1f} s", flush=True)
    spent, stages = [t for t, _ in times], [s for _, s in times]
    text = section(spent, stages, what, argv)
    write_section(ROOT / "benchmarks/RESULTS.md", "mini_an4", text)
    print(text)
    return 0 if statistics.median(spent) <= MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
