"""Six noisy microphones: what beamforming, and a front end trained with the recogniser, do for the word error rate.

AN4 is spoken to CHiME-4's tablet in simulated rooms with real noise at 0 to 10 dB (simulate_rooms); training and test
share no speaker, and no part of a noise recording. Compared on the test speakers, with one language model and search:

1. clean: the recogniser of an4/asr1, which has heard no noise, on one channel;
2. one: that recogniser trained on with clean speech and single noisy channels, on one channel (the fifth);
3. beamformed: the same weights, on the channel that the blind MVDR beamformer makes of six;
4. retrained: those weights trained on with beamformed sound, as long as 5 (--control);
5. joint: those weights trained on together with masks and MVDR of BeamformingFrontend.

Needs a trained egs2/an4/asr1. Everything is kept in --work and goes on where it was stopped. Writes a section of
RESULTS.md and prints it; the exit status is 1 if beamforming (3) lowers the word error rate of one channel (2) by less
than a quarter, or the joint front end (5) not by more than beamforming.

Usage: python benchmarks/multichannel.py --noise DIR [--an4 DIR] [--work exp/multichannel] [--epochs 3] [--control]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

RECIPE = ROOT / "egs2/an4/asr1"
#: The beamformed error rate may be so much of the single channel's; the joint one must be under the beamformed one.
MOST = 0.75
#: The microphone, from 0, that stands for one channel: in the middle of the lower edge.
ONE = 4
#: Of the training set, as in the recipe.
SPEEDS = "0.9 1.0 1.1"
#: Of clean speech, which is learnt beside the noisy one: what a beamformer lets through lies between the two.
CLEAN_SPEEDS = "0.95 1.05"
#: Parts of each noise recording.
TRAIN_NOISE, TEST_NOISE = "0,0.6", "0.6,1"
FRONTEND = "espnet_ext.asr.multichannel.frontend:BeamformingFrontend"
ONE_CHANNEL = "espnet_ext.asr.multichannel.channels:OneChannel"
JOINT = "{n_fft: 400, win_length: 400, hop_length: 160, mask_channels: 1}"


class Bench:
    """Steps that leave files in a directory, each done once.

    Args:
        work: the directory.
        start: a trained an4/asr1: holds data/token_list and exp.
        settings: what the files depend on; with others they are another directory's.

    Raises:
        SystemExit: if `start` is not trained, or the directory is for other settings.
    """

    def __init__(self, work: Path, start: Path, settings: dict[str, Any]) -> None:
        self.work, self.start = work, start
        self.clean_model = self.only("exp/asr_train_asr_*/valid.acc.ave.pth")
        self.lm = self.only("exp/lm_train_lm_*/valid.loss.ave.pth")
        self.tokens = self.only("data/token_list/*/tokens.txt")
        note, wanted = work / "settings.json", json.dumps(settings)
        if note.exists() and (found := note.read_text().strip()) != wanted:
            raise SystemExit(f"multichannel: error: {work}: found {found}, expected {wanted}")
        note.write_text(wanted + "\n")

    def only(self, pattern: str) -> Path:
        """The folder of the one such file of a trained an4/asr1."""
        found = sorted(self.start.glob(pattern))
        if len(found) != 1:
            raise SystemExit(
                f"multichannel: error: {self.start}: found {len(found)} of {pattern}, expected 1: run "
                "egs2/an4/asr1/run.sh, or name a trained one by --start"
            )
        return found[0].parent

    def call(self, command: str, *arguments: object) -> None:
        """Run a command of espnet_ext, in this process: starting one takes longer than some of them do."""
        from espnet_ext.bin.command import call

        words = [str(argument) for argument in arguments]
        print("+", command, *words, flush=True)
        if call(importlib.import_module(f"espnet_ext.bin.{command}").main, words):
            raise SystemExit(f"multichannel: error: {command} failed")

    def prepare(self, an4: str, noise: str, seeds: int) -> list[str]:
        """Data of six channels; returns the names of the test sets, one a seed."""
        if not (self.work / "clean/test/utt2spk").is_file():
            self.call("prepare_corpus", "an4", an4, "clean")
        tests = ["test", *(f"test_{seed}" for seed in range(1, seeds))]
        for name in ("dev", "train", *tests):
            base, _, seed = name.partition("_")
            stretch = TRAIN_NOISE if base == "train" else TEST_NOISE
            options = ("--noise", noise, "--stretch", stretch, "--seed", seed or 0)
            self.call("simulate_rooms", *options, f"clean/{base}", f"noisy/{name}")
        self.call("format_audio", "--ref_channels", ONE, "noisy", "one", *tests)
        self.call("speed_perturb", "--factors", SPEEDS, "noisy/train", "speeds/train")
        self.call("format_audio", "speeds", "many", "train")
        self.call("speed_perturb", "--factors", CLEAN_SPEEDS, "clean/train", "clean_speeds/train")
        self.call("format_audio", "clean_speeds", "spoken", "train")
        self.call("combine_data", "many/mixed", "many/train", "spoken/train")
        self.call("format_audio", "noisy", "many", "dev")
        return tests

    def beamform(self, data: str, names: Sequence[str]) -> None:
        """One channel of six, by the blind beamformer."""
        for name in names:
            self.call("beamform", f"{data}/{name}", f"beamformed/{name}")

    def train(self, name: str, data: str, epochs: int, *changes: str) -> Path:
        """Go on from other weights with egs2/an4/asr1's configuration; beside the training set lies its dev."""
        out = self.work / "exp" / name
        values = [f"max_epoch={epochs}", "specaug_conf.begin=0", "model_conf.ctc_weight=0.4"]
        values += ["checkpoint_minutes=2", *changes]
        places = ("--train", data, "--valid", f"{Path(data).parent}/dev", "--tokens", self.tokens)
        config = RECIPE / "conf/train_asr.yaml"
        self.call("asr_train", "--config", config, *places, "--output_dir", out, "--set", *values)
        return out

    def score(self, model: Path, data: str, tests: Sequence[str]) -> dict[str, Any]:
        """Words and errors over all test sets together."""
        out = self.work / "exp" / "decoded" / f"{model.name}-{data}"
        if not (out / "scores.json").is_file():
            options = ("--config", RECIPE / "conf/decode_asr.yaml", "--lm_dir", self.lm)
            self.call(
                "asr_decode", *options, "--model_dir", model, "--output_dir", out, data, *tests
            )
            self.call("score_asr", "--hyp", out, "--ref", data, "--no_sclite", *tests)
        sets = json.loads((out / "scores.json").read_text())["sets"].values()
        names = ("words", "substitutions", "deletions", "insertions")
        found = {name: sum(s["wer"][name] for s in sets) for name in names}
        found["wer"] = 100 * sum(found[name] for name in names[1:]) / found["words"]
        return found

    def masks(self, noise: str) -> Path:
        """Masks that have learnt from simulated scenes."""
        out = self.work / "exp/masks.pth"
        if not out.is_file():
            config = self.work / "joint.yaml"
            config.write_text(f"frontend: {FRONTEND}\nfrontend_conf: {JOINT}\n")
            options = ("--config", config, "--noise", noise, "--stretch", TRAIN_NOISE)
            self.call(
                "train_masks", *options, "--scenes", 300, "--updates", 400, "clean/train", out
            )
        return out


