"""Layers with packed weights compute what they did before."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from espnet_ext.asr import packed
from espnet_ext.asr.packed import pack
from espnet_ext.vocoder.vocos import Vocos


@pytest.fixture(autouse=True)
def needed():
    if not packed._works():
        pytest.skip("this torch has no oneDNN")


@settings(max_examples=15, deadline=None)
@given(
    st.integers(64, 130),
    st.integers(64, 130),
    st.sampled_from([(1, 0, 1), (3, 1, 1), (5, 2, 1), (3, 4, 3), (7, 0, 2)]),
    st.integers(13, 300),
    st.integers(1, 3),
    st.booleans(),
)
def test_any_layer_on_any_length(inside, outside, shape, length, batch, bias):
    kernel, padding, dilation = shape
    torch.manual_seed(length)
    layers = (
        (nn.Linear(inside, outside, bias), torch.randn(batch, length, inside)),
        (
            nn.Conv1d(inside, outside, kernel, 1, padding, dilation, bias=bias),
            torch.randn(batch, length, inside).transpose(1, 2),
        ),
    )
    for layer, x in layers:
        plain = copy.deepcopy(layer)
        pack(layer)
        assert "forward" in vars(layer)
        with torch.no_grad():
            for given_ in (
                (x, x.contiguous(), x[0])
                if x.dim() == 3 and type(layer) is nn.Linear
                else (x, x.contiguous())
            ):
                assert torch.allclose(layer(given_), plain(given_), atol=1e-4)


def test_what_cannot_be_packed_stays():
    kept = (
        nn.Linear(8, 8),
        nn.Conv1d(128, 128, 3, groups=128),
        nn.Conv1d(128, 128, 3, stride=2),
        nn.Conv1d(128, 128, 3, padding="same"),
        nn.Conv1d(128, 128, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose1d(128, 128, 4, 2),
        nn.MultiheadAttention(128, 2).out_proj,
    )
    for layer in kept:
        assert "forward" not in vars(pack(layer))


def test_gradients_and_traces_are_as_before():
    layer = pack(nn.Linear(128, 128))
    x = torch.randn(4, 128, requires_grad=True)
    layer(x).sum().backward()
    assert torch.allclose(x.grad, layer.weight.sum(0).expand(4, -1), atol=1e-4)
    with torch.no_grad():
        assert "mkldnn" not in str(torch.jit.trace(layer, torch.randn(4, 128)).graph)
        assert layer(torch.randn(3, 128).double().float()).shape == (3, 128)


def test_a_torch_without_it_changes_nothing(monkeypatch):
    monkeypatch.setattr(packed, "_works", lambda: False)
    assert "forward" not in vars(pack(nn.Linear(128, 128)))


def test_a_whole_vocoder():
    torch.manual_seed(0)
    vocoder = Vocos(80, 256, width=128, inner=256, blocks=2).eval()
    mel = torch.randn(2, 80, 33)
    with torch.no_grad():
        expected = vocoder(mel)
        assert torch.allclose(pack(vocoder)(mel), expected, atol=1e-5)
