"""How long a command takes to be up and running: ours beside stock ESPnet, in turn, in one run.

From the start of a process until the model of one and the same config.yaml is built (and, for inference, its weights
are loaded). Writes a section of RESULTS.md and prints it; exits with 1 where ours takes more than a third of stock's.

Usage: python benchmarks/startup.py [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TOKENS = ["<blank>", "<unk>", *(chr(0x4E00 + i) for i in range(200)), "<sos/eos>"]
ATTENTION = {"attention_heads": 4, "linear_units": 1024}
#: a recogniser and a synthesiser of the sizes that people train, of stock ESPnet's own classes
CONFIGS = {
    "asr": {
        "normalize": "utterance_mvn",
        "encoder": "conformer",
        "encoder_conf": {**ATTENTION, "output_size": 256, "num_blocks": 12, "macaron_style": True},
        "decoder": "transformer",
        "decoder_conf": {**ATTENTION, "num_blocks": 6},
        "model_conf": {"ctc_weight": 0.3},
    },
    "tts": {"normalize": None, "tts": "fastspeech2"},
}  # fmt: skip

TRAINING = {
    "ours": """
from espnet_ext.bridge.load import read_model_config
from espnet_ext.bridge.tasks import TASKS
import espnet_ext.train.run
model = TASKS["{task}"].build(read_model_config("{task}", "{config}"))""",
    "stock": """
import argparse, yaml
import espnet2.bin.{task}_train
from espnet2.tasks.{task} import {TASK}Task
with open("{config}") as stream:
    model = {TASK}Task.build_model(argparse.Namespace(**yaml.safe_load(stream)))""",
}
INFERENCE = {
    "asr": {
        "ours": """
from espnet_ext.inference.speech2text import Speech2Text
model = Speech2Text("{config}", "{weights}").model""",
        "stock": """
from espnet2.bin.asr_inference import Speech2Text
model = Speech2Text("{config}", "{weights}").asr_model""",
    },
    "tts": {
        "ours": """
from espnet_ext.inference.text2speech import Text2Speech
model = Text2Speech("{config}", "{weights}").model""",
        "stock": """
from espnet2.bin.tts_inference import Text2Speech
model = Text2Speech("{config}", "{weights}").model""",
    },
}
#: stock's time must be at least so many times ours
TARGET = 3.0
COUNT = '\nprint("parameters", sum(p.numel() for p in model.parameters()))\n'


def prepare(folder: Path, task: str) -> dict[str, str]:
    """Write config.yaml and weights of a task's model; what the programs above have to know."""
    import torch

    from espnet_ext.bridge.tasks import TASKS
    from espnet_ext.train.config import complete, write_config

    config = complete(
        TASKS[task].defaults, {**CONFIGS[task], "token_list": TOKENS, "token_type": "char"}
    )
    names = {"task": task, "TASK": task.upper()}
    names |= {"config": str(folder / f"{task}.yaml"), "weights": str(folder / f"{task}.pth")}
    write_config(names["config"], config)
    torch.save(TASKS[task].build(config).state_dict(), names["weights"])
    return names


def timed(program: str) -> tuple[float, str]:
    """Seconds of a Python process from its start to its end, and what it says of the model."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    spent = time.perf_counter() - started
    said = [line for line in done.stdout.splitlines() if line.startswith("parameters")]
    if done.returncode or not said:
        raise SystemExit(f"startup: error: a program failed:\n{program}\n{done.stderr[-2000:]}")
    return spent, said[0]


def compare(programs: dict[str, str], runs: int) -> tuple[float, float]:
    """Median seconds of ours and of stock, after one run of each that warms the disk's cache.

    Raises:
        SystemExit: if the two did not build the same number of parameters.
    """
    spent: dict[str, list[float]] = {"ours": [], "stock": []}
    for run in range(runs + 1):
        said = {}
        for name in ("ours", "stock") if run % 2 else ("stock", "ours"):
            seconds, said[name] = timed(programs[name])
            if run:
                spent[name].append(seconds)
        if said["ours"] != said["stock"]:
            raise SystemExit(f"startup: error: not the same model: {said}")
    return statistics.median(spent["ours"]), statistics.median(spent["stock"])


def section(rows: list[str], runs: int, argv: Sequence[str]) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    head = [
        "## Up and running",
        "",
        f"Process start to model built, median of {runs} runs in turn.",
        "",
    ]
    table = ["| what | ours, s | stock ESPnet, s | stock / ours |", "|---|---|---|---|", *rows, ""]
    return "\n".join([*head, *table, *origin("startup", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="of each, beside one to warm up")
    runs = parser.parse_args(argv).runs
    from benchmarks.results import write_section

    rows, ratios = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for task in ("asr", "tts"):
            names = prepare(Path(scratch), task)
            for what, programs in (("train", TRAINING), ("inference", INFERENCE[task])):
                filled = {side: text.format(**names) + COUNT for side, text in programs.items()}
                ours, stock = compare(filled, runs)
                ratios.append(stock / ours)
                rows.append(f"| {task} {what} | {ours:.2f} | {stock:.2f} | {ratios[-1]:.1f} |")
                print(rows[-1], flush=True)
    text = section(rows, runs, argv)
    write_section(ROOT / "benchmarks/RESULTS.md", "startup", text)
    print(text)
    return 0 if min(ratios) >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
