"""Dropout by bytes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.asr.dropout import ByteDropout, Noise, StochasticDepth


@pytest.mark.parametrize("probability", [0.003, 0.1, 0.25, 0.5, 0.9])
def test_how_many_are_dropped_and_that_the_mean_stays(probability):
    torch.manual_seed(0)
    number = 400_000
    found = ByteDropout(probability).train()(torch.ones(number))
    rounded = max(1, round(probability * 256)) / 256
    spread = 5 * (rounded * (1 - rounded) / number) ** 0.5
    assert abs(float((found == 0).float().mean()) - rounded) < spread
    assert abs(float(found.mean()) - 1) < spread / (1 - rounded)
    assert found.unique().tolist() == pytest.approx([0.0, 1 / (1 - rounded)])


def test_neighbours_are_independent():
    torch.manual_seed(0)
    dropped = (ByteDropout(0.5).train()(torch.ones(200_000)) == 0).float() - 0.5
    for lag in (1, 2, 6, 7, 8, 14):
        assert abs(float((dropped[lag:] * dropped[:-lag]).mean())) < 0.0025


def test_the_gradient_goes_where_the_value_went():
    x = torch.randn(50, 7, requires_grad=True)
    found = ByteDropout(0.3).train()(x)
    found.sum().backward()
    assert torch.allclose(x.grad * x.detach(), found.detach())
    assert set(x.grad.unique().tolist()) == {0.0, x.grad.max().item()}


def test_nothing_happens_in_evaluation_or_without_probability():
    x = torch.randn(5)
    assert ByteDropout(0.9).eval()(x) is x and ByteDropout(0.0).train()(x) is x


def test_the_seed_decides():
    layer, x = ByteDropout(0.5).train(), torch.ones(100)
    torch.manual_seed(1)
    one, two = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), one) and torch.equal(layer(x), two) and not torch.equal(one, two)


@given(st.lists(st.integers(0, 9), max_size=4))
@settings(deadline=None, max_examples=40)
def test_any_shape_also_seen_from_the_side(shape):
    layer, x = ByteDropout(0.5).train(), torch.ones(shape)
    assert layer(x).shape == x.shape
    if x.dim() >= 2:
        assert layer(x.transpose(0, 1)).shape == x.transpose(0, 1).shape


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_what_is_no_probability(probability):
    with pytest.raises(ValueError, match="found dropout"):
        ByteDropout(probability)


def test_noise_has_the_deviation_asked_for():
    torch.manual_seed(0)
    x = torch.full((400, 500), 3.0)
    noise = Noise(0.5).train()
    found = noise(x) - x
    assert float(found.std()) == pytest.approx(0.5, rel=0.01)
    assert float(found.mean()) == pytest.approx(0, abs=0.005)
    assert noise.eval()(x) is x and Noise(0.0).train()(x) is x


def test_stochastic_depth_keeps_the_mean_and_decides_by_utterance():
    torch.manual_seed(0)
    before, after = torch.randn(1, 4, 3).expand(20000, 4, 3), torch.randn(1, 4, 3)
    layer = StochasticDepth(0.3)
    found = layer.train()(before, after.expand(20000, 4, 3))
    past = (found == before).flatten(1)
    assert torch.equal(past.any(1), past.all(1))
    assert float(past[:, 0].float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.allclose(found.mean(0), after[0], atol=0.05)
    assert layer.eval()(before, after) is after
