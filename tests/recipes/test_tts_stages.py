"""What the scoring of a synthesiser's recipe is given."""

from __future__ import annotations

import re

from tests.recipes.checkout import Checkout


def test_recordings_stand_beside_what_is_spoken(checkout: Checkout):
    more = ["--vocoder", "../voc1/exp/voc_x", "--score_opts", "--dnsmos installed"]
    for options in ([], more):
        said = checkout.run("--recipe", "ljspeech/tts1", *options, "--dry_run")
        score = said[said.index("bin.score_tts") :].split("run_stage")[0]
        assert "--model_dir exp/tts_" in score and "dump/raw" in score
        assert ("--vocoder ../voc1/exp/voc_x" in score) == bool(options)
        assert ("--dnsmos installed" in score) == bool(options)


def test_voices_are_embedded_before_utterances_are_left_out(checkout: Checkout):
    """Past bug: stage 25 stands before stage 4, and --stop_stage 5 dropped it."""

    def stages(*options: str) -> list[str]:
        said = checkout.run(
            "--recipe", "ljspeech/tts1", "--use_spembs", "true", "--dry_run", *options
        )
        return re.findall(r"^== stage \d+ (\w+)", said, re.M)

    assert stages("--stop_stage", "5") == ["data", "format", "speaker_vectors", "filter", "tokens"]
    both = stages("--stage", "speaker_vectors", "--stop_stage", "filter")
    assert both == ["speaker_vectors", "filter"]


def test_statistics_are_made_as_training_is_told(checkout: Checkout):
    """By what they depend on alone: another number of epochs is no reason to make them anew."""
    told = "--set max_epoch=5 pitch_extract_conf.f0min=60 tts_conf.width=16 feats_extract=fbank"
    plain, changed = (command(checkout, "collect_stats", args) for args in ("--anew", told))
    kept = changed.removeprefix(plain.rstrip()).split()
    assert kept == ["--set", "pitch_extract_conf.f0min=60", "feats_extract=fbank"]
    assert told in command(checkout, "gan_tts_train", told)


def command(checkout: Checkout, name: str, tts_args: str) -> str:
    """What a dry run says that is called."""
    said = checkout.run("--recipe", "ljspeech/tts1", "--tts_args", tts_args, "--dry_run")
    return next(line for line in said.splitlines() if f"espnet_ext.bin.{name}" in line)
