"""Small acoustic models and a batch for them."""

from __future__ import annotations

import pytest
import torch

SMALL = {
    "width": 16,
    "encoder": {"blocks": 1, "inner": 16, "kernel": 3},
    "decoder": {"blocks": 1, "inner": 16, "kernel": 3, "postnet": 2, "postnet_width": 8},
    "pitch": {"layers": 1, "bins": 32},
    "energy": {"layers": 1, "bins": 32},
    "alignment": {"binarise_after": 0},
}


@pytest.fixture
def acoustic():
    """Makes a model of 9 tokens and 6 mel bins; what is given is joined with the small sizes."""
    from espnet_ext.tts.acoustic import AcousticModel

    def make(**changes):
        torch.manual_seed(0)
        conf = {**SMALL}
        for name, value in changes.items():
            conf[name] = {**SMALL.get(name, {}), **value} if isinstance(value, dict) else value
        return AcousticModel(9, 6, **conf).eval()

    return make


@pytest.fixture
def batch():
    """Three utterances of different lengths; pitch has gaps."""
    torch.manual_seed(1)
    pitch = 4.5 + torch.rand(3, 20, 1)
    pitch[:, 5:8] = 0
    return {
        "text": torch.tensor([[2, 3, 4, 5], [6, 2, 0, 0], [3, 3, 7, 0]]),
        "text_lengths": torch.tensor([4, 2, 3]),
        "feats": torch.randn(3, 20, 6),
        "feats_lengths": torch.tensor([15, 20, 9]),
        "pitch": pitch,
        "energy": 3 * torch.rand(3, 20, 1),
    }
