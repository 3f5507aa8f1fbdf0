"""Text to waveform through the training loop: history, resuming, speech by every way in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.export.archive import unpack
from espnet_ext.export.pack import pack
from espnet_ext.inference.synthesize import synthesize_sets
from espnet_ext.inference.teacher_forced import write_teacher_forced
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.report.sources import read_history
from espnet_ext.train.config import load_yaml
from espnet_ext.train.dry import Dry, prepare_trial
from espnet_ext.train.run import train_model
from espnet_ext.train.stats import collect_stats
from espnet_ext.train.step import Step
from tests.tts.conftest import SMALL
from tests.tts.test_joint import FRONT, JUDGES, VOCOS

PITCH = {"fs": 8000, "n_fft": 256, "hop_length": 80, "f0min": 80, "f0max": 400}
JOINT: dict[str, Any] = {
    "tts": "espnet_ext.tts.joint:JointModel",
    "tts_conf": {
        "features": FRONT,
        "acoustic": SMALL,
        "generator": "vocos",
        "generator_conf": VOCOS,
        "discriminators": JUDGES,
        "losses": {"discriminator_start": 2},
        "segment_size": 12,
    },
    "feats_extract": "fbank",
    "feats_extract_conf": {**FRONT, "win_length": 256},
    "pitch_extract": "dio",
    "pitch_extract_conf": {**PITCH, "use_token_averaged_f0": False, "use_continuous_f0": False},
    "pitch_normalize": None,
    "energy_extract": "energy",
    "energy_normalize": None,
    "batch_type": "utterances",
    "batch_size": 3,
    "accum_grad": 2,
    "max_epoch": 3,
    "optim_conf": {"lr": 0.003},
    "best_model_criterion": [["valid", "wave_mel", "min"]],
    "keep_nbest_models": 3,
}
BEST = "valid.wave_mel.ave.pth"


@pytest.fixture(scope="module")
def start(tiny, tmp_path_factory):
    """Trains in a folder of its own, with changes to the YAML."""
    stats = tmp_path_factory.mktemp("stats")
    collect_stats("gan_tts", tiny.places("tts", stats, JOINT, stats_dir=None))

    def train(folder, **changes):
        train_model(
            "gan_tts", tiny.places("tts", folder, {**JOINT, **changes}, stats_dir=stats), "cpu"
        )
        return folder

    train.stats = stats
    return train


@pytest.fixture(scope="module")
def trained(start, tmp_path_factory):
    return start(tmp_path_factory.mktemp("joint"))


def history(folder, split):
    """Lines of metrics.jsonl."""
    return [line for line in read_history(folder) if line["split"] == split]


def test_all_sides_learn_and_discriminators_start_late(trained):
    lines, heard = history(trained, "train"), history(trained, "valid")
    names = {"loss", "mel", "duration", "forward_sum", "pitch", "energy", "wave_mel"}
    assert len(lines) == 3 and all(names <= set(line) for line in lines)
    # 12 utterances in batches of 3, two an update: two updates an epoch
    assert ["wave_adversarial" in line for line in lines] == [False, True, True]
    assert ["discriminator_real" in line for line in lines] == [False, True, True]
    assert [line["updates"] for line in lines] == [2, 4, 6]
    assert all(heard[-1][name] < heard[0][name] for name in ("wave_mel", "mel"))
    one, three = (torch.load(trained / f"{n}epoch.pth") for n in (1, 3))
    for part in ("generator.acoustic.", "generator.waves.", "discriminator."):
        moved = [not torch.equal(one[n], three[n]) for n in one if n.startswith(f"tts.{part}")]
        assert any(moved), part
    assert int(three["tts.batches"]) == 5  # updates before the last


@pytest.mark.parametrize("precision", ["tf32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_a_kill_changes_nothing(start, trained, tmp_path, monkeypatch, precision):
    update, seen = Step.update, []

    def ending(self, *arguments):
        seen.append(1)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return update(self, *arguments)

    more = {"checkpoint_minutes": 0.0, "precision": precision}
    expected = trained if precision == "tf32" else start(tmp_path / "whole", **more)
    with monkeypatch.context() as patch:
        patch.setattr(Step, "update", ending)
        with pytest.raises(KeyboardInterrupt):
            start(tmp_path / "killed", **more)
    start(tmp_path / "killed", **more)
    wanted = torch.load(expected / BEST, weights_only=True)
    found = torch.load(tmp_path / "killed" / BEST, weights_only=True)
    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert all(value.isfinite().all() for value in wanted.values())


def test_it_speaks_and_obeys(trained):
    speaker = Text2Speech.from_dir(trained, BEST, task="gan_tts")
    found = speaker("abca")
    assert found.rate == 8000 and found.mel.shape == (int(found.durations.sum()), 20)
    assert len(found.wave) == 80 * len(found.mel) and np.isfinite(found.wave).all()
    assert np.array_equal(found.wave, speaker("abca").wave) and speaker.has_words
    options = SynthesisOptions(speed_control_alpha=2.0, pitch_shift=3.0)
    slow = Text2Speech.from_dir(trained, BEST, task="gan_tts", options=options)("abca")
    assert len(slow.wave) == pytest.approx(2 * len(found.wave), rel=0.1)
    marked = speaker('<speak><prosody rate="50%">abca</prosody></speak>')
    assert len(marked.wave) > 1.5 * len(found.wave)


def test_sets_are_spoken_and_followed(tiny, trained, tmp_path):
    speaker = Text2Speech.from_dir(trained, BEST, task="gan_tts")
    synthesize_sets(speaker, tiny.valid.parent, ["valid"], tmp_path / "spoken", 1, 1)
    waves = sorted((tmp_path / "spoken/valid/wav").iterdir())
    assert len(waves) == 3 and all(soundfile.info(wave).samplerate == 8000 for wave in waves)
    write_teacher_forced(speaker, tiny.valid.parent, ["valid"], tmp_path / "followed", 1, 1)
    assert len((tmp_path / "followed/valid/mels.scp").read_text().splitlines()) == 3


def test_packed_it_speaks_the_same(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack("gan_tts", trained, tmp_path / "joint.zip", BEST)
    found = unpack(tmp_path / "joint.zip", tmp_path / "unpacked")
    files = found["train_config"], found["model_file"]
    again = Text2Speech(*files, task="tts")("abca")
    wanted = Text2Speech.from_dir(trained, BEST, task="gan_tts")("abca")
    assert np.array_equal(again.wave, wanted.wave)


def test_a_trial_has_the_discriminators_at_work(tiny, tmp_path):
    trial = prepare_trial("gan_tts", tiny.places("tts", tmp_path, JOINT), "cpu", Dry(1))
    model: Any = trial.step.model
    assert len(trial.step.turns) == 2 and int(model.tts.batches) == 2


@pytest.mark.slow
def test_one_process_and_two_train_the_same(tiny, start, tmp_path):
    """Batches of an update in one process after the other, or in two at once, draws and all."""
    known = {
        "updates": 0
    }  # their scale is found in the first batches, which each process has others of
    acoustic = {**SMALL, **{name: {**SMALL[name], **known} for name in ("pitch", "energy")}}
    conf = {**JOINT["tts_conf"], "acoustic": acoustic}
    for number in (1, 2):
        folder = tmp_path / str(number)
        changes = {**JOINT, "tts_conf": conf, "max_epoch": 2}
        places = tiny.places("tts", folder, changes)
        named = {"config": places.config, "train": places.train[0], "valid": places.valid[0]}
        named |= {"tokens": places.tokens, "stats_dir": start.stats, "output_dir": folder}
        words = [str(word) for name, path in named.items() for word in (f"--{name}", path)]
        command = [sys.executable, "-m", "espnet_ext.bin.gan_tts_train", "--device", "cpu"]
        done = subprocess.run(
            [*command, *words, "--nproc", str(number)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    for one, two in zip(*(history(tmp_path / n, "train") for n in "12"), strict=True):
        for name in ("loss", "wave_mel", "mel"):
            assert one[name] == pytest.approx(two[name], rel=1e-4), name
    one, two = (torch.load(tmp_path / n / "2epoch.pth") for n in "12")
    for name, tensor in one.items():
        assert torch.allclose(tensor, two[name], atol=1e-3), name


REPO = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name",
    [
        "egs2/ljspeech/tts1/conf/debug_joint.yaml",
        pytest.param("conf/tts/joint.yaml", marks=pytest.mark.slow),
    ],
)
def test_a_recipes_configuration_makes_an_update(name, tmp_path):
    from espnet_ext.bridge.tasks import TASKS
    from espnet_ext.train.run import optimisation, read_config
    from tests.recipes.test_configs import batch, prepare

    torch.manual_seed(0)
    task, config = TASKS["gan_tts"], read_config(TASKS["gan_tts"], REPO / name)
    assert load_yaml(REPO / name)["tts_conf"]["features"] == config["feats_extract_conf"]
    prepare(config, True, tmp_path)
    config["scheduler2"] = None
    model: Any = task.build(config)
    model.tts.batches.fill_(model.tts.losses.discriminator_start)
    optimisers, turns = optimisation(task, model, config)
    for extra, which in turns:
        loss = model(**batch("tts"), **extra)["loss"]
        optimisers[which].backward(loss)
        assert torch.isfinite(loss) and optimisers[which].update() > 0
