"""Tables of an earlier run stayed in a data directory and reached the model."""

import shutil

from espnet_ext.datadir.edit import read_all, write_all
from espnet_ext.train.run import train_model

TABLES = {"text": {"a": "x"}, "utt2spk": {"a": "s"}}


def test_a_directory_written_whole_keeps_no_table_of_before(tmp_path):
    write_all(tmp_path, {**TABLES, "utt2sid": {"a": "1"}, "segments": {"a": "r 0 1"}})
    (tmp_path / "notes.txt").write_text("mine")
    write_all(tmp_path, TABLES)
    assert set(read_all(tmp_path)) == {"text", "utt2spk", "spk2utt"}
    assert (tmp_path / "notes.txt").is_file()


def test_pitch_of_other_statistics_is_not_given_to_a_model_without_pitch(
    tiny, tmp_path, monkeypatch
):
    from espnet_ext.train import run

    stats = shutil.copytree(tiny.stats("tts"), tmp_path / "stats")
    assert (stats / "train/collect_feats/pitch.scp").is_file()
    seen = []
    monkeypatch.setattr(
        run, "describe", lambda model, data, batches: seen.append(set(data.extra)) or ""
    )
    plain = {"pitch_extract": None, "pitch_extract_conf": {}, "pitch_normalize": None}
    conf = {**tiny.base["tts"]["tts_conf"], "use_pitch": False}
    changes = {**plain, "tts_conf": conf, "max_epoch": 1}
    train_model("tts", tiny.places("tts", tmp_path / "plain", changes, stats_dir=stats))
    train_model("tts", tiny.places("tts", tmp_path / "pitch", {"max_epoch": 1}, stats_dir=stats))
    assert seen == [set(), {"pitch"}]
