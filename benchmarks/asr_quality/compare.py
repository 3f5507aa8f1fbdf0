"""Word error rate on AN4: our recogniser beside stock ESPnet's Conformer, same data, updates and number of parameters.

Both learn from the same audio (three speeds), tokens and held-out speakers, as many updates with as much speech each,
and have as many parameters within 5 %. Stock's is trained by its own `espnet2.bin.asr_train` from `stock.yaml`, ours by
`asr_train` from the recipe's configuration. Both are decoded by the same search without a language model, with the CTC
weight that is best for each on dev. Every training goes on where it was stopped: the same command again.

Usage: AN4=<corpus> python benchmarks/asr_quality/compare.py --work <folder> [--epochs 20] [--seeds 3] [--jobs 2]
With `--stock stock_default.yaml --sides stock` (in another work folder) stock's newer recipe is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
CONFIGS = {
    "ours": ROOT / "egs2/an4/asr1/conf/train_asr.yaml",
    "stock": Path(__file__).with_name("stock.yaml"),
}
TOKENS, STATS = "data/token_list/bpe", "exp/stats"
CTC_WEIGHTS = (0.3, 0.6, 0.9)
#: Of the updates, on both sides: of so few, a tenth is too fast a rise, and CTC stays on its plateau.
WARMUP_SHARE = 0.2
MOST_APART, LEAST_GAIN = 0.05, 0.15


class Training(NamedTuple):
    """One of them."""

    side: str
    seed: int

    @property
    def folder(self) -> str:
        """Relative to the work folder."""
        return f"exp/{self.side}_{self.seed}"


def call(work: Path, command: str, log: str = "prepare") -> None:
    """Run a python module in the work folder; what it says goes to a log.

    Raises:
        SystemExit: if it fails, with its last lines.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    path = work / f"logs/{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as stream:
        words = [sys.executable, "-m", *command.split()]
        code = subprocess.call(words, cwd=work, env=environment, stdout=stream, stderr=stream)
    if code:
        end = path.read_text(encoding="utf-8").splitlines()[-15:]
        raise SystemExit("\n".join([*end, f"compare: error: {command.split()[0]} failed: {path}"]))


def claim(work: Path, settings: dict[str, Any]) -> None:
    """A work folder is for one choice of these: what lies there would be taken for the result of another.

    Raises:
        SystemExit: if it was for another.
    """
    note, wanted = work / "settings.json", json.dumps(settings)
    if note.exists() and (found := note.read_text().strip()) != wanted:
        raise SystemExit(
            f"compare: error: {work}: found {found}, expected {wanted}: another --work"
        )
    note.write_text(wanted + "\n")


def prepare(work: Path, corpus: Path, nbpe: int) -> None:
    """Data, tokens and statistics, once."""
    done = work / "prepared"
    if done.exists():
        return
    sets = "train_sp dev test"
    ours = "espnet_ext.bin."
    for command in (
        f"{ours}prepare_corpus an4 {corpus.resolve()} data",
        f"{ours}speed_perturb --factors 0.9,1.0,1.1 data/train data/train_sp",
        f"{ours}format_audio --fs 16000 data dump/org {sets}",
        f"{ours}filter_data --min_seconds 0.1 --max_seconds 20 --keep test dump/org dump {sets}",
        f"{ours}train_tokens --token_type bpe --nbpe {nbpe} --text dump/train_sp/text --out {TOKENS}",
        f"{ours}collect_stats --task asr --config {CONFIGS['stock']} --tokens {TOKENS} --train dump/train_sp "
        f"--valid dump/dev --output_dir {STATS}",
    ):
        call(work, command)
    done.touch()


def batches_of(utterances: Path, config: Path) -> int:
    """Batches an epoch of our recipe, which stock gets as well, of a set's utt2dur."""
    from espnet_ext.datadir import numbers_in, read_table
    from espnet_ext.train.config import load_yaml
    from espnet_ext.train.sampler import BucketSampler

    seconds = list(numbers_in(read_table(utterances), utterances).values())
    return len(BucketSampler(seconds, load_yaml(config)["batch_size"]).batches(1))


