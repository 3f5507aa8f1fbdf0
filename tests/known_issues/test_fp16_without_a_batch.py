"""In fp16 a process that had no batch in its first update, or in the first after a resume, failed with an assertion."""

import torch

from espnet_ext.train.config import TRAINING
from espnet_ext.train.optimise import Optimiser


def _optimiser():
    model = torch.nn.Linear(1, 1)
    config = {**TRAINING, "precision": "fp16", "optim": "sgd", "optim_conf": {"lr": 1.0}}
    return model, Optimiser(model.parameters(), {**config, "grad_clip": None})


def test_its_gradients_are_those_of_the_others():
    model, optimiser = _optimiser()
    resumed, other = _optimiser()
    optimiser.scaler.update(1024.0)
    other.load_state_dict(optimiser.state_dict())
    for which, by, scale in ((model, optimiser, 1024.0), (resumed, other, 1024.0)):
        before = which.weight.detach().clone()
        for parameter in which.parameters():
            parameter.grad = torch.full_like(parameter, scale / 2)
        assert by.update() is not None
        assert torch.allclose(before - which.weight, torch.tensor([[0.5]]))
