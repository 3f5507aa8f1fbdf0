"""Statistics of features."""

import numpy as np
import pytest


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
