"""A model's schedule went on from the weights it began with, and with `fsdp` counted batches instead of updates."""

import torch

from tests.asr.tiny_model import tiny_batch, tiny_model
from tests.train.test_loop import trainer

CONF = {"ctc_weight": {"from": 1.0, "to": 0.2, "updates": 4}}


def _trainer(folder, model, accum=1):
    """A trainer of `test_loop` whose batches are those of the tiny recogniser; and the weights it saw."""
    found, seen = trainer(folder, model=model, batch=1, accum_grad=accum, max_epoch=2), []
    forward = found.step.forward

    def heard(batch, extra):
        answer = forward(tiny_batch(), extra)
        if model.training:
            seen.append(round(model.weight("ctc"), 6))
        return answer

    found.step.forward = heard
    return found, seen


def test_fine_tuning_begins_its_own_schedule(tmp_path):
    model = tiny_model(conf=CONF)
    model.updates.fill_(5000)  # as init_param takes it over
    found, seen = _trainer(tmp_path, model)
    found.fit()
    assert seen == [1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2, 0.2]
    assert int(model.updates) == found.progress.at.updates == 8
    assert int(torch.load(tmp_path / "2epoch.pth")["updates"]) == 8


def test_gradients_that_are_kept_elsewhere_do_not_matter(tmp_path):
    """`fsdp: true` has no `grad` until the last batch of an update."""
    model = tiny_model(conf=CONF)
    found, seen = _trainer(tmp_path, model, accum=2)
    backward = found.step.optimisers[0].backward

    def hidden(loss):
        backward(loss)
        found.step.optimisers[0].zero_grad()

    found.step.optimisers[0].backward = hidden
    found.fit()
    assert seen == [1.0, 1.0, 0.8, 0.8, 0.6, 0.6, 0.4, 0.4]
