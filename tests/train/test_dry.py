"""Trying a configuration without training it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.bin import asr_train, lm_train
from espnet_ext.errors import UserError
from espnet_ext.train.dry import Dry, _line, dry_run, find_batch, largest

NOWHERE = Path("no-such-directory")


@pytest.mark.parametrize("task", ["asr", "lm", "tts"])
def test_without_data(tiny, tmp_path, task):
    """Made-up batches of the YAML's size go through model, loss and update; the folder stays empty."""
    places = tiny.places(task, tmp_path / "conf", train=(), tokens=NOWHERE, stats_dir=None)
    before = sorted(p.name for p in tmp_path.rglob("*"))
    lines = list(dry_run(task, places, "cpu", Dry(steps=2, vocabulary=9)))
    assert "M parameters" in lines[0] and "made-up utterances" in lines[1]
    assert "s for an update" in lines[2] and "peak memory" in lines[2]
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_with_data_the_time_is_estimated(tiny, tmp_path):
    lines = list(dry_run("asr", tiny.places("asr", tmp_path), "cpu", Dry()))
    assert "the most demanding real utterances" in lines[1]
    assert "h for 2 epochs of" in lines[-1]


def test_a_batch_cut_down(tiny, tmp_path):
    places = tiny.places("asr", tmp_path, train=(), tokens=NOWHERE, stats_dir=None)
    lines = list(dry_run("asr", places, "cpu", Dry(seconds=2.0)))
    assert "1 in a batch, 2 s of audio" in lines[1]
    whole = tiny.places("asr", tmp_path, {"batch_type": "utterances", "batch_size": 12})
    (line,) = [x for x in dry_run("asr", whole, "cpu", Dry(seconds=1.5)) if "in a batch" in x]
    assert "12 in a batch" not in line


def test_the_largest_batch(tiny, tmp_path, monkeypatch):
    from espnet_ext.train import dry

    places = tiny.places("asr", tmp_path)
    seen = []

    def run(self, batches, steps):
        seen.append(max(len(b) for b in batches))
        return dry.Cost(0.1, 1e6 * seen[-1])

    monkeypatch.setattr(dry.Trial, "run", run)
    monkeypatch.setattr(dry, "peak", lambda device: 0.0)
    monkeypatch.setattr(dry, "available", lambda device: 6.5e6)
    (line,) = find_batch("asr", places, "cpu", Dry())
    assert line.startswith("batch_size: ") and max(seen) < 12
    monkeypatch.setattr(dry, "available", lambda device: 10.0)
    with pytest.raises(UserError, match=r"found no batch_size that fits .* precision: bf16"):
        list(find_batch("asr", replace(places), "cpu", Dry()))


@given(st.floats(0.01, 1e5), st.floats(1, 100))
def test_the_search_ends_just_below_the_limit(limit, start):
    found = largest(lambda size: size <= limit, start)
    if limit < start / 2000:
        assert found is None
    elif found is not None:
        assert limit / 1.06 <= found <= limit
    else:
        assert limit < start / 500


def test_memory_is_taken_to_grow_in_proportion():
    assert _line([(0.0, 10.0)], 99.0) == 10.0
    assert _line([(0.0, 10.0), (2.0, 14.0)], 4.0) == 18.0


def test_the_commands(tiny, tmp_path, capsys):
    places = tiny.places("lm", tmp_path)
    assert lm_train.main(["--config", str(places.config), "--dry_steps", "1"]) == 0
    assert "made-up" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        asr_train.main(["--config", str(places.config), "--train", "x"])
    assert stopped.value.code == 2
    assert "are required: --valid, --tokens, --output_dir" in capsys.readouterr().err