def our_batches(work: Path) -> int:
    """Of the training set."""
    return batches_of(work / "dump/train_sp/utt2dur", CONFIGS["ours"])


def train_ours(work: Path, run: Training, epochs: int) -> None:
    """By our own command."""
    call(
        work,
        f"espnet_ext.bin.asr_train --device cpu --config {CONFIGS['ours']} --tokens {TOKENS} --stats_dir {STATS} "
        f"--train dump/train_sp --valid dump/dev --output_dir {run.folder} --set seed={run.seed} "
        f"max_epoch={epochs} scheduler_conf.warmup={WARMUP_SHARE}",
        f"train_{run.side}_{run.seed}",
    )


def train_stock(work: Path, run: Training, epochs: int) -> None:
    """By ESPnet's, with as many batches an epoch."""
    from espnet_ext.datadir import read_table

    count, utterances = our_batches(work), len(read_table(work / "dump/train_sp/text"))
    warmup = round(WARMUP_SHARE * epochs * count)
    data = " ".join(
        f"--{kind}_data_path_and_name_and_type dump/{folder}/{table}"
        for kind, folder in (("train", "train_sp"), ("valid", "dev"))
        for table in ("wav.scp,speech,sound", "text,text,text")
    )
    shapes = "--train_shape_file dump/train_sp/utt2num_samples --valid_shape_file dump/dev/utt2num_samples"
    call(
        work,
        f"espnet2.bin.asr_train --config {CONFIGS['stock']} --seed {run.seed} --max_epoch {epochs} --resume true "
        f"--use_preprocessor true --token_type bpe --bpemodel {TOKENS}/bpe.model --token_list {TOKENS}/tokens.txt "
        f"--normalize global_mvn --normalize_conf stats_file={STATS}/train/feats_stats.npz {data} {shapes} "
        f"--batch_type sorted --batch_size {-(-utterances // count)} --num_iters_per_epoch {count} "
        f"--scheduler_conf warmup_steps={warmup} --output_dir {run.folder}",
        f"train_{run.side}_{run.seed}",
    )


def train(work: Path, run: Training, epochs: int) -> None:
    """Train one, unless it is trained; notes the seconds it took."""
    note = work / run.folder / "seconds"
    if note.exists():
        return
    started = time.monotonic()
    (train_ours if run.side == "ours" else train_stock)(work, run, epochs)
    note.write_text(f"{time.monotonic() - started:.0f}\n")
    print(f"trained {run.side}, seed {run.seed}", flush=True)


def error_rate(work: Path, run: Training, name: str, ctc_weight: float) -> float:
    """Percent WER of a set."""
    decoded = f"{run.folder}/ctc{ctc_weight}"
    scores = work / decoded / "scores.json"
    if not (work / decoded / name / "text").exists():
        config = work / f"ctc{ctc_weight}.yaml"
        config.write_text(f"beam_size: 10\nctc_weight: {ctc_weight}\npre_beam_ratio: 8\n")
        call(
            work,
            f"espnet_ext.bin.asr_decode --config {config} --model_dir {run.folder} --output_dir {decoded} dump {name}",
            f"decode_{run.side}_{run.seed}",
        )
    call(
        work,
        f"espnet_ext.bin.score_asr --hyp {decoded} --ref dump --tokens {TOKENS} {name}",
        "score",
    )
    return float(json.loads(scores.read_text())["sets"][name]["wer"]["error_rate"])


