"""A vocoder's optional stages: the acoustic model's spectrograms, and what a recogniser hears."""

from __future__ import annotations

from tests.recipes.checkout import Checkout


def test_they_are_there_when_asked_for(checkout: Checkout):
    plain = checkout.run("--recipe", "ljspeech/voc1", "--dry_run")
    assert "teacher_forced" not in plain and "round_trip" not in plain
    asked = ["--acoustic", "../tts1/exp/tts_x", "--asr", "../asr1", "--asr_opts", "--fs 8000"]
    said = checkout.run("--recipe", "ljspeech/voc1", *asked, "--dry_run")
    assert "tts_synthesize --teacher_forced" in said and "../tts1/dump/raw train dev" in said
    train = next(line for line in said.splitlines() if "bin.vocoder_train" in line)
    assert "--set mels=exp/teacher_forced" in train
    hear = next(line for line in said.splitlines() if "bin.round_trip" in line)
    assert "--voc .:voc_train_hifigan:copy_synthesis" in hear and "--set dev" in hear
    assert "--fs 8000" in hear and "--recordings" in hear
