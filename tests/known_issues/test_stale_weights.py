"""A finished training was taken for up to date when its audio, its code or its first weights had changed."""

import importlib
import shutil
import sys

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.train.run import train_model

MODULE = """
from espnet2.lm.seq_rnn_lm import SequentialRNNLM

class Lm(SequentialRNNLM):
    def forward(self, x, hidden):
        y, hidden = super().forward(x, hidden)
        return y * {factor}, hidden
"""
LM = {"lm": "users_lm:Lm", "lm_conf": {"unit": 8, "nlayers": 1}, "max_epoch": 1}


def _again(capsys):
    """Whether the last training began anew, having set the one before aside."""
    return "resuming" not in capsys.readouterr().out


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        (tmp_path / "users_lm.py").write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop("users_lm", None)

    yield write
    sys.modules.pop("users_lm", None)


def test_a_changed_forward(tiny, tmp_path, capsys, write_module):
    write_module(MODULE.format(factor=1))
    train_model("lm", tiny.places("lm", tmp_path / "x", LM))
    write_module("# another day\n" + MODULE.format(factor=1))
    capsys.readouterr()
    train_model("lm", tiny.places("lm", tmp_path / "x", LM))
    assert not _again(capsys)
    write_module(MODULE.format(factor=1.0625))
    train_model("lm", tiny.places("lm", tmp_path / "x", LM))
    assert _again(capsys) and (tmp_path / "x/before-1/checkpoint.pth").is_file()


def test_other_audio_of_equal_length(tiny, tmp_path, capsys):
    data = shutil.copytree(tiny.train, tmp_path / "data")
    (data / "wav.scp").write_text(
        "".join(f"{p.stem} {p}\n" for p in sorted((data / "wav").iterdir()))
    )
    places = tiny.places("asr", tmp_path / "x", {"max_epoch": 1}, train=[data])
    train_model("asr", places)
    for path in (data / "wav").iterdir():  # copied elsewhere, say
        path.touch()
    capsys.readouterr()
    train_model("asr", places)
    assert not _again(capsys)
    wave, rate = soundfile.read(data / "wav/train-05.wav")
    soundfile.write(data / "wav/train-05.wav", np.flip(wave), rate, subtype="PCM_16")
    train_model("asr", places)
    assert _again(capsys)


def test_other_statistics_under_the_same_name(tiny, tmp_path, capsys):
    stats = shutil.copytree(tiny.stats("asr"), tmp_path / "stats")
    places = tiny.places("asr", tmp_path / "x", {"max_epoch": 1}, stats_dir=stats)
    train_model("asr", places)
    path = stats / "train/feats_stats.npz"
    with np.load(path) as arrays:
        changed = dict(arrays)
    np.savez(path, **changed)
    capsys.readouterr()
    train_model("asr", places)
    assert not _again(capsys)
    np.savez(path, **{**changed, "sum": changed["sum"] * 1.1})
    train_model("asr", places)
    assert _again(capsys)


def test_other_weights_to_start_from_under_the_same_name(tiny, tmp_path, capsys):
    weights = tmp_path / "first.pth"
    shutil.copy(tiny.model("lm") / "valid.loss.ave.pth", weights)
    places = tiny.places("lm", tmp_path / "x", {"init_param": [str(weights)], "max_epoch": 1})
    train_model("lm", places)
    state = torch.load(weights)
    torch.save({name: 2 * tensor for name, tensor in state.items()}, weights)
    capsys.readouterr()
    train_model("lm", places)
    assert _again(capsys)


def test_a_finished_training_is_done_again_when_asked(tiny, tmp_path, capsys, monkeypatch):
    from espnet_ext.bin import lm_train

    places = tiny.places("lm", tmp_path)
    words = ["--config", places.config, "--train", *places.train, "--valid", *places.valid]
    words += ["--tokens", places.tokens, "--output_dir", tmp_path, "--device", "cpu"]
    command = [str(word) for word in words]
    lm_train.main(command)
    first = torch.load(tmp_path / "2epoch.pth")
    capsys.readouterr()
    lm_train.main(command)
    assert "nothing is left to do" in capsys.readouterr().out
    monkeypatch.setenv("ESPNET_EXT_ANEW", "1")
    lm_train.main(command)
    assert _again(capsys) and (tmp_path / "before-1/2epoch.pth").is_file()
    again = torch.load(tmp_path / "2epoch.pth")
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_asking_for_a_training_that_is_not_finished_goes_on(tiny, tmp_path, capsys):
    train_model("lm", tiny.places("lm", tmp_path))
    capsys.readouterr()
    train_model("lm", tiny.places("lm", tmp_path, {"max_epoch": 3}), anew=True)
    assert "resuming at epoch 3" in capsys.readouterr().out
    assert not (tmp_path / "before-1").exists()
