"""The training loop: accumulation, resuming, stopping, what is not finite."""

import json
import logging

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.train.config import TRAINING
from espnet_ext.train.loop import Stopped, Trainer
from espnet_ext.train.optimise import Optimiser


class Numbers:
    """Utterances that are numbers; an id is its place."""

    def __init__(self, values):
        self.values, self.ids, self.seed = values, [f"u{i}" for i in range(len(values))], (0, 0)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.ids[index], self.values[index]

    def lengths(self, unit):
        return [1.0] * len(self)


def collate(items):
    return [utt for utt, _ in items], {"x": torch.tensor([[value] for _, value in items])}


class InOrder:
    """Batches of `size` utterances in their order."""

    def __init__(self, number, size):
        self.number, self.size = number, size

    def batches(self, epoch, shuffle=True):
        return [
            list(range(i, min(i + self.size, self.number)))
            for i in range(0, self.number, self.size)
        ]


class Line(torch.nn.Module):
    """(w x - 1)^2 with dropout, so that a generator's state matters."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.w = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(self.w.weight, 0.5)
        torch.nn.init.zeros_(self.w.bias)
        self.dropout = torch.nn.Dropout(dropout)
        self.began = []  # whether an epoch's first forward found gradients

    def forward(self, x):
        if self.training:
            self.began.append(
                self.w.weight.grad is not None and bool((self.w.weight.grad != 0).any())
            )
        loss = (self.w(self.dropout(x)) - 1).square().mean()
        return loss, {"loss": loss.detach()}, torch.tensor(float(len(x)))


def trainer(
    folder, batch=2, values=(1.0, 2.0, 3.0, 4.0), dropout=0.0, sgd=0.01, model=None, **changes
):
    torch.manual_seed(0)
    config = {
        **TRAINING,
        "optim": "sgd",
        "optim_conf": {"lr": sgd},
        "max_epoch": 2,
        "num_workers": 0,
        "batch_type": "utterances",
        "batch_size": 2,
        **changes,
    }
    model = model or Line(dropout)
    data = Numbers(list(values))
    return Trainer(
        model,
        [Optimiser(model.parameters(), config)],
        [({}, 0)],
        config,
        data,
        Numbers([1.0, 2.0]),
        collate,
        InOrder(len(data), batch),
        folder,
        "same",
    )


def weights(trained):
    return {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}


@pytest.mark.parametrize(
    ("accum", "values"), [(2, (1.0, 2.0, 3.0, 4.0)), (3, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))]
)
def test_accumulated_batches_equal_the_large_one(tmp_path, accum, values):
    large = trainer(tmp_path / "a", batch=2 * accum, values=values * accum)
    small = trainer(tmp_path / "b", batch=2, values=values * accum, accum_grad=accum)
    large.fit(), small.fit()
    assert small.progress.at.updates == large.progress.at.updates == 2 * len(values) // 2
    for name, tensor in weights(large).items():
        assert torch.allclose(tensor, weights(small)[name], rtol=1e-6)


def test_an_epochs_last_smaller_group_counts_in_full_and_nothing_leaks(tmp_path):
    """Three batches with accum_grad 2: the third alone is an update of full size, and the next epoch starts at 0."""
    model = Line()
    found = trainer(tmp_path / "a", batch=1, values=(1.0, 2.0, 3.0), accum_grad=2, model=model)
    found.fit()
    assert found.progress.at.updates == 4
    assert model.began == [False, True, False] * 2
    by_hand = Line()
    for _ in range(2):
        for group in ((1.0, 2.0), (3.0,)):
            by_hand.zero_grad()
            by_hand(torch.tensor([[x] for x in group]))[0].backward()
            torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
            with torch.no_grad():
                for parameter in by_hand.parameters():
                    parameter -= 0.01 * parameter.grad
    assert torch.allclose(by_hand.w.weight, model.w.weight, rtol=1e-6)


@pytest.mark.parametrize(("clip", "norm"), [(1.0, 1.0), (-1, None), (0, None), (None, None)])
def test_the_gradient_is_clipped_or_not(tmp_path, clip, norm):
    model = Line()
    optimiser = Optimiser(
        model.parameters(),
        {**TRAINING, "optim": "sgd", "optim_conf": {"lr": 1.0}, "grad_clip": clip},
    )
    model(torch.tensor([[100.0]]))[0].backward()
    whole = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    gradient = [p.grad.clone() for p in model.parameters()]
    before = [p.detach().clone() for p in model.parameters()]
    assert optimiser.update() == pytest.approx(float(whole))
    for now, then, g in zip(model.parameters(), before, gradient, strict=True):
        step = g if norm is None else g * norm / whole
        assert torch.allclose(then - now, step, rtol=1e-4)


def test_patience(tmp_path):
    found = trainer(tmp_path, sgd=0.0, max_epoch=50, patience=3)
    found.fit()
    assert (
        found.progress.at.epoch - 1 == 4
    )  # the first epoch is the best of equals, three more may follow


def test_a_larger_max_epoch_goes_on_and_equals_an_undisturbed_run(tmp_path):
    trainer(tmp_path / "a", dropout=0.5, max_epoch=2).fit()
    resumed = trainer(tmp_path / "a", dropout=0.5, max_epoch=4)
    whole = trainer(tmp_path / "b", dropout=0.5, max_epoch=4)
    whole.fit()
    resumed.fit()
    assert [line["epoch"] for line in resumed.history] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert all(
        torch.equal(tensor, weights(resumed)[name]) for name, tensor in weights(whole).items()
    )


def test_onecycle_holds_its_last_rate_past_its_end(tmp_path):
    schedule = {"scheduler": "onecyclelr", "scheduler_conf": {"max_lr": 0.02, "total_steps": 5}}
    found = trainer(tmp_path, max_epoch=6, **schedule)
    found.fit()
    rates = [line["lr"] for line in found.history if line["split"] == "train"]
    assert found.progress.at.updates == 12 and rates[-1] == rates[-2] < 0.02 / 100


@pytest.mark.parametrize("accum", [1, 2])
def test_stopping_within_an_epoch_changes_nothing(tmp_path, accum):
    changes = {
        "dropout": 0.5,
        "values": tuple(map(float, range(1, 12))),
        "batch": 2,
        "accum_grad": accum,
    }
    whole = trainer(tmp_path / "a", **changes)
    whole.fit()
    stops = 0
    for _ in range(40):
        found = trainer(tmp_path / "b", **changes)
        seen = []
        forward, start = found.step.forward, found.progress.at

        def stop_later(batch, extra, found=found, seen=seen, forward=forward):
            seen.append(1)
            found.stop_asked = len(seen) >= 3
            return forward(batch, extra)

        found.step.forward = stop_later
        try:
            found.fit()
            break
        except Stopped as stopped:
            assert stopped.code == 143
            stops += 1
    assert stops >= 3 and start is not None
    assert all(torch.equal(tensor, weights(found)[name]) for name, tensor in weights(whole).items())

    def lines(folder):
        kept = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in kept]

    assert lines(tmp_path / "a") == lines(tmp_path / "b")


def test_the_history_is_complete_even_if_killed_just_before_it_was_written(tmp_path):
    trainer(tmp_path).fit()
    whole = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text("".join(whole.splitlines(True)[:2]))
    (tmp_path / "valid.loss.ave.pth").unlink()
    trainer(tmp_path).fit()
    assert (tmp_path / "metrics.jsonl").read_text() == whole
    assert (tmp_path / "valid.loss.ave.pth").is_file()


def test_a_gradient_that_is_not_finite_is_left_out(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        found = trainer(tmp_path, values=(1.0, 2.0, float("nan"), 4.0), max_epoch=3)
        found.fit()
    assert found.progress.at.skipped == 3 and "u2" in caplog.text
    assert all(torch.isfinite(tensor).all() for tensor in weights(found).values())
    assert not torch.equal(weights(found)["w.weight"], torch.tensor([[0.5]]))
    assert all(
        line["loss"] == line["loss"] for line in found.history
    )  # the mean is over the finite batches


def test_nothing_but_nan_ends_with_advice(tmp_path):
    with pytest.raises(UserError, match=r"in a row had gradients.*lower the learning rate.*u0"):
        trainer(tmp_path, values=(float("nan"),) * 4, max_epoch=30).fit()


def test_a_criterion_that_is_not_reported_is_said(tmp_path):
    with pytest.raises(UserError, match="valid/acc is not reported"):
        trainer(tmp_path, best_model_criterion=[["valid", "acc", "max"]]).fit()


class Pair(torch.nn.Module):
    """A generator and a discriminator as ESPnet's GAN models answer, without a figure called loss."""

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)

    def forward(self, x, forward_generator=True):
        fake = self.generator(x)
        if forward_generator:
            loss, name = (self.discriminator(fake) - 1).square().mean(), "generator_loss"
        else:
            real, false = self.discriminator(x), self.discriminator(fake.detach())
            loss, name = ((real - 1).square() + false.square()).mean(), "discriminator_loss"
        return {"loss": loss, "stats": {name: loss.detach()}, "weight": torch.tensor(float(len(x)))}


def _gan(folder, batch, accum):
    torch.manual_seed(3)
    model = Pair()
    found = trainer(folder, batch=batch, accum_grad=accum, model=model)
    found.step.optimisers = [
        Optimiser(m.parameters(), found.config, s)
        for m, s in ((model.generator, ""), (model.discriminator, "2"))
    ]
    found.step.turns = [({"forward_generator": False}, 1), ({"forward_generator": True}, 0)]
    return found


def test_two_turns_accumulate_without_mixing(tmp_path):
    """The generator's loss flows through the discriminator but leaves no gradient there."""
    found = _gan(tmp_path / "a", 2, 2)
    seen = {}
    for index, optimiser in enumerate(found.step.optimisers):

        def update(index=index, original=optimiser.update, optimiser=optimiser):
            seen.setdefault(index, [p.grad.clone() for p in optimiser.parameters])
            return original()

        optimiser.update = update
    found.fit()
    assert found.history[0]["loss"] == found.history[0]["generator_loss"]
    torch.manual_seed(3)
    model, x = Pair(), torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    model(x, forward_generator=False)["loss"].backward()
    for gradient, parameter in zip(seen[1], model.discriminator.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, rtol=1e-5)
