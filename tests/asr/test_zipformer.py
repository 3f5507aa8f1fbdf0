"""Zipformer's parts against their formulas."""

import math

import pytest
import torch

from espnet_ext.asr.stream import Context
from espnet_ext.asr.zipformer import (
    AttentionWeights,
    BiasNorm,
    Bypass,
    NonlinearAttention,
    Stack,
    Values,
    ZipformerBlock,
    make_stacks,
    swoosh,
)


def test_swoosh_has_the_papers_constants():
    x = torch.linspace(-5, 5, 11)
    right = torch.log(1 + torch.exp(x - 1)) - 0.08 * x - 0.313261687
    left = torch.log(1 + torch.exp(x - 4)) - 0.08 * x - 0.035
    assert torch.allclose(swoosh(x, 1.0), right, atol=1e-5)
    assert torch.allclose(
        swoosh(x, 4.0), left, atol=0.02
    )  # the paper rounds, ours passes through 0
    assert swoosh(torch.zeros(1), 4.0).item() == pytest.approx(0, abs=1e-6)


def test_bias_norm_is_its_formula():
    norm, x = BiasNorm(4), torch.randn(3, 5, 4)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([1.0, -2.0, 0.5, 0.0]))
        norm.scale.fill_(0.7)
    rms = (x - norm.bias).square().mean(-1, keepdim=True).sqrt()
    assert torch.allclose(norm(x), x / rms * math.exp(0.7), rtol=1e-3)
    assert torch.isfinite(BiasNorm(4)(torch.zeros(2, 4))).all()


def test_bypass_begins_in_the_middle_and_stays_in_its_range():
    bypass, before, after = Bypass(3), torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    assert torch.allclose(bypass(before, after), torch.tensor(0.5))
    with torch.no_grad():
        bypass.logit.copy_(torch.tensor([-99.0, 99.0, 0.0]))
    assert torch.allclose(bypass(before, after)[0, 0], torch.tensor([0.2, 1.0, 0.6]))


def test_weights_are_shares_and_padding_gets_none():
    torch.manual_seed(0)
    attend = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])[:, None, None]
    weights = AttentionWeights(8, 2, 4, 4)(torch.randn(2, 5, 8), attend)
    assert weights.shape == (2, 2, 5, 5)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 5))
    assert (weights[1, :, :, 3:] == 0).all() and (weights[0] > 0).all()


def test_given_weights_decide_what_is_mixed():
    torch.manual_seed(0)
    values, nonlinear, x = Values(8, 2, 4), NonlinearAttention(8), torch.randn(1, 4, 8)
    itself = torch.eye(4).expand(1, 2, 4, 4)
    direct = values.project_out(values.project_in(x))
    assert torch.allclose(values(x, itself), direct, atol=1e-6)
    a, b, c = nonlinear.project_in(x).chunk(3, dim=-1)
    assert torch.allclose(nonlinear(x, itself), nonlinear.project_out(a * b.tanh() * c), atol=1e-6)
    mean = torch.full((1, 2, 4, 4), 0.25)
    assert torch.allclose(values(x, mean)[0, 0], direct.mean(1)[0], atol=1e-6)


def test_one_set_of_weights_serves_three_modules():
    block = ZipformerBlock(8, 2, 16, 3, 0.0)
    calls = []
    block.weights.register_forward_hook(lambda *_: calls.append(1))
    block(torch.randn(1, 5, 8), Context())
    assert len(calls) == 1
    inner = [part[0].out_features for part in block.feed_forwards]
    assert inner == [12, 16, 20]


def test_a_stack_sees_fewer_frames_and_gives_back_all():
    torch.manual_seed(0)
    stack = Stack([ZipformerBlock(8, 2, 16, 3, 0.0)], 8, 3).eval()
    seen = []
    stack.blocks[0].register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    x = torch.randn(2, 7, 8)
    out = stack(x, Context())
    given, made = seen[0]
    assert given.shape == (2, 3, 8) and out.shape == x.shape
    assert torch.allclose(given[:, 0], x[:, :3].mean(1), atol=1e-6)
    assert torch.allclose(out[:, 3:6], 0.5 * x[:, 3:6] + 0.5 * made[:, 1:2], atol=1e-6)


def test_blocks_are_spread_evenly():
    stacks = make_stacks(6, (1, 2, 4), 8, 2, 16, 3, 0.0)
    assert [(len(s.blocks), s.factor) for s in stacks] == [(2, 1), (2, 2), (2, 4)]
    with pytest.raises(ValueError, match="4 blocks and resolutions"):
        make_stacks(4, (1, 2, 4), 8, 2, 16, 3, 0.0)
