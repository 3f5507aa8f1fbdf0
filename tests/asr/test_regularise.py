"""Penalties against their formulas and torch's own singular values."""

import pytest
import torch
from torch import nn

from espnet_ext.asr.regularise import frobenius, matrices, spectral


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 7), nn.LayerNorm(7), nn.Conv1d(4, 3, 2), nn.Conv1d(6, 6, 3, groups=6)
    ).double()


def test_which_weights():
    assert [tuple(w.shape) for w in matrices(net())] == [(7, 5), (3, 8)]
    model = net()
    model[0].weight.requires_grad_(False)
    assert [tuple(w.shape) for w in matrices(model)] == [(3, 8)]


def test_frobenius_is_the_mean_square_of_singular_values():
    expected = torch.stack([torch.linalg.svdvals(w).square().mean() for w in matrices(net())])
    assert frobenius(net()).item() == pytest.approx(expected.mean().item(), rel=1e-9)


def test_spectral_is_the_square_of_the_largest():
    expected = torch.stack([torch.linalg.svdvals(w)[0].square() for w in matrices(net())])
    assert spectral(net(), 300).item() == pytest.approx(expected.mean().item(), rel=1e-9)
    assert 0.5 * expected.mean() < spectral(net(), 2) <= expected.mean()


@pytest.mark.parametrize("penalty", [frobenius, lambda m: spectral(m, 200)])
def test_gradients_are_those_of_finite_differences(penalty):
    model = net()
    penalty(model).backward()
    for layer in (model[0], model[2]):
        weight = layer.weight
        for place in range(0, weight.numel(), 3):
            flat, values = weight.data.view(-1), []
            for step in (1e-6, -2e-6):
                flat[place] += step
                values.append(penalty(model).item())
            flat[place] += 1e-6
            found = float(weight.grad.view(-1)[place])
            assert found == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_gradients_are_those_of_the_formulas():
    model = nn.Linear(3, 2, bias=False).double()
    frobenius(model).backward()
    assert torch.allclose(model.weight.grad, 2 * model.weight / 2)
    model.weight.grad = None
    spectral(model, 200).backward()
    u, s, v = torch.linalg.svd(model.weight.detach())
    assert torch.allclose(model.weight.grad, 2 * s[0] * torch.outer(u[:, 0], v[0]))


def test_descending_shrinks_the_largest_only():
    torch.manual_seed(0)
    model = nn.Linear(20, 20)
    with torch.no_grad():
        model.weight.copy_(torch.diag(torch.tensor([9.0] + [1.0] * 19)))
    for _ in range(5):
        (gradient,) = torch.autograd.grad(spectral(model), model.weight)
        with torch.no_grad():
            model.weight -= 0.1 * gradient
    values = torch.linalg.svdvals(model.weight)
    assert 2 < values[0] < 4 and torch.allclose(values[1:], torch.ones(19), atol=1e-3)


def test_the_random_numbers_of_training_are_left_alone():
    model = net()
    before = torch.get_rng_state()
    assert torch.equal(spectral(model), spectral(model))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_matrix_of_zeros_costs_nothing_and_does_not_break():
    model = nn.Linear(4, 4)
    nn.init.zeros_(model.weight)
    (spectral(model) + frobenius(model)).backward()
    assert torch.equal(model.weight.grad, torch.zeros(4, 4))


def test_nothing_to_penalise():
    for penalty in (frobenius, spectral):
        with pytest.raises(ValueError, match="no linear"):
            penalty(nn.LayerNorm(3))
