"""Judges of speech: the figures of the packages that their models come from; clear words where one is missing."""

import numpy as np
import pytest

from espnet_ext.errors import UserError
from espnet_ext.metrics.judges import (
    INSTALLED,
    Dnsmos,
    SpeakerSimilarity,
    Utmos,
    file_of,
    judges,
)
from tests.metrics.voices import RATE, sentence, voice

SILENCE = np.zeros(0)


@pytest.mark.parametrize("seconds", [3.0, 11.2])
def test_dnsmos_is_the_packages(seconds):
    theirs = pytest.importorskip("speechmos.dnsmos")
    pytest.importorskip("onnxruntime")
    wave = sentence(seconds)
    found = Dnsmos()(wave, SILENCE)
    assert found == pytest.approx(theirs.run(wave, RATE)["ovrl_mos"], abs=1e-4)


def test_voices_are_compared():
    pytest.importorskip("torch")
    try:
        same = SpeakerSimilarity()
    except UserError as error:
        pytest.skip(str(error))
    deep, high = voice(2.0, 100.0), voice(2.0, 260.0)
    assert same(deep, deep) == pytest.approx(1.0) == same(deep * 0.01, deep)
    assert same(voice(2.5, 100.0, seed=1), deep) > same(high, deep)
    assert same(SILENCE, deep) is None and same(np.zeros(10), deep) is None


def test_utmos_is_whatever_the_copy_says(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "hubconf.py").write_text(
        "import torch\n\n"
        "class Model(torch.nn.Module):\n"
        "    def forward(self, wave, rate):\n"
        "        assert wave.shape[0] == 1 and rate == 16000 and not self.training\n"
        "        return wave.abs().amax(1) + 3\n\n"
        "def utmos22_strong(**options):\n"
        "    return Model()\n"
    )
    found = Utmos(str(tmp_path))
    assert found(np.array([0.5, -0.75]), SILENCE) == pytest.approx(3.75)
    assert found(SILENCE, SILENCE) is None


def test_an_utmos_that_cannot_be_used_is_named(tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(UserError, match=r"found no hubconf\.py"):
        Utmos(str(tmp_path))
    (tmp_path / "hubconf.py").write_text(
        "def utmos22_strong(**o):\n    raise OSError('no weights')\n"
    )
    with pytest.raises(UserError, match="OSError: no weights"):
        Utmos(str(tmp_path))


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file, expected a model"):
        file_of(str(tmp_path / "none.onnx"), "speechmos", "x")
    with pytest.raises(UserError, match="pip install --no-deps no_such_package"):
        file_of(INSTALLED, "no_such_package", "x")
    with pytest.raises(UserError, match="found no package json with none"):
        file_of(INSTALLED, "json", "none")
    (tmp_path / "odd.pt").write_bytes(b"no weights")
    with pytest.raises(UserError, match="expected resemblyzer's"):
        SpeakerSimilarity(str(tmp_path / "odd.pt"))


def test_other_weights_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"model_state": {"linear.weight": torch.zeros(2, 2)}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="expected resemblyzer's"):
        judges(None, None, str(tmp_path / "other.pt"))