def gains(bench: Bench, noise: str, model: Path, number: int = 24) -> dict[str, float]:
    """Mean scale-invariant signal-to-distortion ratio in dB of test scenes, by who heard or made them."""
    import numpy as np
    import torch

    from espnet_ext.audio.augment import seed_of
    from espnet_ext.audio.beamform import beamform
    from espnet_ext.audio.read import read
    from espnet_ext.audio.scenes import Noises, Surroundings, simulate
    from espnet_ext.bridge.load import load_model
    from espnet_ext.datadir import read_table

    low, high = map(float, TEST_NOISE.split(","))
    options = Surroundings(stretch=(low, high))
    noises = Noises(noise, 16000, options.stretch)
    trained, _ = load_model("asr", model / "config.yaml", model / "valid.acc.ave.pth", "cpu")
    entries = list(read_table(bench.work / "clean/test/wav.scp").items())
    rows = []
    for utt, entry in entries[:: max(1, len(entries) // number)]:
        samples, rate = read(entry, utt)
        scene = simulate(samples[:, 0], rate, noises, options, seed_of(options.seed, utt))
        mixture = scene.mixture()
        given = torch.from_numpy(mixture)[None]
        with torch.no_grad():
            joint = trained.frontend.beamformed(given, torch.tensor([len(mixture)]))[0].numpy()
        made = {"one channel": mixture[:, ONE], "beamformed": beamform(mixture.T), "joint": joint}
        rows.append({name: best_ratio(sound, scene.speech) for name, sound in made.items()})
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def best_ratio(sound: Any, speech: Any) -> float:
    """Signal-to-distortion ratio in dB of (N,) against the speech at whichever microphone fits best, (N, C)."""
    import numpy as np

    found = []
    for reference in speech.T.astype(np.float64):
        part = reference * (sound @ reference) / (reference @ reference)
        found.append(10 * np.log10((part @ part) / np.square(sound - part).sum()))
    return float(max(found))


def section(scores: dict[str, dict[str, Any]], decibels: dict[str, float], argv: list[str]) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    base = scores["one"]["wer"]
    rows = []
    for name, found in scores.items():
        errors = " + ".join(str(found[n]) for n in ("substitutions", "deletions", "insertions"))
        rows.append(
            f"| {name} | {found['wer']:.1f} | {100 * (found['wer'] / base - 1):+.0f} % | {errors} |"
        )
    heard = ", ".join(f"{name} {value:.1f}" for name, value in decibels.items())
    lines = [
        "## Six noisy microphones",
        "",
        "AN4 in simulated rooms, real noise at 0 to 10 dB, CHiME-4's tablet; "
        f"{scores['one']['words']} words of held-out speakers in held-out noise. "
        f"Signal-to-distortion ratio in dB: {heard}.",
        "",
        "| input | WER % | against one channel | substitutions + deletions + insertions |",
        "|---|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join([*lines, *origin("multichannel", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--noise", required=True, help="folder of noise recordings")
    add("--an4", default="downloads", help="the corpus")
    add("--work", type=Path, default=ROOT / "exp/multichannel", help="keeps what is made")
    add("--start", type=Path, default=RECIPE, help="a trained an4/asr1")
    add("--epochs", type=int, default=3, help="of each training; twice as many for one channel")
    add("--seeds", type=int, default=2, help="scenes of each test utterance")
    add("--control", action="store_true", help="also train on with beamformed sound")
    args = parser.parse_args(argv)
    args.work.mkdir(parents=True, exist_ok=True)
    noise, an4 = (os.path.abspath(path) for path in (args.noise, args.an4))
    settings = {"start": str(args.start.resolve()), "epochs": args.epochs, "seeds": args.seeds}
    bench = Bench(args.work.resolve(), args.start.resolve(), settings)
    os.chdir(bench.work)
    tests = bench.prepare(an4, noise, args.seeds)
    begin = f"init_param=[{bench.clean_model}/valid.acc.ave.pth]"
    heard = (f"preprocessor={ONE_CHANNEL}", "optim_conf.lr=0.0005")
    single = bench.train("one", "many/mixed", 2 * args.epochs, begin, *heard)
    weights, rate = f"{single}/valid.acc.ave.pth", "optim_conf.lr=0.0003"
    begin = f"init_param=[{weights},{bench.masks(noise)}]"
    front = (f"frontend={FRONTEND}", f"frontend_conf={JOINT}")
    joint = bench.train("joint", "many/train", args.epochs, begin, rate, *front)
    bench.beamform("noisy", tests)
    scores = {
        "clean": bench.score(bench.clean_model, "one", tests),
        "one": bench.score(single, "one", tests),
        "beamformed": bench.score(single, "beamformed", tests),
    }
    if args.control:
        bench.beamform("many", ["train", "dev"])
        begin = f"init_param=[{weights}]"
        model = bench.train("retrained", "beamformed/train", args.epochs, begin, rate)
        scores["retrained"] = bench.score(model, "beamformed", tests)
    scores["joint"] = bench.score(joint, "noisy", tests)
    return report(scores, gains(bench, noise, joint), argv)


def report(scores: dict[str, dict[str, Any]], decibels: dict[str, float], argv: list[str]) -> int:
    """Write and print the section; returns the exit status."""
    from benchmarks.results import write_section

    text = section(scores, decibels, argv)
    write_section(ROOT / "benchmarks/RESULTS.md", "multichannel", text)
    print(text)
    one, joint = scores["one"]["wer"], scores["joint"]["wer"]
    made = scores["beamformed"]["wer"]
    return 0 if made <= MOST * one and joint < made else 1


if __name__ == "__main__":
    sys.exit(main())
