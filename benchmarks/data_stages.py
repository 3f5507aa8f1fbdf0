"""Stages 3 and 4 and statistics over an hour of audio: ours beside stock ESPnet's commands, on the same cores.

Both bring audio into one form, leave out by length and collect mean and variance of log-mel features, in two jobs. Ours
also measures the audio's quality on the way. Three corpora: audio that has the right form already, wav to be written as
flac, and another sampling rate. What both wrote is compared before a time counts (features not where the rate changed:
the two resampling filters differ in the highest bands).

Stock's statistics are `espnet2.bin.asr_train --collect_stats true` and `aggregate_stats_dirs` as its asr.sh calls them;
its stage 3 is benchmarks/stock_format.py, its stage 4 the awk line of asr.sh (its fix_data_dir.sh, which comes after,
is left out in stock's favour).

Usage: python benchmarks/data_stages.py [--minutes 60] [--runs 1] [--data data/train] [--no_results]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RATE, JOBS = 16000, 2
CONFIG = "encoder: vgg_rnn\nencoder_conf: {num_layers: 1, hidden_size: 2, output_size: 2}\ndecoder: rnn\n"
CONFIG += "decoder_conf: {hidden_size: 2}\nnum_workers: 0\n"
CASES = {
    "flac at 16 kHz, nothing to change": ("flac", RATE),
    "wav at 16 kHz -> flac": ("wav", RATE),
    "wav at 22.05 kHz -> flac at 16 kHz": ("wav", 22050),
}


class Corpus(NamedTuple):
    """A data directory in a folder of its own, and what a recogniser needs to know."""

    folder: Path
    tokens: Path
    config: Path


def pieces(data: Path | None) -> list[tuple[Any, str]]:
    """Speech at RATE with its words: of a data directory, of real recordings, or rendered by espeak-ng."""
    from espnet_ext.audio.read import load
    from espnet_ext.datadir import read_table

    if data:
        texts = read_table(data / "text")
        return [(load(e, RATE)[0], texts[u]) for u, e in read_table(data / "wav.scp").items()]
    real = Path(os.environ.get("ESPNET_EXT_REALDATA") or ROOT.parent / "shared/realdata")
    found = []
    for path in sorted((real / "LibriSpeech").rglob("*.trans.txt")):
        for line in path.read_text().splitlines():
            utt, _, words = line.partition(" ")
            sound = path.parent / f"{utt}.flac"
            found += [(load(sound, RATE)[0], words)] if sound.is_file() else []
    return found or rendered()


def rendered() -> list[tuple[Any, str]]:
    """Forty sentences by espeak-ng."""
    from espnet_ext.audio.read import load

    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(40):
            words = f"THIS IS SENTENCE NUMBER {index} OF A CORPUS THAT WAS MADE FOR MEASURING TIMES"
            wav = f"{scratch}/{index}.wav"
            subprocess.run(["espeak-ng", "-s", str(140 + index), "-w", wav, words], check=True)
            found.append((load(wav, RATE)[0], words))
    return found


def make_corpus(
    folder: Path, speech: list[tuple[Any, str]], minutes: float, form: tuple[str, int]
) -> Corpus:
    """So many minutes of distinct files: pieces again and again, each time turned and a little quieter."""
    import numpy as np

    from espnet_ext.audio.resample import resample, to_int16
    from espnet_ext.audio.write import write
    from espnet_ext.datadir.edit import write_all

    tables: dict[str, dict[str, str]] = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    seconds, index = 0.0, 0
    while seconds < 60 * minutes:
        samples, words = speech[index % len(speech)]
        samples = np.roll(samples, 997 * index) * 0.99 ** (index // len(speech))
        utt = f"s{index % 20:02d}-{index:06d}"
        path = folder / "audio" / f"{utt}.{form[0]}"
        write(path, to_int16(resample(samples, RATE, form[1])), form[1])
        tables["wav.scp"][utt], tables["text"][utt] = str(path), words
        tables["utt2spk"][utt] = utt[:3]
        seconds, index = seconds + len(samples) / RATE, index + 1
    write_all(folder / "data/train", tables)
    few = sorted(tables["utt2spk"])[:4]
    write_all(folder / "data/valid", {n: {u: t[u] for u in few} for n, t in tables.items()})
    return _with_tokens(folder, tables["text"])


def _with_tokens(folder: Path, texts: dict[str, str]) -> Corpus:
    letters = sorted(set("".join(texts.values())) - {" "})
    tokens = ["<blank>", "<unk>", "<space>", *letters, "<sos/eos>"]
    (folder / "tokens").mkdir()
    (folder / "tokens/tokens.txt").write_text("\n".join(tokens) + "\n")
    (folder / "tokens/text.json").write_text('{"token_type": "char"}')
    (folder / "asr.yaml").write_text(CONFIG)
    return Corpus(folder, folder / "tokens", folder / "asr.yaml")


def together(commands: Sequence[Sequence[str]]) -> None:
    """Run commands at once, as run.pl runs an array job; the first that fails ends it all."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for c in commands
    ]  # fmt: skip
    for command, process in zip(commands, running, strict=True):
        said = process.communicate()[0]
        if process.returncode:
            for other in running:
                other.kill()
            raise SystemExit(f"data_stages: error: {' '.join(command)} failed:\n{said[-3000:]}")


