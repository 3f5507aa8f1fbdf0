"""What a recipe decoded with, read off the name of its decoding."""

import os

import pytest

from espnet_ext.report.round_trip import Decoding, recipe_decoding
from espnet_ext.report.sources import Experiment


@pytest.mark.parametrize("ngram", ["", "_ngram"])
@pytest.mark.parametrize("lm", ["", "_lm"])
def test_the_round_trip_decodes_as_the_recipe_did(tmp_path, ngram, lm):
    files = ["conf/decode_asr.yaml", "exp/lm_a/config.yaml", "exp/ngram_4_a/ngram.npz"]
    files += ["exp/ngram_6_a/ngram.npz", "exp/ngram_6_a/perplexity.json"]
    for age, name in enumerate(files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age + 1, age + 1))
    model = tmp_path / "exp/asr_a"
    found = recipe_decoding(Experiment(tmp_path, model, model / f"decode_asr{ngram}{lm}"))
    assert found == Decoding(
        tmp_path / "conf/decode_asr.yaml",
        tmp_path / "exp/lm_a" if lm else None,
        tmp_path / "exp/ngram_6_a/ngram.npz" if ngram else None,
    )
