"""The commands pack and upload."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_ext.bin import pack, upload
from espnet_ext.bin.command import call

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (tmp_path / "exp/asr").mkdir(parents=True)
    (tmp_path / "exp/asr/config.yaml").write_text("token_list: [<blank>, <unk>, a, <sos/eos>]\n")
    (tmp_path / "exp/asr/valid.acc.ave.pth").write_bytes(b"weights")
    return tmp_path


RUN = ["--task", "asr", "--model_dir", "exp/asr", "--output", "exp/asr.zip"]


def test_pack_and_dry_run_of_upload(model, capsys):
    assert call(pack.main, RUN) == 0
    assert "exp/asr/valid.acc.ave.pth" in capsys.readouterr().out
    assert call(upload.main, ["--repo", "me/model", "exp/asr.zip"]) == 0
    printed = capsys.readouterr().out
    assert "dry run" in printed and "HF_TOKEN" in printed


def test_errors_are_one_line(model, capsys):
    assert call(pack.main, [*RUN, "--model", "other.pth"]) == 1
    error = capsys.readouterr().err
    assert "valid.acc.ave.pth" in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["train_tokens", "score_asr", "score_tts", "pack", "upload"])
def test_help_imports_nothing_heavy(name):
    code = (
        f"import sys; from espnet_ext.bin.{name} import get_parser; get_parser().format_help();"
        "print({'torch', 'numpy', 'espnet2', 'yaml', 'num2words'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "set()"


def test_packing_needs_no_torch(model):
    code = (
        "import sys; from espnet_ext.bin.pack import main;"
        f"main({RUN!r}); assert 'torch' not in sys.modules and 'espnet2' not in sys.modules"
    )
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": paths})
