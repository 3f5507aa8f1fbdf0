"""Checkpoints that survive what happens to files."""

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.train import checkpoint
from espnet_ext.train.average import average, average_best, best_epochs, forget_epochs
from espnet_ext.train.monitor import Averages, write_history


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half", b"not a checkpoint", None])
def test_a_broken_latest_falls_back_to_the_one_before(tmp_path, damage):
    for step in (1, 2):
        checkpoint.save(tmp_path, {"fingerprint": "x", "step": step, "weights": torch.rand(1000)})
    latest = tmp_path / checkpoint.NAME
    latest.write_bytes(latest.read_bytes()[:-700] if damage is None else damage)
    assert checkpoint.load(tmp_path, "x")["step"] == 1


def test_a_kill_between_the_two_renames_costs_one_checkpoint(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, {"fingerprint": "x", "step": step})
    (tmp_path / checkpoint.NAME).rename(tmp_path / checkpoint.PREVIOUS)
    assert checkpoint.load(tmp_path, "x")["step"] == 2


def test_halves_of_killed_processes_go_away(tmp_path):
    (tmp_path / "..checkpoint.new.pth.tmp-123").write_text("half")
    (tmp_path / ".1epoch.pth.tmp-123").write_text("half")
    checkpoint.save(tmp_path, {"fingerprint": "x"})
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.NAME]


def test_an_error_while_saving_leaves_the_latest(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, {"fingerprint": "x", "step": 1})
    monkeypatch.setattr(
        torch, "save", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, {"fingerprint": "x", "step": 2})
    assert checkpoint.load(tmp_path, "x")["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.NAME]


def test_another_configuration_is_set_aside_never_lost(tmp_path):
    names = [checkpoint.NAME, "1epoch.pth", "metrics.jsonl", "config.yaml"]
    for number in (1, 2):
        checkpoint.save(tmp_path, {"fingerprint": f"old{number}"})
        for name in names[1:]:
            (tmp_path / name).write_text("old")
        assert checkpoint.load(tmp_path, "new") is None
        assert sorted(p.name for p in (tmp_path / f"before-{number}").iterdir()) == sorted(names)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["before-1", "before-2"]


def test_somebody_elses_checkpoint_is_set_aside_too(tmp_path):
    torch.save(
        {"model": {}, "reporter": {}}, tmp_path / checkpoint.NAME
    )  # stock ESPnet's has no fingerprint
    assert checkpoint.load(tmp_path, "new") is None
    assert (tmp_path / "before-1" / checkpoint.NAME).is_file()


def _history(values, name="acc"):
    return [{"epoch": e, "split": "valid", name: v} for e, v in enumerate(values, 1)]


def test_the_best_epochs_first_the_earlier_of_equals_and_nan_last():
    history = _history([0.1, 0.5, float("nan"), 0.5, 0.4])
    assert best_epochs(history, ("valid", "acc", "max")) == [2, 4, 5, 1, 3]
    assert best_epochs(history, ("valid", "acc", "min")) == [1, 5, 2, 4, 3]


def test_a_figure_that_is_not_there_and_a_wrong_mode_are_said():
    with pytest.raises(UserError, match="valid/cer is not reported; there are acc"):
        best_epochs(_history([1.0]), ("valid", "cer", "min"))
    with pytest.raises(UserError, match="expected min or max"):
        best_epochs(_history([1.0]), ("valid", "acc", "maximum"))


def test_the_average_is_the_mean(tmp_path):
    generator = torch.Generator().manual_seed(0)
    states = [{"w": torch.rand(3, 2, generator=generator), "n": torch.tensor(i)} for i in range(3)]
    for i, state in enumerate(states):
        torch.save(state, tmp_path / f"{i}.pth")
    found = average([tmp_path / f"{i}.pth" for i in range(3)])
    assert torch.allclose(found["w"], sum(s["w"] for s in states) / 3) and found["n"] == 0
    assert found["w"].dtype == torch.float32


def test_only_the_best_are_kept_and_averaged(tmp_path):
    history = _history([0.1, 0.5, 0.3, 0.4])
    config = {"keep_nbest_models": 2, "best_model_criterion": [["valid", "acc", "max"]]}
    for epoch in range(1, 5):
        torch.save({"w": torch.tensor([float(epoch)])}, tmp_path / f"{epoch}epoch.pth")
        forget_epochs(tmp_path, history[:epoch], config)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2epoch.pth", "4epoch.pth"]
    (averaged,) = average_best(tmp_path, history, config)
    assert averaged.name == "valid.acc.ave.pth"
    assert (
        torch.load(averaged)["w"] == 3.0 and torch.load(tmp_path / "valid.acc.best.pth")["w"] == 2.0
    )
    with pytest.raises(UserError, match=r"found no 1epoch\.pth, expected .* \(1, 2, 3, 4\)"):
        average_best(tmp_path, history, {**config, "keep_nbest_models": 4})
    assert torch.load(averaged)["w"] == 3.0
    with pytest.raises(UserError, match="no trained epoch"):
        average_best(tmp_path / "empty", [], config)


def test_averages_weigh_and_resume():
    whole, half = Averages(), Averages()
    for loss, weight in ((1.0, 1.0), (4.0, 2.0)):
        whole.add({"loss": torch.tensor(loss), "acc": None}, weight)
        half = Averages(half.sums)
        half.add({"loss": loss}, weight)
    assert whole.means() == half.means() == {"loss": 3.0}


def test_the_history_is_json_even_with_nan(tmp_path):
    write_history(
        tmp_path, [{"epoch": 1, "loss": float("nan"), "acc": 0.5}, {"epoch": 2, "loss": 1.0}]
    )
    assert (
        tmp_path / "metrics.jsonl"
    ).read_text() == '{"epoch": 1, "acc": 0.5}\n{"epoch": 2, "loss": 1.0}\n'
