"""`--find_batch` ended with the first batch that did not fit, instead of trying a smaller one."""

import pytest
import torch

from espnet_ext.train import dry
from espnet_ext.train.dry import Dry, find_batch, largest


def test_a_batch_that_does_not_fit_is_followed_by_a_smaller_one(tiny, tmp_path, monkeypatch):
    places = tiny.places("asr", tmp_path)
    forward, seen = dry.Step.forward, []

    def full(self, batch, extra):
        seen.append(batch["speech"].numel())
        if seen[-1] > 30000:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return forward(self, batch, extra)

    monkeypatch.setattr(dry.Step, "forward", full)
    monkeypatch.setattr(dry, "available", lambda device: 1e12)
    monkeypatch.setattr(dry, "peak", lambda device: 0.0)
    (line,) = find_batch("asr", places, "cpu", Dry())
    assert line.startswith("batch_size: ") and max(seen) > 30000
    assert 30000 / 8000 / 2 < float(line.split()[1]) < 30000 / 8000


def test_more_than_all_the_data_is_not_tried(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(dry, "available", lambda device: 1e12)
    (line,) = find_batch("lm", tiny.places("lm", tmp_path), "cpu", Dry())
    assert line.startswith("batch_size: 72 ") and "a batch of all the data fits" in line


@pytest.mark.parametrize(("most", "limit", "low", "high"), [(50, 1e9, 50, 50), (50, 20, 18, 20)])
def test_the_search_has_an_end(most, limit, low, high):
    tried = []

    def fits(size):
        tried.append(size)
        return size <= limit

    assert low <= largest(fits, 3.0, most=most) <= high and max(tried) <= most
