"""What is said of updates, and of the utterances an error is about."""

import json
import logging

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.train.ema import MovingAverage
from espnet_ext.train.journal import Journal, Watch, gradient_norms, make_tracker
from espnet_ext.train.loop import Stopped
from espnet_ext.train.step import naming
from tests.train.test_loop import Line, trainer, weights


def _lines(folder):
    return [json.loads(line) for line in (folder / "updates.jsonl").read_text().splitlines()]


def test_updates_are_noted_once_each_also_after_a_kill(tmp_path):
    changes = {
        "monitor_every": 2,
        "values": tuple(map(float, range(1, 9))),
        "batch": 1,
        "sgd": 1e-3,
    }
    whole = trainer(tmp_path / "a", **changes)
    whole.fit()
    found = _lines(tmp_path / "a")
    assert [line["update"] for line in found] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert set(found[0]) == {"update", "epoch", "loss", "lr", "gradient"}
    assert set(found[0]["gradient"]) == {"w"} and found[0]["gradient"]["w"] > 0
    stopped = trainer(tmp_path / "b", **changes)
    seen, forward = [], stopped.step.forward

    def counting(batch, extra):
        seen.append(1)
        stopped.stop_asked = len(seen) >= 11
        return forward(batch, extra)

    stopped.step.forward = counting
    with pytest.raises(Stopped):
        stopped.fit()
    with open(tmp_path / "b" / "updates.jsonl", "a") as stream:
        stream.write('{"update": 12, "loss": 0}\n{"upd')  # killed later, while it wrote
    trainer(tmp_path / "b", **changes).fit()
    assert _lines(tmp_path / "b") == found


def test_norms_of_gradients_by_group():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    model(torch.ones(1, 2)).sum().backward()
    norms = gradient_norms(model, scale=2.0)
    for name, layer in (("0", model[0]), ("1", model[1])):
        whole = torch.cat([p.grad.flatten() for p in layer.parameters()]).norm()
        assert norms[name] == pytest.approx(float(whole) / 2)


def test_a_gradient_that_vanishes_or_explodes_is_said_once(caplog):
    watch = Watch()
    with caplog.at_level(logging.WARNING):
        for update in range(6):
            watch.look({"a": 1.0, "dead": 1e-9}, update)
        watch.look({"a": float("nan")}, 6)
        assert len(caplog.records) == 1 and "the gradient of dead has vanished" in caplog.text
        watch.look({"a": 500.0, "dead": 1.0}, 7)
    assert "update 7: the gradient has exploded" in caplog.text and "most in a" in caplog.text


def test_tensorboard_is_told(tmp_path):
    pytest.importorskip("tensorboard")
    trainer(tmp_path, trackers=["tensorboard"], monitor_every=1).fit()
    (file,) = (tmp_path / "tensorboard").iterdir()
    content = file.read_bytes()
    assert b"valid/loss" in content and b"gradient/w" in content and b"train/lr" in content


def test_a_tracker_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="found 'paper', expected tensorboard, mlflow, wandb"):
        make_tracker("paper", tmp_path, 0)


def test_others_write_nothing(tmp_path):
    journal = Journal(tmp_path, {"monitor_every": 1, "trackers": ["tensorboard"]}, writes=False)
    journal.open(3)
    journal.epoch([{"split": "valid", "loss": 1.0, "updates": 3}])
    assert not journal.due(1) and list(tmp_path.iterdir()) == []


class TooShort(UserError):
    """An error about some utterances of a batch."""

    indices = (2, 0)


def test_an_error_names_its_utterances():
    with (
        pytest.raises(UserError, match="no path; they are u2, u0"),
        naming(["u0", "u1", "u2"], str),
    ):
        raise TooShort("no path")


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried"), MemoryError(""), RuntimeError("x: can't allocate memory: y")],
)  # fmt: skip
def test_a_batch_that_does_not_fit(tmp_path, error):
    found = trainer(tmp_path)
    found.train_data.seconds = [3.0, 5.0, 1.0, 1.0]

    def failing(batch, extra):
        raise error

    found.step.forward = failing
    with pytest.raises(
        UserError, match=r"2 utterances of up to 5\.0 s \(10 s with padding\) does not fit"
    ) as said:
        found.fit()
    assert "u0, u1" in str(said.value) and "--find_batch" in str(said.value)


def test_another_error_stays_what_it_is_and_the_batch_is_logged(caplog):
    with pytest.raises(ZeroDivisionError), naming(["u0", "u1"], str):
        raise ZeroDivisionError
    assert "while training on u0, u1" in caplog.text


def test_a_loss_that_is_no_number_may_stop_the_training(tmp_path):
    found = trainer(tmp_path, values=(1.0, 2.0, float("nan"), 4.0), not_finite="stop")
    with pytest.raises(UserError, match=r"update 2: the loss is nan .* look at u2, or lower"):
        found.fit()


def _averaged(folder, decay=0.9, **changes):
    found = trainer(
        folder, dropout=0.5, values=tuple(map(float, range(1, 9))), ema=decay, **changes
    )
    found.step.average = MovingAverage(found.model, decay)
    return found


def test_the_moving_average_follows_is_judged_and_kept(tmp_path):
    found = _averaged(tmp_path, max_epoch=3)
    average, seen = found.step.average, []
    update = average.update

    def watching(updates):
        seen.append({name: t.clone() for name, t in found.model.state_dict().items()})
        update(updates)

    average.update = watching
    start = {name: t.clone() for name, t in average.state.items()}
    found.fit()
    expected = start["w.weight"]
    for number, state in enumerate(seen, 1):
        kept = min(0.9, (1 + number) / (10 + number))
        expected = kept * expected + (1 - kept) * state["w.weight"]
    assert torch.allclose(average.state["w.weight"], expected)
    assert [line["split"] for line in found.history] == ["train", "valid", "ema"] * 3
    assert torch.load(tmp_path / "3epoch.ema.pth")["w.weight"] == average.state["w.weight"]
    kept = torch.load(tmp_path / "valid.loss.ema.pth")
    assert set(kept) == set(found.model.state_dict())
    assert torch.equal(weights(found)["w.weight"], seen[-1]["w.weight"])


def test_the_moving_average_resumes(tmp_path):
    whole = _averaged(tmp_path / "a", max_epoch=4)
    whole.fit()
    _averaged(tmp_path / "b", max_epoch=2).fit()
    resumed = _averaged(tmp_path / "b", max_epoch=4)
    resumed.fit()
    for name, tensor in whole.step.average.state.items():
        assert torch.equal(tensor, resumed.step.average.state[name])
    model = Line()
    model.load_state_dict(torch.load(tmp_path / "b" / "valid.loss.ema.pth"))
