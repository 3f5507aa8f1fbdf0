"""The full configuration of every recipe: one update at the model's full size, on a batch cut down for a CPU."""

from pathlib import Path

import pytest

from espnet_ext.train.dry import Dry, dry_run
from espnet_ext.train.run import Places

EGS = Path(__file__).resolve().parents[2] / "egs2"
KINDS = {
    "train_asr": "asr",
    "train_asr_6ch": "asr",
    "train_lm": "lm",
    "train_vits": "gan_tts",
    "train_tts": "tts",
}
CONFIGS = sorted(c for c in EGS.glob("*/*/conf/train_*.yaml") if c.stem in KINDS)
NOWHERE = Path("no-such-directory")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: "-".join((*c.parts[-4:-2], c.stem)))
def test_one_update(config: Path):
    # weights to begin with are made by a stage before
    smaller = ["batch_type=utterances", "batch_size=2", "init_param=[]"]
    channels = 6 if "multichannel" in config.read_text() else 1
    places = Places(config, (), (), NOWHERE, NOWHERE, overrides=smaller)
    dry = Dry(seconds=6.0, vocabulary=300, channels=channels)
    lines = list(dry_run(KINDS[config.stem], places, "cpu", dry))
    assert "M parameters" in lines[0] and "s for an update" in lines[2]
