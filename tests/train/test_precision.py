"""Fewer bits, decay of some weights only, schedules: each trains and resumes as it should."""

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.train.config import TRAINING
from espnet_ext.train.loop import Stopped
from espnet_ext.train.optimise import Optimiser, without_decay
from espnet_ext.train.precision import set_precision
from espnet_ext.train.run import train_model
from tests.train.test_loop import trainer, weights

SCHEDULES = {
    "noamlr": {"model_size": 8, "warmup_steps": 3},
    "warmuplr": {"warmup_steps": 3},
    "onecyclelr": {"max_lr": 0.05, "total_steps": 9},
    "reducelronplateau": {"patience": 0, "factor": 0.5, "threshold": 0.5},
    "cosineannealinglr": {"T_max": 9},
    "steplr": {"step_size": 1, "gamma": 0.5},
    "espnet_ext.train.schedule:WarmupCosine": {"total_steps": 9, "warmup": 0.3},
}


def _stopped_after(found, batches):
    """Train, but be asked to stop when so many batches are seen."""
    seen, forward = [], found.step.forward

    def counting(batch, extra):
        seen.append(1)
        found.stop_asked = len(seen) >= batches
        return forward(batch, extra)

    found.step.forward = counting
    with pytest.raises(Stopped):
        found.fit()


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_every_precision_learns_and_resumes(tmp_path, precision):
    changes = {"precision": precision, "max_epoch": 6, "dropout": 0.2, "sgd": 0.05}
    whole = trainer(tmp_path / "a", **changes)
    whole.fit()
    losses = [line["loss"] for line in whole.history if line["split"] == "train"]
    assert losses[-1] < losses[0]
    _stopped_after(trainer(tmp_path / "b", **changes), 5)
    resumed = trainer(tmp_path / "b", **changes)
    resumed.fit()
    for name, tensor in weights(whole).items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, weights(resumed)[name])


def test_fp16_scales_the_loss_and_finds_its_scale(tmp_path):
    """A scale that makes gradients infinite costs some updates and is no reason to give up."""
    found = trainer(tmp_path, precision="fp16", values=(300.0, 200.0), max_epoch=40, batch=1)
    scaler = found.step.optimisers[0].scaler
    assert scaler is not None
    found.fit()
    assert scaler.get_scale() < 65536 and found.progress.at.skipped > 0
    assert found.progress.at.skipped_in_a_row == 0
    assert "scaler" in found.step.optimisers[0].state_dict()


def test_a_speech_recogniser_in_bf16(tiny, tmp_path):
    train_model("asr", tiny.places("asr", tmp_path, {"precision": "bf16"}), "cpu")
    state = torch.load(tmp_path / "valid.loss.ave.pth")
    assert {t.dtype for t in state.values() if t.is_floating_point()} == {torch.float32}


def test_another_word_is_refused():
    with pytest.raises(UserError, match="found 'half', expected one of fp32, tf32, bf16, fp16"):
        set_precision("cpu", "half")


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_moves_the_rate_and_resumes(tmp_path, name):
    changes = {"scheduler": name, "scheduler_conf": SCHEDULES[name], "max_epoch": 4}
    whole = trainer(tmp_path / "a", **changes)
    whole.fit()
    rates = [line["lr"] for line in whole.history if line["split"] == "train"]
    assert len(set(rates)) > 1
    _stopped_after(trainer(tmp_path / "b", **changes), 3)
    resumed = trainer(tmp_path / "b", **changes)
    resumed.fit()
    assert [line["lr"] for line in resumed.history if line["split"] == "train"] == rates
    for key, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[key])


class Parts(torch.nn.Module):
    """One of each kind."""

    def __init__(self):
        super().__init__()
        self.words, self.out = torch.nn.Embedding(5, 4), torch.nn.Linear(4, 3)
        self.norm, self.conv = torch.nn.LayerNorm(4), torch.nn.Conv1d(4, 4, 3)


@pytest.mark.parametrize("fused", [False, True])
def test_biases_norms_and_embeddings_do_not_decay(fused):
    model = Parts()
    spared = without_decay(model)
    names = {name for name, p in model.named_parameters() if id(p) in spared}
    assert names == {"words.weight", "out.bias", "norm.weight", "norm.bias", "conv.bias"}
    conf = {"lr": 0.1, "weight_decay": 0.5, "fused": fused}
    config = {**TRAINING, "optim": "adamw", "optim_conf": conf}
    optimiser = Optimiser(model.parameters(), config, spared=spared)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.update()
    for name, parameter in model.named_parameters():
        kept = 1.0 if name in names else 0.95
        assert torch.allclose(parameter, kept * before[name]), name
