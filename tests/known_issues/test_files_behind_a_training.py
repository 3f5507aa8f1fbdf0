"""Other sentences, speakers or spectrograms behind the same names went on with the checkpoint of the former ones."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from espnet_ext.train.config import TRAINING
from espnet_ext.train.data import Utterances
from espnet_ext.train.identity import fingerprint, read_by_preprocessors


@pytest.fixture
def named(tmp_path):
    """A text, a folder of tokens, and a configuration that names them."""
    (tmp_path / "text").write_text("s1 one two\n")
    (tmp_path / "phn").mkdir()
    (tmp_path / "phn/tokens.txt").write_text("<blank>\na\n")
    steps = [{"preprocessor": "a.b:C", "text": [str(tmp_path / "text")]}, {"speed": 0.5}]
    phases = [{"name": "x", "epochs": 1, "preprocessor_conf": {"phones": str(tmp_path / "phn")}}]
    return tmp_path, {**TRAINING, "preprocessor_conf": {"steps": steps}, "phases": phases}


def _data(**more):
    return Utterances(["u0", "u1"], [np.array([2]), np.array([3])], seconds=[1.0, 2.0], **more)


@pytest.mark.parametrize("file", ["text", "phn/tokens.txt"])
def test_what_preprocessors_read(named, file):
    folder, config = named
    paths = read_by_preprocessors(config)
    assert paths == [folder / "phn/tokens.txt", folder / "text"]
    before = fingerprint(config, torch.nn.Linear(1, 1), _data())
    assert fingerprint(config, torch.nn.Linear(1, 1), _data()) == before
    (folder / file).write_text((folder / file).read_text().replace("o", "0").replace("a", "e"))
    assert fingerprint(config, torch.nn.Linear(1, 1), _data()) != before


def test_numbers_of_speakers_and_languages():
    def of(**tables):
        return fingerprint(TRAINING, torch.nn.Linear(1, 1), _data(extra=tables))

    one, other = {"u0": "1", "u1": "2"}, {"u0": "1", "u1": "1"}
    assert len({of(), of(sids=one), of(sids=other), of(lids=one), of(lids=one, sids=one)}) == 5


def test_spectrograms_of_a_vocoder(tmp_path):
    import kaldiio

    def of(mels):
        data = SimpleNamespace(ids=["u0"], tokens=(), seconds=[1.0], audio={}, mels=mels)
        return fingerprint(TRAINING, torch.nn.Linear(1, 1), data)  # type: ignore[arg-type]

    scp = f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp"
    found = [of({})]
    for value in (0.0, 1.0):
        with kaldiio.WriteHelper(scp) as writer:
            writer("u0", np.full((4, 3), value, np.float32))
        found.append(of({"u0": (tmp_path / "a.scp").read_text().split()[1]}))
    assert len(set(found)) == 3