def ours(corpus: Corpus, out: Path) -> dict[str, float]:
    """Seconds of each stage."""
    run = [sys.executable, "-m"]
    data, raw = str(corpus.folder / "data"), str(out / "raw")
    sets = ["train", "valid"]
    shares = [f"{job}/{JOBS}" for job in range(1, JOBS + 1)]
    form = ["espnet_ext.bin.format_audio", data, f"{raw}/org", *sets, "--job"]
    stats = [
        *("espnet_ext.bin.collect_stats", "--task", "asr", "--config", str(corpus.config)),
        *("--tokens", str(corpus.tokens), "--train", f"{raw}/train", "--valid", f"{raw}/valid"),
        *("--output_dir", str(out / "stats"), "--nj", str(JOBS)),
    ]
    return timed(
        {
            "format": lambda: together([[*run, *form, share] for share in shares]),
            "filter": lambda: together(
                [[*run, "espnet_ext.bin.filter_data", f"{raw}/org", raw, *sets]]
            ),
            "statistics": lambda: together([[*run, *stats]]),
        }
    )


def timed(stages: dict[str, Any]) -> dict[str, float]:
    """Seconds that each stage takes."""
    spent = {}
    for name, stage in stages.items():
        started = time.perf_counter()
        stage()
        spent[name] = time.perf_counter() - started
    return spent


def stock(corpus: Corpus, out: Path) -> dict[str, float]:
    """Seconds of each stage."""
    return timed(
        {
            "format": lambda: [stock_format(corpus, out, name) for name in ("train", "valid")],
            "filter": lambda: [stock_filter(corpus, out, name) for name in ("train", "valid")],
            "statistics": lambda: stock_stats(corpus, out),
        }
    )


