"""The command export_onnx, on a vocoder; and the engine that speaks what it wrote."""

import importlib

import pytest
import torch
import yaml

from espnet_ext.bin import export_onnx
from espnet_ext.bin.command import call
from espnet_ext.vocoder.build import DEFAULTS, build

CONFIG = {
    "feats_extract_conf": {"fs": 8000, "n_fft": 64, "hop_length": 16, "n_mels": 8, "fmin": 0},
    "generator": "vocos",
    "generator_conf": {"n_fft": 64, "width": 16, "inner": 24, "blocks": 1},
    "discriminators": {},
}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = build({**DEFAULTS, **CONFIG})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    torch.save(model.state_dict(), tmp_path / "valid.mel.best.pth")
    return tmp_path


def given(folder, *more):
    where = ["--model_dir", str(folder), "--output_dir", str(folder / "graphs")]
    return ["--task", "voc", *where, *more]


def test_a_vocoder_is_written_and_speaks(folder, capsys):
    pytest.importorskip("onnx", reason="the extra espnet_ext[onnx] is not installed")
    pytest.importorskip("onnxruntime", reason="the extra espnet_ext[onnx] is not installed")
    from espnet_ext.inference.onnx_vocoder import OnnxVocoder
    from espnet_ext.inference.vocoder import Vocoder

    assert call(export_onnx.main, given(folder)) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{folder}/graphs/vocoder.onnx: 0.1 MB, INT8 0.1 MB, ")
    assert float(line.split()[-3]) <= 1e-4 and line.endswith(" from torch")
    files = {path.name for path in (folder / "graphs").iterdir()}
    assert files == {"vocoder.onnx", "vocoder.int8.onnx", "onnx.json"}
    mel = torch.randn(30, 8)
    torch_vocoder = Vocoder.from_dir(folder)
    for precision, near in (("fp32", 1e-4), ("int8", 0.5)):
        engine = OnnxVocoder.from_dir(folder / "graphs", precision=precision, threads=1)
        engine.check(torch_vocoder.features)
        found, expected = engine(mel), torch_vocoder(mel)
        assert found.shape == expected.shape == (30 * 16,) and len(engine.identity) > 8
        assert (found - expected).abs().max() <= near * max(1.0, float(expected.abs().max()))
    assert call(export_onnx.main, given(folder, "--int8", "no")) == 0
    files = {path.name for path in (folder / "graphs").iterdir()}
    assert files == {"vocoder.onnx", "onnx.json"}


def test_without_the_packages_it_says_how_to_have_them(folder, capsys, monkeypatch):
    def lacking(name, *more):
        if name.split(".")[0] in ("onnx", "onnxruntime"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *more)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lacking)
    assert call(export_onnx.main, given(folder)) == 1
    error = capsys.readouterr().err
    assert "pip install 'espnet_ext[onnx]'" in error and error.count("\n") == 1
    assert not (folder / "graphs").exists()
