"""A vocoder's optional stages: the acoustic model's spectrograms, and what a recogniser hears."""

from __future__ import annotations

import re
import shlex

from tests.recipes.checkout import Checkout


def test_they_are_there_when_asked_for(checkout: Checkout):
    plain = checkout.run("--recipe", "ljspeech/voc1", "--dry_run")
    assert "teacher_forced" not in plain and "round_trip" not in plain
    asked = ["--acoustic", "../tts1/exp/tts_x", "--asr", "../asr1", "--asr_opts", "--fs 8000"]
    said = checkout.run("--recipe", "ljspeech/voc1", *asked, "--dry_run")
    assert "tts_synthesize --teacher_forced" in said and "../tts1/dump/raw train dev" in said
    train = next(line for line in said.splitlines() if "bin.vocoder_train" in line)
    assert "--set mels=exp/teacher_forced/tts_x/valid.loss.ave" in train
    hear = next(line for line in said.splitlines() if "bin.round_trip" in line)
    assert "--voc .:voc_train_hifigan:copy_synthesis" in hear and "--set dev" in hear
    assert "--fs 8000" in hear and "--recordings" in hear


def dry(checkout: Checkout, *options: str) -> str:
    """What a dry run of ljspeech/voc1 says."""
    return checkout.run("--recipe", "ljspeech/voc1", "--dry_run", *options)


def test_spectrograms_are_made_before_the_vocoder_and_not_forced_after_it(checkout: Checkout):
    """Past bug: its number, 23, dropped the stage before stage 4 and forced it from stage 5 on."""
    asked = ("--acoustic", "../tts1/exp/tts_x")
    names = re.findall(r"^== stage \d+ (\w+)", dry(checkout, *asked, "--stop_stage", "4"), re.M)
    assert names == ["data", "format", "voc_stats", "teacher_forced", "voc_train"]
    later = re.findall(r"^== stage \d+ (\w+)", dry(checkout, *asked, "--stage", "5"), re.M)
    assert later == ["voc_copy", "voc_score", "pack"]


def test_each_acoustic_model_has_a_folder_for_its_spectrograms(checkout: Checkout):
    """Past bug: another model's were taken where their stage was left out."""
    folders = []
    for acoustic, model in (
        ("tts_x", "1epoch.pth"),
        ("tts_y/", "1epoch.pth"),
        ("tts_y", "2epoch.pth"),
    ):
        said = dry(checkout, "--acoustic", f"../tts1/exp/{acoustic}", "--acoustic_model", model)
        words = shlex.split(next(line for line in said.splitlines() if "--teacher_forced" in line))
        folders.append(words[words.index("--output_dir") + 1])
        assert f"--set mels={folders[-1]}\n" in said
    assert folders == [
        f"exp/teacher_forced/{name}" for name in ("tts_x/1epoch", "tts_y/1epoch", "tts_y/2epoch")
    ]
