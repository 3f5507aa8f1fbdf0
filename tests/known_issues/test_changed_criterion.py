"""A changed best_model_criterion or keep_nbest_models made a "best" model of epochs that are not the best."""

import json

import pytest
import torch

from espnet_ext.train.average import best_epochs
from espnet_ext.train.run import train_model

CHANGES = {"max_epoch": 3, "keep_nbest_models": 1}


def _worst_of(folder):
    """A criterion that wants the epoch with the largest loss, which the smallest loss has let go."""
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best = best_epochs(history, ["valid", "loss", "max"])[0]
    assert not (folder / f"{best}epoch.pth").exists()
    return best


@pytest.mark.parametrize(
    "changes", [{"best_model_criterion": [["valid", "loss", "max"]]}, {"keep_nbest_models": 3}]
)
def test_epochs_that_are_gone_and_wanted_are_trained_again(tiny, tmp_path, capsys, changes):
    train_model("lm", tiny.places("lm", tmp_path, CHANGES))
    wanted = _worst_of(tmp_path)
    capsys.readouterr()
    (averaged,) = train_model("lm", tiny.places("lm", tmp_path, {**CHANGES, **changes}))
    assert "resuming" not in capsys.readouterr().out
    assert (tmp_path / "before-1/valid.loss.ave.pth").is_file()
    best, kept = torch.load(tmp_path / "valid.loss.best.pth"), sorted(tmp_path.glob("[0-9]*.pth"))
    name = next(name for name in best if best[name].is_floating_point())
    if "keep_nbest_models" in changes:
        assert len(kept) == 3
        mean = sum(torch.load(path)[name] for path in kept) / 3
        assert torch.allclose(torch.load(averaged)[name], mean, atol=1e-6)
    else:
        state = torch.load(tmp_path / f"{wanted}epoch.pth")
        assert all(torch.equal(state[name], best[name]) for name in state)


def test_a_criterion_whose_epochs_are_there_is_averaged_at_once(tiny, tmp_path, capsys):
    train_model("lm", tiny.places("lm", tmp_path, {**CHANGES, "keep_nbest_models": 3}))
    changes = {"best_model_criterion": [["valid", "loss", "max"]]}
    capsys.readouterr()
    train_model("lm", tiny.places("lm", tmp_path, {**CHANGES, **changes}))
    assert "resuming at epoch 4" in capsys.readouterr().out
    assert not (tmp_path / "before-1").exists()
