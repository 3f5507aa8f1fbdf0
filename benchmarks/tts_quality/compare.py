"""Quality of synthesis: ours, which aligns by itself, beside stock ESPnet's FastSpeech2 given durations and JETS.

All learn the same voice (flite's slt) from the same sentences, phonemes and number of updates. flite tells how long it
made each phoneme: FastSpeech2 is given that, the others find it. Stock's are trained by its own `espnet2.bin.tts_train`
and `gan_tts_train` from `stock_*.yaml`, ours by `tts_train` from the recipe's configuration. All speak the held-out
sentences by the same program, with Griffin-Lim where a model makes spectrograms, and are scored by the same. With
--asr, a recogniser hears them, and the recordings. Every training goes on where it was stopped: the same command again.

Usage: python benchmarks/tts_quality/compare.py --work <folder> [--epochs 27] [--sides ours fastspeech2 jets]
           [--asr <recipe's directory>]
The recogniser should know more than the sentences it hears: mini/asr1 with `--local_data_opts "--train 2600"`, whose
figures stand in RESULTS.md, misreads a third as much of the recordings as mini/asr1 as it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
HERE = Path(__file__).parent
RATE, HOP = 16000, 256
SETS = {"train": 316, "dev": 17, "eval": 40}
TOKENS = "data/tokens"
#: One peak of the learning rate for Noam's schedule, and when it is reached; ours rises as long.
PEAK, WARMUP_SHARE = 1e-3, 0.1


class Metric(NamedTuple):
    """A figure that is compared.

    Attributes:
        name: in scores.json.
        title: in the table.
        sign: 1 where more is better, -1 where less is.
        bound: asked of ours.
    """

    name: str
    title: str
    sign: int
    bound: float


METRICS = (
    Metric("mel_correlation", "mel correlation", 1, 0.90),
    Metric("f0_deviation", "F0 deviation %", -1, 10.0),
    Metric("duration_error", "duration error %", -1, 15.0),
    Metric("cer", "CER %", -1, 8.0),
)


class Side(NamedTuple):
    """A system.

    Attributes:
        config: its YAML.
        task: of ESPnet.
        model: the weights that speak.
    """

    config: Path
    task: str
    model: str


SIDES = {
    "ours": Side(ROOT / "egs2/mini/tts1/conf/train_tts.yaml", "tts", "valid.mel.ave.pth"),
    "fastspeech2": Side(HERE / "stock_fastspeech2.yaml", "tts", "valid.loss.ave.pth"),
    "jets": Side(HERE / "stock_jets.yaml", "gan_tts", "latest.pth"),
}

# -- data -----------------------------------------------------------------------------------------------------------


def spoken(text: str, path: Path) -> tuple[list[str], list[int]]:
    """Let flite say a text -> its phonemes, and the frames of each and of the end of the sentence."""
    import soundfile

    done = subprocess.run(
        ["flite", "-voice", "slt", "-psdur", "-t", text, "-o", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [word.rpartition(":") for word in done.stdout.split()]
    frames = soundfile.info(path).frames // HOP + 1
    # the last frame is the end's; a phoneme of no frame would have no pitch
    ends = [min(round(float(end) * RATE / HOP), frames - 1) for _, _, end in said]
    ends[-1] = frames - 1
    durations = [end - start for start, end in pairwise([0, *ends])]
    return [phone for phone, _, _ in said], [*durations, 1]


def make_set(work: Path, name: str, texts: list[tuple[str, str]]) -> None:
    """A data directory of (utterance, text), and its `phones` and `durations`."""
    folder = work / "data" / name
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[str]] = {
        key: [] for key in ("wav.scp", "text", "phones", "durations", "utt2spk", "spk2utt")
    }
    for utt, text in texts:
        path = folder / "wav" / f"{utt}.wav"
        phones, durations = spoken(text, path)
        row = {
            "wav.scp": str(path.resolve()),
            "text": text,
            "phones": " ".join(phones),
            "durations": " ".join(map(str, durations)),
            "utt2spk": "slt",
        }
        for key, value in row.items():
            tables[key].append(f"{utt} {value}")
    tables["spk2utt"] = ["slt " + " ".join(utt for utt, _ in texts)]
    for key, lines in tables.items():
        (folder / key).write_text("\n".join(lines) + "\n", encoding="utf-8")


def with_phones(work: Path, name: str) -> None:
    """Beside the formatted set dump/raw/NAME, dump/phones/NAME: the same with phonemes for text."""
    raw, other = work / "dump/raw" / name, work / "dump/phones" / name
    shutil.copytree(raw, other, dirs_exist_ok=True)
    for table, found in (("text", "phones"), ("durations", "durations")):
        shutil.copy(work / "data" / name / found, other / table)


def prepare(work: Path) -> None:
    """Data, tokens and statistics, once."""
    from benchmarks.asr_quality.compare import call
    from espnet_ext.corpora.mini import COUNTS, draw

    done = work / "prepared"
    if done.exists():
        return
    lines = draw({**COUNTS, "tts": sum(SETS.values())})["tts"]
    texts = iter([(f"slt-{n:04d}", s.spoken.replace("-", " ")) for n, s in enumerate(lines)])
    for name, count in SETS.items():
        make_set(work, name, [next(texts) for _ in range(count)])
    sets = " ".join(SETS)
    call(work, f"espnet_ext.bin.format_audio --fs {RATE} data dump/raw {sets}")
    for name in SETS:
        with_phones(work, name)
    call(
        work,
        "espnet_ext.bin.train_tokens --token_type phn --g2p none --cleaner none --text dump/phones/train/text "
        f"--out {TOKENS}",
    )
    call(
        work,
        f"espnet_ext.bin.collect_stats --task tts --config {SIDES['ours'].config} --tokens {TOKENS} "
        "--train dump/phones/train --valid dump/phones/dev --output_dir exp/stats_ours",
    )
    for name in ("fastspeech2", "jets"):
        options = (
            "--collect_stats true --normalize none --pitch_normalize none --energy_normalize none"
        )
        call(work, f"{stock_command(name)} {options} --output_dir exp/stats_{name}")
    done.touch()


# -- training -------------------------------------------------------------------------------------------------------


def our_batches(work: Path) -> int:
    """Batches an epoch of our recipe, which stock's get as well."""
    from benchmarks.asr_quality.compare import batches_of

    return batches_of(work / "dump/phones/train/utt2dur", SIDES["ours"].config)


