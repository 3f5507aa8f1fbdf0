"""espnet_ext.bin.speaker_ids: numbers from the training set, 0 for strangers."""

from __future__ import annotations

from espnet_ext.bin.speaker_ids import main


def test_numbers_come_from_the_training_set(tmp_path):
    for name, table in {"train": "u1 bob\nu2 anna\n", "test": "u3 anna\nu4 new\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "utt2spk").write_text(table)
    assert main([str(tmp_path), "--train", "train", "train", "test"]) == 0
    assert (tmp_path / "train/spk2sid").read_text() == "anna 1\nbob 2\n"
    assert (tmp_path / "train/utt2sid").read_text() == "u1 2\nu2 1\n"
    assert (tmp_path / "test/utt2sid").read_text() == "u3 1\nu4 0\n"


def test_new_voices_follow_those_of_a_model(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/utt2spk").write_text("u1 eve\nu2 dora\n")
    assert main([str(tmp_path), "--train", "new", "--first", "128", "new"]) == 0
    assert (tmp_path / "new/spk2sid").read_text() == "dora 128\neve 129\n"
