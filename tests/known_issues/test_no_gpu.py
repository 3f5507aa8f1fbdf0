"""`--gpu 1` on a machine without a GPU ended in a traceback."""

import pytest
import torch

from espnet_ext.bin import asr_decode, asr_train, tts_synthesize
from espnet_ext.bin.command import call


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def _said(capsys, main, *words):
    assert call(main, [str(word) for word in words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_one_line_says_so(tiny, tmp_path, capsys):
    places, cuda = tiny.places("asr", tmp_path / "x"), ("--device", "cuda")
    data = (tiny.valid.parent, "valid", "--output_dir", tmp_path / "y")
    words = ["--config", places.config, "--train", *places.train, "--valid", *places.valid]
    words += ["--tokens", places.tokens, "--output_dir", places.output_dir]
    asr, tts = (("--model_dir", tiny.model(task)) for task in ("asr", "tts"))
    capsys.readouterr()
    for main, more in (
        (asr_train.main, [*words, "--stats_dir", places.stats_dir]),
        (asr_decode.main, [*data, *asr]),
        (tts_synthesize.main, [*data, *tts]),
    ):
        assert "error: --device cuda: found no GPU" in _said(capsys, main, *more, *cuda)
