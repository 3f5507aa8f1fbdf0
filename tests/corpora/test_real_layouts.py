"""The LibriSpeech and LJ Speech readers, on small copies of the layouts and on real pieces."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.bin.command import call
from espnet_ext.bin.prepare_corpus import corpora, main
from espnet_ext.corpora import librispeech, ljspeech
from espnet_ext.errors import UserError


@pytest.fixture
def realdata():
    default = Path(__file__).resolve().parents[3] / "shared" / "realdata"
    root = Path(os.environ.get("ESPNET_EXT_REALDATA", default))
    if not root.is_dir():
        pytest.skip(f"no real recordings in {root} (ESPNET_EXT_REALDATA)")
    return root


@pytest.fixture
def libri(tmp_path):
    root = tmp_path / "LibriSpeech"
    for part, reader, chapter in (("dev-clean", 84, 121), ("dev-clean", 84, 122), ("x-1", 19, 7)):
        folder = root / part / str(reader) / str(chapter)
        folder.mkdir(parents=True)
        for i in range(2):
            name = f"{reader}-{chapter}-{i:04d}.flac"
            soundfile.write(folder / name, np.zeros(160, np.int16), 16000)
        lines = (f"{reader}-{chapter}-{i:04d} WORDS {i}\n" for i in range(2))
        (folder / f"{reader}-{chapter}.trans.txt").write_text("".join(lines))
    (root / "SPEAKERS.TXT").write_text(
        ";ID\n19 | M | x-1 | 1 | A | B\n84 | F | dev-clean | 8 | C\n"
    )
    return root


@pytest.fixture
def lj(tmp_path):
    root = tmp_path / "LJSpeech-1.1"
    (root / "wavs").mkdir(parents=True)
    for i in range(1, 8):
        soundfile.write(root / f"wavs/LJ001-{i:04d}.wav", np.zeros(220, np.int16), 22050)
    rows = (f"LJ001-{i:04d}|No. {i}|number  {i}\n" for i in range(1, 8))
    (root / "metadata.csv").write_text("".join(rows))
    return root


def test_librispeech_speakers_are_readers_in_chapters(libri, tmp_path):
    made = librispeech.prepare(libri.parent, tmp_path / "data")
    assert [d.name for d in made] == ["dev_clean", "x_1"]
    dev = tmp_path / "data/dev_clean"
    assert datadir.read_table(dev / "utt2spk")["84-121-0001"] == "84-121"
    assert datadir.read_table(dev / "spk2gender") == {"84-121": "f", "84-122": "f"}
    assert datadir.read_table(dev / "text")["84-122-0000"] == "WORDS 0"
    assert Path(datadir.read_table(dev / "wav.scp")["84-121-0001"]).is_file()


def test_librispeech_sets_are_parts_put_together(libri, tmp_path):
    made = librispeech.prepare(libri, tmp_path / "data", sets="train=dev-clean+x-1 dev=x-1")
    assert [d.name for d in made] == ["train", "dev"]
    assert len(datadir.read_table(tmp_path / "data/train/text")) == 6
    with pytest.raises(UserError, match=r"found 'y', expected some of .*x-1"):
        librispeech.prepare(libri, tmp_path / "data", sets="test=y")


def test_librispeech_says_which_transcripts_have_no_audio(libri, tmp_path, capsys):
    (libri / "x-1/19/7/19-7-0001.flac").unlink()
    librispeech.prepare(libri, tmp_path / "data")
    assert "left out 1 transcripts without audio: 19-7-0001" in capsys.readouterr().err
    assert list(datadir.read_table(tmp_path / "data/x_1/text")) == ["19-7-0000"]


def test_librispeech_with_a_bad_transcript(libri, tmp_path, capsys):
    (libri / "x-1/19/7/19-7.trans.txt").write_bytes(b"19-7-0000 caf\xe9\n")
    with pytest.raises(UserError, match=r"19-7\.trans\.txt, line 1"):
        librispeech.prepare(libri, tmp_path / "data", sets="x=x-1")
    assert not (tmp_path / "data").exists()


def test_ljspeech_is_split_by_sorted_id(lj, tmp_path):
    ljspeech.prepare(lj.parent, tmp_path / "data", dev=2, eval1=1)
    found = {d: list(datadir.read_table(tmp_path / "data" / d / "text")) for d in ("dev", "eval1")}
    assert found == {"dev": ["LJ001-0005", "LJ001-0006"], "eval1": ["LJ001-0007"]}
    assert datadir.read_table(tmp_path / "data/train/text")["LJ001-0001"] == "number 1"
    assert datadir.read_table(tmp_path / "data/train/raw_text")["LJ001-0001"] == "No. 1"
    assert datadir.read_table(tmp_path / "data/train/spk2gender") == {"LJ": "f"}


def test_ljspeech_is_12600_250_250_by_default():
    import inspect

    defaults = inspect.signature(ljspeech.prepare).parameters
    assert (defaults["dev"].default, defaults["eval1"].default) == (250, 250)


@pytest.mark.parametrize("row", ["LJ001-0009|only one", "LJ001-0009|raw|", "a|b|c|d"])
def test_ljspeech_lines_have_three_fields(lj, tmp_path, row):
    with open(lj / "metadata.csv", "a") as stream:
        stream.write(row + "\n")
    with pytest.raises(UserError, match=r"metadata\.csv, line 8"):
        ljspeech.prepare(lj, tmp_path / "data", dev=1, eval1=1)


def test_ljspeech_with_too_few_clips(lj, tmp_path):
    with pytest.raises(UserError, match=r"found 7 clips, expected more than 250 \+ 250"):
        ljspeech.prepare(lj, tmp_path / "data")


def test_real_librispeech_and_ljspeech(realdata, tmp_path):
    made = librispeech.prepare(realdata, tmp_path / "libri")
    counts = {d.name: len(datadir.read_table(d / "text")) for d in made}
    assert counts["train_clean_100"] == 120 and counts["test_other"] == 40
    ljspeech.prepare(realdata, tmp_path / "lj", dev=2, eval1=2)
    assert len(datadir.read_table(tmp_path / "lj/train/text")) == 18
    seconds = datadir.utt2dur(tmp_path / "lj/train")
    assert all(1 < s < 11 for s in seconds.values())


@pytest.mark.parametrize(
    ("name", "variable"),
    [("librispeech", "LIBRISPEECH"), ("ljspeech", "LJSPEECH"), ("an4", "AN4")],
)
@pytest.mark.parametrize("given", ["", "/no/such/place"])
def test_a_missing_corpus_names_the_variable_to_set(tmp_path, capsys, name, variable, given):
    assert call(main, [name, given, str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert f"set {variable}=" in said and "local/db.sh" in said
    assert not (tmp_path / "data").exists()


def test_the_command_knows_its_corpora_and_their_options(lj, tmp_path, capsys):
    assert {"an4", "librispeech", "ljspeech", "mini"} <= set(corpora())
    data = str(tmp_path / "data")
    assert call(main, ["ljspeech", str(lj), data, "--dev", "1", "--eval1", "1"]) == 0
    assert "dev: 1 utterances" in capsys.readouterr().out
    assert call(main, ["timit", "x", "y"]) == 1
    assert "found corpus 'timit', expected one of an4" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        call(main, ["ljspeech", "--help"])
    assert caught.value.code == 0
    assert "the last ones" in capsys.readouterr().out
