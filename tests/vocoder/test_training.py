"""A tiny vocoder through the training loop: both sides learn, late starters start late, a kill changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.errors import UserError
from espnet_ext.inference.text2speech import Text2Speech
from espnet_ext.inference.vocoder import Vocoder
from espnet_ext.report.sources import read_history
from espnet_ext.train.experiment import Places
from espnet_ext.train.run import train_model
from espnet_ext.train.step import Step
from espnet_ext.train.vocoder import vocoder_stats

FRONT = {"fs": 8000, "n_fft": 256, "hop_length": 80, "n_mels": 20, "fmin": 60, "fmax": 3800}
VOCODER = {
    "feats_extract_conf": FRONT,
    "generator": "vocos",
    "generator_conf": {"n_fft": 320, "width": 16, "inner": 32, "blocks": 1},
    "discriminators": {
        "mpd": {"periods": [2, 3], "channels": 2, "largest": 8},
        "mrd": {"channels": 2, "resolutions": [[128, 32]]},
    },
    "segment_frames": 12,
    "batch_type": "utterances",
    "batch_size": 6,
    "keep_nbest_models": 3,
    "max_epoch": 3,
    "num_workers": 0,
    "optim_conf": {"lr": 0.002},
    "best_model_criterion": [["valid", "mel", "min"]],
}


WAVENET = {
    "layers": 4,
    "stacks": 1,
    "residual_channels": 8,
    "gate_channels": 8,
    "skip_channels": 8,
    "upsample_scales": [8, 10],
    "mixtures": 2,
}


@pytest.fixture(scope="module")
def start(tiny, tmp_path_factory):
    """Trains in a folder of its own, with changes to the YAML; `killed` at an update."""
    stats = tmp_path_factory.mktemp("stats")

    def write(folder, changes):
        folder.mkdir(exist_ok=True)
        (folder / "wanted.yaml").write_text(yaml.safe_dump({**VOCODER, **changes}))
        return folder / "wanted.yaml"

    vocoder_stats(write(stats, {}), tiny.train, stats)

    def train(folder, **changes):
        data = [tiny.train], [tiny.valid], None
        train_model("vocoder", Places(write(folder, changes), *data, folder, stats), "cpu")
        return folder

    return train


@pytest.fixture(scope="module")
def trained(start, tmp_path_factory):
    return start(tmp_path_factory.mktemp("vocoder"))


def history(folder, split):
    """Lines of metrics.jsonl."""
    return [line for line in read_history(folder) if line["split"] == split]


def test_both_sides_learn(trained):
    lines = history(trained, "train")
    names = {"loss", "mel", "feature", "adversarial", "discriminator_real", "discriminator_fake"}
    assert len(lines) == 3 and all(names <= set(line) for line in lines)
    heard = [line["mel"] for line in history(trained, "valid")]  # the same stretches each time
    assert heard[-1] < heard[0]
    one, three = (torch.load(trained / f"{n}epoch.pth") for n in (1, 3))
    for part in ("generator.", "discriminator."):
        assert any(not torch.equal(one[n], three[n]) for n in one if n.startswith(part))


def test_it_speaks_and_its_statistics_come_along(trained, tiny):
    vocoder = Vocoder.from_dir(trained)
    assert vocoder.model.discriminator is None
    mel = torch.randn(30, 20)
    wave = vocoder(mel)
    assert wave.shape == (30 * 80,) and torch.isfinite(wave).all()
    assert torch.equal(wave, vocoder(mel))
    config = yaml.safe_load((trained / "config.yaml").read_text())
    with np.load(config["normalize_conf"]["stats_file"]) as stats:
        assert np.allclose(vocoder.model.mean, stats["sum"] / stats["count"], atol=1e-4)


def test_discriminators_come_in_late(start, tmp_path):
    folder = start(tmp_path / "late", model_conf={"discriminator_start": 4}, max_epoch=4)
    # two batches an epoch
    assert ["adversarial" in line for line in history(folder, "train")] == [
        False,
        False,
        True,
        True,
    ]


def test_a_generator_that_reads_pitch_learns_it(start, tmp_path):
    conf = {"n_fft": 320, "width": 16, "inner": 32, "blocks": 1, "pitch_width": 16}
    losses = {"stft": 15.0, "resolutions": [[128, 32, 128], [256, 64, 256]]}
    more = {"discriminators": {}, "model_conf": losses, "max_epoch": 5}
    folder = start(tmp_path / "pitch", generator="harmonic", generator_conf=conf, **more)
    lines = history(folder, "valid")
    for name in ("f0", "stft", "loss"):
        assert lines[-1][name] < lines[0][name]
    assert "adversarial" not in lines[-1]
    wave = Vocoder.from_dir(folder)(torch.randn(30, 20))
    assert wave.shape == (30 * 80,) and torch.isfinite(wave).all()


@pytest.mark.parametrize(
    ("generator", "conf"),
    [
        ("wavenet", WAVENET),
        ("waveglow", {"group": 4, "flows": 3, "layers": 2, "channels": 8}),
    ],
)
def test_a_generator_with_a_likelihood_learns_by_it(start, tmp_path, generator, conf):
    """Without discriminators; what is best is told by the likelihood, and found by its name."""
    more = {"best_model_criterion": [["valid", "nll", "min"]], "max_epoch": 4}
    more["discriminators"] = {}
    folder = start(tmp_path / generator, generator=generator, generator_conf=conf, **more)
    lines = history(folder, "valid")
    assert lines[-1]["nll"] < lines[0]["nll"] and "adversarial" not in lines[-1]
    wave = Vocoder.from_dir(folder)(torch.randn(3, 20))
    assert wave.shape == (3 * 80,) and torch.isfinite(wave).all() and wave.std() > 1e-3


def test_a_synthesiser_speaks_with_it(trained, tiny, tmp_path):
    speaker = Text2Speech.from_dir(tiny.model("tts"), vocoder=Vocoder.from_dir(trained))
    plain = Text2Speech.from_dir(tiny.model("tts"))
    found, other = speaker("abca"), plain("abca")
    assert np.array_equal(found.mel, other.mel) and len(found.wave) == 80 * len(found.mel)
    assert not np.array_equal(found.wave[: len(other.wave)], other.wave)
    assert speaker.identity != plain.identity
    text = (trained / "config.yaml").read_text().replace("n_fft: 256", "n_fft: 128")
    (tmp_path / "config.yaml").write_text(text)
    unfit = Vocoder(tmp_path / "config.yaml", trained / "valid.mel.best.pth")
    with pytest.raises(UserError, match="n_fft = 256, the vocoder's 128"):
        Text2Speech.from_dir(tiny.model("tts"), vocoder=unfit)


def test_a_kill_changes_nothing(start, trained, tmp_path, monkeypatch):
    update, seen = Step.update, []

    def ending(self, *arguments):
        seen.append(1)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return update(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Step, "update", ending)
        with pytest.raises(KeyboardInterrupt):
            start(tmp_path / "killed", checkpoint_minutes=0.0)
    start(tmp_path / "killed", checkpoint_minutes=0.0)
    expected = torch.load(trained / "valid.mel.best.pth", weights_only=True)
    found = torch.load(tmp_path / "killed/valid.mel.best.pth", weights_only=True)
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator": "hifigam"}, "hifigan, istftnet"),
        ({"generator": "subprocess:run"}, "subprocess:run is not a Module"),
        ({"generator_conf": {"widht": 3}}, "widht"),
        ({"model_conf": {"mell": 3}}, "mell"),
        ({"segment_frame": 3}, "did you mean segment_frames"),
    ],
)
def test_a_wrong_configuration_is_said(start, tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        start(tmp_path / "wrong", **changes)


def test_weights_of_another_generator_are_refused(trained, tmp_path):
    text = (trained / "config.yaml").read_text().replace("width: 16", "width: 24")
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="does not fit the generator"):
        Vocoder(tmp_path / "config.yaml", trained / "valid.mel.best.pth")