def scored(work: Path, run: Training) -> dict[str, Any]:
    """WER on test with the CTC weight that is best on dev, parameters, minutes."""
    dev = {weight: error_rate(work, run, "dev", weight) for weight in CTC_WEIGHTS}
    best = min(dev, key=lambda weight: dev[weight])
    return {
        "side": run.side,
        "seed": run.seed,
        "ctc": best,
        "dev": dev[best],
        "test": error_rate(work, run, "test", best),
        "parameters": parameters("asr", work / run.folder),
        "minutes": float((work / run.folder / "seconds").read_text()) / 60,
    }


def parameters(task: str, folder: Path) -> int:
    """Numbers that were trained, those of discriminators left out."""
    import torch

    from espnet_ext.bridge.load import load_model

    model, _ = load_model(task, folder / "config.yaml", None)
    return sum(
        p.numel()
        for name, p in model.named_parameters()
        if isinstance(p, torch.nn.Parameter) and "discriminator" not in name
    )


def section(found: list[dict[str, Any]], updates: int, argv: Sequence[str]) -> tuple[str, bool]:
    """The text for RESULTS.md, and whether the bounds hold."""
    from benchmarks.results import origin

    sides = {side: [f for f in found if f["side"] == side] for side in CONFIGS}
    mean = {side: statistics.mean(f["test"] for f in rows) for side, rows in sides.items()}
    sizes = {side: rows[0]["parameters"] for side, rows in sides.items()}
    gain, apart = 1 - mean["ours"] / mean["stock"], abs(sizes["ours"] / sizes["stock"] - 1)
    rows = [
        f"| {f['side']} | {f['seed']} | {f['parameters'] / 1e6:.2f} M | {f['ctc']} | {f['dev']:.1f} | {f['test']:.1f} "
        f"| {f['minutes']:.0f} |"
        for f in found
    ]
    lines = [
        "## Recognition quality on AN4",
        "",
        f"{updates} updates, no LM: WER {mean['ours']:.1f} % against {mean['stock']:.1f} % of stock ESPnet's "
        f"Conformer, **{100 * gain:.0f} % less** (means over seeds; at least {100 * LEAST_GAIN:.0f} % is asked for).",
        "",
        "| side | seed | parameters | CTC weight | dev WER | test WER | minutes, one thread |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    text = "\n".join([*lines, *origin("asr_quality/compare", argv)])
    return text, gain >= LEAST_GAIN and apart <= MOST_APART


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for everything that is made"
    )
    parser.add_argument(
        "--epochs", type=int, default=20, help="of the training set at three speeds"
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings a side")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, a thread each")
    parser.add_argument("--nbpe", type=int, default=80, help="tokens")
    parser.add_argument(
        "--sides", nargs="+", choices=[*CONFIGS], default=[*CONFIGS], help="train only these"
    )
    parser.add_argument(
        "--stock", type=Path, default=CONFIGS["stock"], help="stock's YAML; same front end"
    )
    args = parser.parse_args(argv)
    if min(args.epochs, args.seeds, args.jobs) < 1 or not args.stock.is_file():
        parser.error("expected --epochs, --seeds and --jobs from 1 on, and a file for --stock")
    if "AN4" not in os.environ:
        raise SystemExit(
            "compare: error: found no AN4, expected the corpus' folder: AN4=<dir> python ..."
        )
    from benchmarks.results import write_section

    CONFIGS["stock"] = args.stock.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    claim(args.work, {"epochs": args.epochs, "nbpe": args.nbpe, "stock": args.stock.name})
    prepare(args.work, Path(os.environ["AN4"]), args.nbpe)
    runs = [Training(side, seed) for seed in range(args.seeds) for side in args.sides]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda run: train(args.work, run, args.epochs), runs))
        found = list(pool.map(lambda run: scored(args.work, run), runs))
    if len(args.sides) < len(CONFIGS):
        print(json.dumps(found, indent=1))
        return 0
    text, holds = section(found, args.epochs * our_batches(args.work), argv)
    write_section(ROOT / "benchmarks/RESULTS.md", "asr_quality", text)
    print(text)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
