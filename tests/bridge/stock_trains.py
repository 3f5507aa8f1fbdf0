"""Runs in one process with stock ESPnet imported: stock trains, packs, unpacks and infers.

Usage: python stock_trains.py WORK
WORK/asked.json says with what; WORK/stock/* is what stock leaves, WORK/answers.pt what it says.
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text
from espnet2.bin.pack import main as pack
from espnet2.bin.tts_inference import Text2Speech
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.lm import LMTask
from espnet2.tasks.tts import TTSTask
from espnet_model_zoo.downloader import ModelDownloader

import espnet_ext  # noqa: F401  dotted paths work in stock's parsers

TASKS = {"asr": ASRTask, "lm": LMTask, "tts": TTSTask}
INPUTS = {
    "asr": {"speech": ("wav.scp", "sound"), "text": ("text", "text")},
    "lm": {"text": ("text", "text")},
    "tts": {"text": ("text", "text"), "speech": ("wav.scp", "sound")},
}
#: option's prefix -> the features whose mean and variance it wants
NORMALISED = {
    "asr": {"": "feats"},
    "lm": {},
    "tts": {"": "feats", "pitch_": "pitch", "energy_": "energy"},
}


def command(asked: dict, kind: str, conf: Path) -> list[str]:
    """What stock's template script passes to both passes over the data."""
    conf.write_text(yaml.safe_dump(asked["config"][kind]))
    words = ["--config", str(conf), "--ngpu", "0", "--num_workers", "0", "--num_att_plot", "0"]
    words += ["--use_tensorboard", "false", "--use_matplotlib", "false", "--max_epoch", "1"]
    words += ["--batch_type", "sorted", "--batch_size", "4"]
    for part in ("train", "valid"):
        for name, (table, form) in INPUTS[kind].items():
            given = f"{asked[part]}/{table},{name},{form}"
            words += [f"--{part}_data_path_and_name_and_type", given]
    return words


def relative(path: Path) -> Path:
    """As recipes name files: from their own directory, so that an unpacked model finds them in its folder."""
    return path.relative_to(Path.cwd())


def train(asked: dict, kind: str, stock: Path) -> list[str]:
    """Statistics, then one epoch, through stock's own entry point -> config.yaml and weights."""
    folder, stats = stock / kind, stock / f"{kind}_stats"
    shared = command(asked, kind, stock / f"{kind}.yaml")
    ids = [w for p in ("train", "valid") for w in (f"--{p}_shape_file", f"{asked[p]}/text")]
    raw = [word for name in NORMALISED[kind] for word in (f"--{name}normalize", "none")]
    measured = [*shared, *raw, *ids, "--collect_stats", "true", "--output_dir", str(stats)]
    TASKS[kind].main(cmd=measured)
    shapes = []
    for part in ("train", "valid"):
        for name in INPUTS[kind]:
            shapes += [f"--{part}_shape_file", f"{stats}/{part}/{name}_shape"]
    for name, features in NORMALISED[kind].items():
        shapes += [f"--{name}normalize", "global_mvn"]
        shapes += [
            f"--{name}normalize_conf",
            f"stats_file={relative(stats)}/train/{features}_stats.npz",
        ]
    TASKS[kind].main(cmd=[*shared, *shapes, "--output_dir", str(folder)])
    return [str(folder / "config.yaml"), str(folder / "valid.loss.ave.pth")]


def recognise(files: dict[str, str], waves: list) -> list:
    engine = Speech2Text(**files, beam_size=3, ctc_weight=0.4, lm_weight=0.3, nbest=2)
    return [[(t, list(k), float(h.score)) for t, k, _, h in engine(wave)] for wave in waves]


def speak(files: dict[str, str], texts: list) -> list:
    engine = Text2Speech(**files, always_fix_seed=True, seed=777)
    return [engine(text)["feat_gen"] for text in texts]


def main(work: Path) -> None:
    asked = json.loads((work / "asked.json").read_text())
    stock = work / "stock"
    stock.mkdir()
    asr, lm, tts = (train(asked, kind, stock) for kind in ("asr", "lm", "tts"))
    logging.getLogger().setLevel(logging.ERROR)
    names = ("asr_train_config", "asr_model_file", "lm_train_config", "lm_file")
    asr_files = dict(zip(names, [*asr, *lm], strict=True))
    tts_files = dict(zip(("train_config", "model_file"), tts, strict=True))
    for task, files in (("asr", asr_files), ("tts", tts_files)):
        flags = [word for key, value in files.items() for word in (f"--{key}", value)]
        more = [relative(p) for p in (stock / f"{task}_stats/train").glob("*_stats.npz")]
        models = {asked["config"][kind].get("bpemodel") for kind in (task, "lm")} - {None}
        more += sorted(models)  # as stock's templates do
        flags += [word for path in more for word in ("--option", str(path))]
        pack([task, *flags, "--outpath", str(work / f"stock_{task}.zip")])
    zoo = ModelDownloader(str(work / "zoo"))
    ours = {task: zoo.unpack_local_file(asked["zips"][task]) for task in asked["zips"]}
    waves = list(np.load(work / "waves.npz").values())
    answers = {
        "stock_asr": recognise(asr_files, waves),
        "ours_asr": recognise(ours["asr"], waves),
        "stock_tts": speak(tts_files, asked["texts"]),
        "ours_tts": speak(ours["tts"], asked["texts"]),
    }
    torch.save(answers, work / "answers.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
