"""espnet_ext.bin.speaker_ids: numbers from the training set, 0 for strangers."""

from __future__ import annotations

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.speaker_ids import main
from espnet_ext.datadir.languages import TABLE, keep_languages, languages_in, read_languages


def write(folder, name, **tables):
    """Sets with a table each."""
    for dataset, text in tables.items():
        (folder / dataset).mkdir(exist_ok=True)
        (folder / dataset / name).write_text(text)


def test_numbers_come_from_the_training_set(tmp_path):
    write(tmp_path, "utt2spk", train="u1 bob\nu2 anna\n", test="u3 anna\nu4 new\n")
    assert main([str(tmp_path), "--train", "train", "train", "test"]) == 0
    assert (tmp_path / "train/spk2sid").read_text() == "anna 1\nbob 2\n"
    assert (tmp_path / "train/utt2sid").read_text() == "u1 2\nu2 1\n"
    assert (tmp_path / "test/utt2sid").read_text() == "u3 1\nu4 0\n"


def test_new_voices_follow_those_of_a_model(tmp_path):
    write(tmp_path, "utt2spk", new="u1 eve\nu2 dora\n")
    assert main([str(tmp_path), "--train", "new", "--first", "128", "new"]) == 0
    assert (tmp_path / "new/spk2sid").read_text() == "dora 128\neve 129\n"


def test_speakers_that_no_training_has_seen_are_told(tmp_path, capsys):
    """A model's vector of number 0 is as it was drawn; such a voice was random without a word."""
    strangers = "".join(f"u{i} new{i:02d}\n" for i in range(12))
    write(tmp_path, "utt2spk", train="a bob\n", dev="b bob\n", test="c eve\n", far=strangers)
    assert main([str(tmp_path), "--train", "train", "train", "dev", "test", "far"]) == 0
    one, many = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}/test: train lacks 1 of its 1 speakers: eve; they get number 0" in one
    assert "far: train lacks 12 of its 12 speakers: new00, new01" in many
    assert "new09, ...; they" in many and "new10" not in many


def test_languages_are_numbered_likewise(tmp_path, capsys):
    write(tmp_path, "utt2lang", train="a fr\nb de\nc fr\n", test="d de\ne xx\n")
    assert main([str(tmp_path), "--languages", "--train", "train", "train", "test"]) == 0
    assert (tmp_path / "train/lang2lid").read_text() == "de 1\nfr 2\n"
    assert (tmp_path / "train/utt2lid").read_text() == "a 2\nb 1\nc 2\n"
    assert (tmp_path / "test/utt2lid").read_text() == "d 1\ne 0\n"
    said = capsys.readouterr()
    assert said.out == "2 languages in train\n"
    assert "test: train lacks 1 of its 2 languages: xx" in said.err
    assert not (tmp_path / "train/spk2sid").exists()


def test_data_that_names_no_language_says_what_is_missing(tmp_path, capsys):
    write(tmp_path, "utt2spk", train="a bob\n")
    assert call(main, [str(tmp_path), "--languages", "--train", "train", "train"]) == 1
    error = capsys.readouterr().err
    assert "train/utt2lang: no such file, expected `UTTERANCE LANGUAGE` lines" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("numbers", ["a 1\nb 2\nc 0\n", "a 1\nb 2\n"])
def test_a_model_keeps_the_names_of_its_languages(tmp_path, numbers):
    write(tmp_path, "utt2lang", train="a no\nb de\nc xx\n")
    model = tmp_path / "exp"
    keep_languages(tmp_path / "train", model)
    assert read_languages(model) == {}
    write(tmp_path, "utt2lid", train=numbers)
    keep_languages(tmp_path / "train", model)
    assert list(read_languages(model).items()) == [("no", 1), ("de", 2)]
    assert languages_in(tmp_path / "train") == {"no": "1", "de": "2"}
    (tmp_path / "train/utt2lid").unlink()
    keep_languages(tmp_path / "train", model)  # a training without languages, in the same folder
    assert not (model / TABLE).exists()
