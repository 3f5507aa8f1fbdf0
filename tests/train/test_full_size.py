"""The full configuration of every recipe: one update at the model's full size, on a batch cut down for a CPU."""

from pathlib import Path

import pytest

from espnet_ext.train.dry import Dry, dry_run
from espnet_ext.train.run import Places

EGS = Path(__file__).resolve().parents[2] / "egs2"
KINDS = {"train_asr": "asr", "train_lm": "lm", "train_vits": "gan_tts", "train_tts": "tts"}
CONFIGS = sorted(c for c in EGS.glob("*/*/conf/train_*.yaml") if c.stem in KINDS)
NOWHERE = Path("no-such-directory")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: "-".join((*c.parts[-4:-2], c.stem)))
def test_one_update(config: Path):
    smaller = ["batch_type=utterances", "batch_size=2"]
    places = Places(config, (), (), NOWHERE, NOWHERE, overrides=smaller)
    lines = list(dry_run(KINDS[config.stem], places, "cpu", Dry(seconds=6.0, vocabulary=300)))
    assert "M parameters" in lines[0] and "s for an update" in lines[2]