def stock_command(name: str) -> str:
    """ESPnet's training command with the data; paths as seen from the work folder."""
    tables = ["wav.scp,speech,sound", "text,text,text"]
    if name == "fastspeech2":
        tables.append("durations,durations,text_int")
    data = " ".join(
        f"--{kind}_data_path_and_name_and_type dump/phones/{folder}/{table}"
        for kind, folder in (("train", "train"), ("valid", "dev"))
        for table in tables
    )
    shapes = "--train_shape_file dump/phones/train/utt2num_samples --valid_shape_file dump/phones/dev/utt2num_samples"
    return (
        f"espnet2.bin.{SIDES[name].task}_train --config {SIDES[name].config} --use_preprocessor true "
        f"--token_type phn --g2p none --cleaner none --token_list {TOKENS}/tokens.txt {data} {shapes}"
    )


def train_stock(work: Path, name: str, epochs: int) -> None:
    """By ESPnet's own trainer, with as many batches an epoch."""
    from benchmarks.asr_quality.compare import call

    count = our_batches(work)
    stats = f"exp/stats_{name}/train"
    normalised = " ".join(
        f"--{prefix}normalize_conf stats_file={stats}/{kind}_stats.npz"
        for prefix, kind in (("", "feats"), ("pitch_", "pitch"), ("energy_", "energy"))
    )
    schedule = ""
    if name == "fastspeech2":
        warmup = round(WARMUP_SHARE * epochs * count)
        schedule = (
            f"--optim_conf lr={PEAK * (128 * warmup) ** 0.5:.4f} --scheduler_conf model_size=128 "
            f"--scheduler_conf warmup_steps={warmup}"
        )
    call(
        work,
        f"{stock_command(name)} {normalised} {schedule} --max_epoch {epochs} --resume true --batch_type sorted "
        f"--batch_size {-(-SETS['train'] // count)} --num_iters_per_epoch {count} --output_dir exp/tts_{name}",
        f"train_{name}",
    )


def train_ours(work: Path, epochs: int) -> None:
    """By our own command."""
    from benchmarks.asr_quality.compare import call

    call(
        work,
        f"espnet_ext.bin.tts_train --device cpu --config {SIDES['ours'].config} --tokens {TOKENS} "
        "--stats_dir exp/stats_ours --train dump/phones/train --valid dump/phones/dev --output_dir exp/tts_ours "
        f"--set max_epoch={epochs}",
        "train_ours",
    )


def train(work: Path, name: str, epochs: int) -> None:
    """Train one, unless it is trained; notes the seconds it took."""
    note = work / f"exp/tts_{name}/seconds"
    if note.exists():
        return
    started = time.monotonic()
    train_ours(work, epochs) if name == "ours" else train_stock(work, name, epochs)
    note.write_text(f"{time.monotonic() - started:.0f}\n")
    print(f"trained {name}", flush=True)


# -- scores ---------------------------------------------------------------------------------------------------------


