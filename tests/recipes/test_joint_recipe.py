"""A recipe's stages with the model that makes the waveform itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recipes.checkout import Checkout
from tests.recipes.test_recipes import TINY, run_all_stages

JOINT = ("--tts_config", "conf/debug_joint.yaml", "--inference_model", "valid.wave_mel.best.pth")


@pytest.mark.slow
def test_ljspeech_runs_with_joint_training(new_checkout: Callable[[], Checkout], tmp_path: Path):
    name = "ljspeech/tts1"
    mine = new_checkout()
    run_all_stages(name, [*TINY[name], *JOINT], mine, tmp_path)
    (model,) = mine.recipe(name).glob("exp/tts_debug_joint_*")
    assert (model / "valid.wave_mel.best.pth").is_file()
