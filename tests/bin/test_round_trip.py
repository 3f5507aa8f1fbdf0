"""A recogniser hears what a vocoder made, and the recordings of the same sentences beside it."""

from __future__ import annotations

import json
import shutil

import pytest

from espnet_ext.bin import round_trip
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError


@pytest.fixture
def recipes(tiny, tmp_path):
    """asr1 with the small recogniser; voc1 with copy-synthesis of two of the three recordings."""
    asr, voc = tmp_path / "asr1", tmp_path / "voc1"
    (asr / "exp").mkdir(parents=True)
    (asr / "exp/asr_x").symlink_to(tiny.model("asr"))
    for recipe in (asr, voc):
        (recipe / "dump/raw").mkdir(parents=True)
        shutil.copytree(tiny.valid, recipe / "dump/raw/valid")
    (voc / "exp/voc_stats_x").mkdir(parents=True)
    for made in ("copy_synthesis", "copy_synthesis/griffin_lim"):
        folder = voc / "exp/voc_x" / made / "valid"
        folder.mkdir(parents=True)
        lines = [f"{u} {e}\n" for u, e in read_table(tiny.valid / "wav.scp").items()]
        (folder / "wav.scp").write_text("".join(lines[:2]))
    (voc / "exp/voc_x/config.yaml").touch()
    return asr, voc


def test_a_vocoder_and_the_recordings(recipes, tmp_path):
    asr, voc = recipes
    output = tmp_path / "out"
    given = ["--asr", str(asr), "--fs", "8000", "--output", str(output), "--recordings"]
    assert round_trip.main([*given, "--voc", f"{voc}:voc_x:copy_synthesis"]) == 0
    facts = json.loads((output / "round_trip.json").read_text())
    assert facts["set"] == "valid" and facts["tts"].endswith("copy_synthesis")
    # what was "made" is the recordings here
    assert facts["cer"] == facts["recordings"]["cer"] and facts["cer"] > 0
    for folder in (output, output / "recordings"):
        assert list(read_table(folder / "dump/valid/text")) == ["valid-00", "valid-01"]
        scores = json.loads((folder / "decode/scores.json").read_text())
        assert scores["sets"]["valid"]["cer"]["words"] > 0


def test_what_lacks_is_said(recipes, tmp_path, capsys):
    asr, voc = recipes
    given = ["--asr", str(asr), "--fs", "8000", "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        round_trip.main([*given, "--voc", str(voc), "--tts", str(voc)])
    assert "not allowed with" in capsys.readouterr().err
    (voc / "dump/raw/valid/wav.scp").write_text("valid-00 x.wav\n")
    with pytest.raises(UserError, match="found no recording of valid-01"):
        round_trip.main([*given, "--voc", str(voc), "--recordings", "--set", "valid"])