def shares_of(table: Path, folder: Path, name: str) -> list[Path]:
    """The lines of a table in JOBS files, as utils/split_scp.pl makes them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = table.read_text().splitlines(keepends=True)
    found = []
    for job in range(1, JOBS + 1):
        low, high = (len(rows) * j // JOBS for j in (job - 1, job))
        found.append(folder / f"{name}.{job}.scp")
        found[-1].write_text("".join(rows[low:high]))
    return found


def stock_format(corpus: Corpus, out: Path, name: str) -> None:
    """format_wav_scp.sh: JOBS shares at once, then their tables one after the other."""
    org, program = out / f"raw/org/{name}", str(ROOT / "benchmarks/stock_format.py")
    shares = shares_of(corpus.folder / f"data/{name}/wav.scp", org / "logs", "wav")
    folders = [org / f"data/format.{job}" for job in range(1, JOBS + 1)]
    for folder in folders:
        folder.mkdir(parents=True)
    together(
        [
            [sys.executable, program, str(share), str(folder), str(RATE), "flac"]
            for share, folder in zip(shares, folders, strict=True)
        ]
    )
    for table in ("wav.scp", "utt2num_samples"):
        (org / table).write_text("".join((f / table).read_text() for f in folders))
    for table in ("text", "utt2spk", "spk2utt"):
        shutil.copy(corpus.folder / f"data/{name}" / table, org)


def stock_filter(corpus: Corpus, out: Path, name: str) -> None:
    """Stage 4 of asr.sh: awk picks the lengths, filter_scp the rest (awk here, which is faster than its perl)."""
    org, new = out / f"raw/org/{name}", out / f"raw/{name}"
    new.mkdir()
    low, high = round(0.1 * RATE), 20 * RATE
    within = f"$2 > {low} && $2 < {high}"
    pick = "NR == FNR { stays[$1]; next } $1 in stays"
    program = f"awk '{within}' {org}/utt2num_samples > {new}/utt2num_samples"
    for table in ("wav.scp", "text", "utt2spk"):
        program += f" && awk '{pick}' {new}/utt2num_samples {org}/{table} > {new}/{table}"
    together([["bash", "-c", program]])


def stock_stats(corpus: Corpus, out: Path) -> None:
    """Stage 10 of asr.sh: asr_train --collect_stats in JOBS jobs, then the sums of them."""
    train, valid, logs = (out / part for part in ("raw/train", "raw/valid", "stats/logs"))
    keys = [shares_of(d / "wav.scp", logs, d.name) for d in (train, valid)]
    python, program = sys.executable, "espnet2.bin.asr_train"
    options = ["--collect_stats", "true", "--use_preprocessor", "true", "--token_type", "char"]
    options += ["--token_list", str(corpus.tokens / "tokens.txt"), "--config", str(corpus.config)]
    for kind, folder in (("train", train), ("valid", valid)):
        for table, what in (("wav.scp", "speech,sound"), ("text", "text,text")):
            options += [f"--{kind}_data_path_and_name_and_type", f"{folder}/{table},{what}"]
    commands, folders = [], []
    for job in range(JOBS):
        folders.append(str(logs / f"stats.{job + 1}"))
        mine = ["--train_shape_file", str(keys[0][job]), "--valid_shape_file", str(keys[1][job])]
        commands.append([python, "-m", program, *options, *mine, "--output_dir", folders[-1]])
    together(commands)
    dirs = [word for folder in folders for word in ("--input_dir", folder)]
    aggregate = [python, "-m", "espnet2.bin.aggregate_stats_dirs", *dirs]
    together([[*aggregate, "--output_dir", str(out / "stats")]])


def compare(one: Path, two: Path, same_rate: bool) -> None:
    """Fail unless both kept the same utterances and samples and, if the rate stayed, found the same statistics."""
    import numpy as np

    from espnet_ext.datadir import read_table

    ours, stock = (read_table(d / "raw/train/utt2num_samples") for d in (one, two))
    if ours.keys() != stock.keys() or any(abs(int(ours[u]) - int(stock[u])) > 1 for u in ours):
        raise SystemExit("data_stages: error: the two did not keep the same audio")
    sums = [np.load(d / "stats/train/feats_stats.npz") for d in (one, two)]
    means = [s["sum"] / s["count"] for s in sums]
    apart = float(np.abs(means[0] - means[1]).max())
    if abs(int(sums[0]["count"]) - int(sums[1]["count"])) > len(ours) or (
        same_rate and apart > 0.01
    ):
        raise SystemExit(f"data_stages: error: not the same statistics, means {apart:.3g} apart")
    print(f"same audio; means of the log-mel features at most {apart:.2g} apart", flush=True)


def measure(
    case: str, speech: list[tuple[Any, str]], minutes: float, run: int
) -> dict[str, dict[str, float]]:
    """Seconds of each side's stages on one corpus; who goes first changes with `run`."""
    with tempfile.TemporaryDirectory(prefix="data_stages") as scratch:
        corpus = make_corpus(Path(scratch), speech, minutes, CASES[case])
        sides = {"ours": ours, "stock": stock}
        order = list(sides) if run % 2 == 0 else list(reversed(sides))
        found = {}
        for name in order:
            out = Path(scratch) / name
            out.mkdir()
            found[name] = sides[name](corpus, out)
        compare(Path(scratch) / "ours", Path(scratch) / "stock", CASES[case][1] == RATE)
    return found


def rows_of(case: str, runs: list[dict[str, dict[str, float]]]) -> list[str]:
    """Lines of the table: each stage and their sum, medians over runs."""
    import statistics

    def middle(side: str, stage: str) -> float:
        return statistics.median(run[side][stage] for run in runs)

    stages = list(runs[0]["ours"])
    spent = [(stage, middle("ours", stage), middle("stock", stage)) for stage in stages]
    spent.append(("**all**", sum(s[1] for s in spent), sum(s[2] for s in spent)))
    return [f"| {case} | {n} | {a:.1f} | {b:.1f} | {b / a:.1f} |" for n, a, b in spent]


def section(rows: list[str], minutes: float, argv: Sequence[str]) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    head = ["## Data stages", "", f"{minutes:g} minutes of speech, {JOBS} jobs.", ""]
    head += [
        "| corpus | stage | ours, s | stock ESPnet, s | stock / ours |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, "", *origin("data_stages", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="of speech in each corpus")
    parser.add_argument("--runs", type=int, default=1, help="of each; the median counts")
    parser.add_argument("--data", type=Path, help="a data directory to take the speech from")
    parser.add_argument("--no_results", action="store_true", help="leave RESULTS.md as it is")
    args = parser.parse_args(argv)
    from benchmarks.results import write_section

    speech, rows = pieces(args.data), []
    for case, (_, rate) in CASES.items():
        if rate != RATE and not can_resample():
            print(f"{case}: left out, for stock ESPnet needs resampy: pip install resampy")
            continue
        rows += rows_of(
            case, [measure(case, speech, args.minutes, run) for run in range(args.runs)]
        )
        print("\n".join(rows[-4:]), flush=True)
    text = section(rows, args.minutes, argv)
    if not args.no_results:
        write_section(ROOT / "benchmarks/RESULTS.md", "data_stages", text)
    print(text)
    return 0


def can_resample() -> bool:
    """Whether what stock ESPnet resamples with is there."""
    import importlib.util

    return importlib.util.find_spec("resampy") is not None


if __name__ == "__main__":
    sys.exit(main())
