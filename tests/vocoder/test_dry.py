"""Trying a vocoder's configuration without training it; every recipe's at full size."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from espnet_ext.audio.features import features_of_model
from espnet_ext.bin import vocoder_train
from espnet_ext.train.config import load_yaml
from espnet_ext.train.vocoder import dry_vocoder
from espnet_ext.vocoder.build import DEFAULTS
from tests.vocoder.test_training import VOCODER

EGS = Path(__file__).resolve().parents[2] / "egs2"
CONFIGS = sorted(c for c in EGS.glob("*/voc1/conf/**/*.yaml"))
FULL = [c for c in CONFIGS if not c.stem.startswith("debug") and "finetune" not in c.stem]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "wanted.yaml"
    late = {"model_conf": {"discriminator_start": 1000}}
    path.write_text(yaml.safe_dump({**VOCODER, **late}))
    return path


def test_without_data(config, tmp_path):
    """Made-up batches of the YAML's size, with the discriminators that come in late; nothing is written."""
    before = sorted(tmp_path.rglob("*"))
    lines = list(dry_vocoder({"config": config}, "cpu", 2))
    assert "generator" in lines[0] and "discriminator" in lines[0]
    assert "made-up stretches, 6 in a batch, 0.7 s of audio" in lines[1]
    assert "with the discriminators" in lines[2] and sorted(tmp_path.rglob("*")) == before
    lines = list(dry_vocoder({"config": config}, "cpu", 1, seconds=0.25))
    assert "2 in a batch, 0.2 s" in lines[1]


def test_with_data_the_time_is_estimated(config, tiny, capsys):
    given = ["--config", str(config), "--train", str(tiny.train), "--device", "cpu"]
    assert vocoder_train.main([*given, "--dry_steps", "1"]) == 0
    said = capsys.readouterr().out
    assert "real stretches, 6 in a batch" in said and "h for 3 epochs of 2 batches" in said
    with pytest.raises(SystemExit) as stopped:
        vocoder_train.main(given)
    assert stopped.value.code == 2
    assert "are required: --valid, --output_dir" in capsys.readouterr().err


def test_every_rate_has_a_configuration():
    """22.05, 24 and 44.1 kHz; a hop is what the upsampling makes of a frame, the bands end below half the rate."""
    from espnet_ext.vocoder.build import generator

    rates = set()
    for path in CONFIGS:
        config = {**DEFAULTS, **load_yaml(path)}
        front = features_of_model(config)
        assert (front.fmax or 0) <= front.fs / 2, path
        rates.add(front.fs)
        if path.stem.startswith("debug") or front.fs != 22050:
            made = generator(config)
            assert made.hop_length == front.hop_length, path
    assert {16000, 22050, 24000, 44100} <= rates


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", FULL, ids=lambda c: f"{c.relative_to(EGS).parts[0]}-{c.stem}")
def test_one_update_at_full_size(path: Path):
    """Of every recipe, on one short stretch; the segments are long enough for the window."""
    config = load_yaml(path)
    front = features_of_model({**DEFAULTS, **config})
    frames = front.n_fft // 2 // front.hop_length + 1
    frames = min(config["segment_frames"], max(frames, 2048 // front.hop_length + 1))
    shorter = [f"segment_frames={frames}", "batch_type=utterances", "batch_size=1", "init_param=[]"]
    places = {"config": path, "overrides": shorter}
    lines = list(dry_vocoder(places, "cpu", 1))
    assert "M parameters" in lines[0] and "s for an update" in lines[2]
