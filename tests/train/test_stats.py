"""Statistics of features."""

import shutil

import numpy as np
import pytest
import soundfile

from espnet_ext.errors import UserError


@pytest.mark.parametrize("task", ["asr", "tts"])
def test_any_number_of_processes_gives_the_same_to_the_bit(tiny, tmp_path, monkeypatch, task):
    import torch

    from espnet_ext.train import stats

    monkeypatch.setattr(stats, "CPU_BATCH", 3.0)
    threads = torch.get_num_threads()
    for processes in (1, 3):
        stats.collect_stats(task, tiny.places(task, tmp_path / f"{processes}"), processes=processes)
    assert torch.get_num_threads() == threads
    found = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.npz"))
    assert len(found) >= 2
    for path in found:
        one, three = (np.load(tmp_path / n / path) for n in ("1", "3"))
        assert sorted(one) == ["count", "sum", "sum_square"]
        assert all((one[key] == three[key]).all() for key in one)
    if task == "tts":
        arks = [p.read_bytes() for p in sorted(tmp_path.rglob("train/collect_feats/pitch.ark"))]
        assert len(arks) == 2 and arks[0] == arks[1]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("rate", "'valid-02': found audio at 16000 Hz, expected 8000 Hz"),
        ("cut", "'valid-02'.*cut off"),
        ("garbage", "'valid-02'.*unreadable"),
        ("gone", "'valid-02'.*unreadable"),
    ],
)
def test_audio_that_cannot_be_used_is_named(tiny, tmp_path, monkeypatch, damage, words, processes):
    from espnet_ext.train import stats

    monkeypatch.setattr(stats, "CPU_BATCH", 3.0)
    data = shutil.copytree(tiny.valid, tmp_path / "data")
    path = data / "wav/valid-02.wav"
    samples, _ = soundfile.read(path, dtype="int16")
    if damage == "rate":
        soundfile.write(path, samples, 16000)
    elif damage == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"no audio" * 99)
    table = (data / "wav.scp").read_text().replace(str(tiny.valid), str(data))
    (data / "wav.scp").write_text(table)
    with pytest.raises(UserError, match=words):
        places = tiny.places("asr", tmp_path / "stats", train=[data])
        stats.collect_stats("asr", places, processes=processes)
