"""Which device a name means."""

import pytest
import torch

from espnet_ext.bridge.device import choose_device
from espnet_ext.errors import UserError


@pytest.fixture
def gpus(monkeypatch):
    """Let torch believe in so many GPUs."""

    def pretend(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return pretend


@pytest.mark.parametrize(
    ("number", "name", "found"),
    [(0, None, "cpu"), (0, "cpu", "cpu"), (2, None, "cuda"), (2, "cuda", "cuda"), (2, "cuda:1", "cuda:1"),
     (2, "cpu", "cpu")],
)  # fmt: skip
def test_what_is_there(gpus, number, name, found):
    gpus(number)
    assert choose_device(name) == choose_device(name, training=True) == found


@pytest.mark.parametrize(
    ("number", "name", "words"),
    [(0, "cuda", "found no GPU .*gpu=0"), (0, "cuda:1", "found no GPU"), (1, "cuda:1", "found 1 GPU that"),
     (2, "cuda:2", "found 2 GPUs"), (1, "gpu", "found 'gpu', expected cpu, cuda")],
)  # fmt: skip
def test_what_is_not(gpus, number, name, words):
    gpus(number)
    with pytest.raises(UserError, match=words):
        choose_device(name)


def test_training_takes_one_of_those_that_a_job_was_given(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with pytest.raises(UserError, match=r"found 2 GPUs \(CUDA_VISIBLE_DEVICES=3,5\), expected one"):
        choose_device("cuda", training=True)
    assert choose_device("cuda") == "cuda" and choose_device("cuda:1", training=True) == "cuda:1"
