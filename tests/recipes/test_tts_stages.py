"""What the scoring of a synthesiser's recipe is given."""

from __future__ import annotations

from tests.recipes.checkout import Checkout


def test_recordings_stand_beside_what_is_spoken(checkout: Checkout):
    more = ["--vocoder", "../voc1/exp/voc_x", "--score_opts", "--dnsmos installed"]
    for options in ([], more):
        said = checkout.run("--recipe", "ljspeech/tts1", *options, "--dry_run")
        score = said[said.index("bin.score_tts") :].split("run_stage")[0]
        assert "--model_dir exp/tts_" in score and "dump/raw" in score
        assert ("--vocoder ../voc1/exp/voc_x" in score) == bool(options)
        assert ("--dnsmos installed" in score) == bool(options)
