"""Mean and variance of each channel of an utterance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.asr.multichannel.normalize import ChannelMVN
from espnet_ext.bridge.choices import find_class

NAME = "espnet_ext.asr.multichannel.normalize:ChannelMVN"


@given(st.integers(2, 40), st.integers(0, 30), st.floats(-50, 50))
@settings(max_examples=40, deadline=None)
def test_each_utterance_by_itself_whatever_follows_it(length: int, padding: int, level: float):
    feats = np.random.default_rng(length).normal(level, 3, (length, 5)).astype(np.float32)
    expected = (feats - feats.mean(0)) / np.maximum(feats.std(0), 1e-3)
    padded = torch.full((1, length + padding, 5), 7.0)
    padded[0, :length] = torch.from_numpy(feats)
    found, lengths = find_class("asr", "normalize", NAME)()(padded, torch.tensor([length]))
    assert np.allclose(found[0, :length], expected, atol=2e-3) and lengths.tolist() == [length]
    assert not found[0, length:].any()


def test_stock_counts_the_padding_into_the_variance():
    """The reason for this class; should it fail, stock has been mended."""
    stock = find_class("asr", "normalize", "utterance_mvn")(norm_vars=True)
    feats = 5 + torch.randn(1, 20, 3, generator=torch.Generator().manual_seed(0))
    padded, length = torch.nn.functional.pad(feats, (0, 0, 0, 60)), torch.tensor([20])
    alone = stock(feats.clone(), length)[0]
    assert not torch.allclose(stock(padded.clone(), length)[0][:, :20], alone, atol=0.1)
    assert torch.allclose(ChannelMVN()(padded, length)[0][:, :20], alone, atol=1e-3)


@pytest.mark.parametrize("variance", [True, False])
def test_silence_and_gradients(variance: bool):
    feats = torch.zeros(2, 6, 3, dtype=torch.float64)
    assert not ChannelMVN(variance)(feats)[0].any()
    feats = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 3])
    assert torch.autograd.gradcheck(lambda x: ChannelMVN(variance)(x, lengths)[0], (feats,))