def scored(work: Path, name: str, asr: str | None) -> dict[str, Any]:
    """Figures on the held-out sentences, parameters, minutes."""
    from benchmarks.asr_quality.compare import call, parameters

    side, model = SIDES[name], f"exp/tts_{name}"
    made = f"{model}/decode"
    if not (work / made / "eval/wav.scp").exists():
        call(
            work,
            f"espnet_ext.bin.tts_synthesize --device cpu --task {side.task} --model_dir {model} "
            f"--model {side.model} --output_dir {made} dump/phones eval",
            f"speak_{name}",
        )
    call(work, f"espnet_ext.bin.score_tts --hyp {made} --ref dump/raw eval", "score")
    means = json.loads((work / made / "scores.json").read_text())["sets"]["eval"]
    found = {key: value["mean"] for key, value in means.items() if isinstance(value, dict)}
    found |= heard(work, name, asr) if asr else {}
    minutes = float((work / model / "seconds").read_text()) / 60
    return {
        "side": name,
        **found,
        "parameters": parameters(side.task, work / model),
        "minutes": minutes,
    }


def heard(work: Path, name: str, asr: str) -> dict[str, float]:
    """CER % of what a recogniser hears in a synthesis, and in the recordings."""
    from benchmarks.asr_quality.compare import call

    out = f"exp/heard_{name}"
    call(
        work,
        f"espnet_ext.bin.round_trip --asr {asr} --tts .:tts_{name}:decode --recordings --output {out}",
        "hear",
    )
    found = json.loads((work / out / "round_trip.json").read_text())
    return {"cer": found["cer"], "cer_recordings": found["recordings"]["cer"]}


def better(metric: Metric, ours: float, theirs: float) -> bool:
    """At least as good."""
    return metric.sign * (ours - theirs) >= 0


def section(found: list[dict[str, Any]], updates: int, argv: Sequence[str]) -> tuple[str, bool]:
    """The text for RESULTS.md, and whether ours keeps the bounds and is nowhere worse."""
    from benchmarks.results import origin

    metrics = [m for m in METRICS if all(m.name in f for f in found)]
    ours, *others = found
    holds = all(better(m, ours[m.name], m.bound) for m in metrics) and all(
        better(m, ours[m.name], other[m.name]) for m in metrics for other in others
    )
    rows = [
        f"| {f['side']} | {f['parameters'] / 1e6:.2f} M "
        + "".join(f"| {f[m.name]:.3g} " for m in metrics)
        + f"| {f.get('mcd', float('nan')):.2f} | {f['minutes']:.0f} |"
        for f in found
    ]
    heard_too = (
        f" The recogniser misreads {ours['cer_recordings']:.1f} % of the recordings' characters."
        if "cer_recordings" in ours
        else ""
    )
    lines = [
        "## Quality of synthesis",
        "",
        f"{updates} updates of one voice, {SETS['train']} sentences; {SETS['eval']} held-out ones, means over them."
        + heard_too,
        "",
        "| system | parameters "
        + "".join(f"| {m.title} " for m in metrics)
        + "| MCD dB | minutes |",
        "|---|---" + "|---" * len(metrics) + "|---|---|",
        *rows,
        "| asked of ours | " + "".join(f"| {m.bound:g} " for m in metrics) + "| | |",
        "",
    ]
    return "\n".join([*lines, *origin("tts_quality/compare", argv)]), holds


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder for everything that is made")
    add("--epochs", type=int, default=27, help="of the training set")
    add("--sides", nargs="+", choices=[*SIDES], default=[*SIDES], help="only these, ours first")
    add("--jobs", type=int, default=2, help="trainings at once, a thread each")
    add("--output", type=Path, default=ROOT / "benchmarks/RESULTS.md", help="gets the section")
    add("--asr", help="recipe's directory of a recogniser that hears them, e.g. egs2/mini/asr1")
    args = parser.parse_args(argv)
    if min(args.epochs, args.jobs) < 1:
        parser.error("expected --epochs and --jobs from 1 on")
    from benchmarks.asr_quality.compare import claim
    from benchmarks.results import write_section

    args.work.mkdir(parents=True, exist_ok=True)
    claim(args.work, {"epochs": args.epochs, "sets": SETS})
    prepare(args.work)
    asr = str(Path(args.asr).resolve()) if args.asr else None
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda name: train(args.work, name, args.epochs), args.sides))
    found = [scored(args.work, name, asr) for name in args.sides]
    if args.sides[0] != "ours" or len(args.sides) < 2:  # nothing to compare
        print(json.dumps(found, indent=1))
        return 0
    text, holds = section(found, args.epochs * our_batches(args.work), argv)
    write_section(args.output, "tts_quality", text)
    print(text)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
