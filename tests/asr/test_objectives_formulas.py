"""Each objective against its formula, written out another way."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence
from torch.nn import functional as F

from espnet_ext.asr.objectives.consistency import SharedWarp, divergence, share_warps
from espnet_ext.asr.objectives.guided import GuidedAttention, cross_attention, penalties
from espnet_ext.asr.objectives.phones import PhoneHead
from espnet_ext.asr.objectives.smoothing import smoothed_cross_entropy
from espnet_ext.asr.objectives.speaker import SpeakerHead, mean_and_deviation, reverse_gradient
from espnet_ext.bridge.imports import legacy
from espnet_ext.errors import UserError


@settings(max_examples=15, deadline=None)
@given(
    st.integers(3, 9),
    st.floats(0, 0.6),
    st.booleans(),
    st.integers(0, 2**31),
    st.sampled_from([-1, 0]),
)
def test_label_smoothing_is_stocks(size, smoothing, per_token, seed, ignore):
    torch.manual_seed(seed)
    logits = torch.randn(3, 4, size, dtype=torch.double, requires_grad=True)
    target = torch.randint(1, size, (3, 4))
    target[1, 2:], target[2, 1:] = ignore, ignore
    stock = legacy("nets.pytorch_backend.transformer.label_smoothing_loss").LabelSmoothingLoss
    gradients = []
    for loss in (
        smoothed_cross_entropy(logits, target, ignore, smoothing, per_token),
        stock(size, ignore, smoothing, per_token)(logits, target),
    ):
        gradients.append((loss.detach(), *torch.autograd.grad(loss, logits)))
    for mine, theirs in zip(*gradients, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


def test_a_prediction_equal_to_the_smoothed_target_costs_nothing():
    target = torch.tensor([[2, 0]])
    wanted = torch.full((1, 2, 5), 0.1 / 4)
    wanted.scatter_(2, target[..., None], 0.9)
    assert float(smoothed_cross_entropy(wanted.log(), target, -1, 0.1)) == pytest.approx(
        0, abs=1e-6
    )


@given(st.integers(0, 2**31), st.booleans())
@settings(max_examples=10, deadline=None)
def test_divergence_is_the_symmetric_kl(seed, stop):
    torch.manual_seed(seed)
    logits = torch.randn(4, 5, 3, dtype=torch.double, requires_grad=True)
    lengths = torch.tensor([5, 2, 5, 2])
    mask = torch.arange(5) < lengths[:, None]
    found = divergence(logits.log_softmax(-1), mask, stop)
    held = logits.detach() if stop else logits
    expected = 0
    for utt, length in enumerate([5, 2]):
        for frame in range(length):
            for mine, other in ((utt, utt + 2), (utt + 2, utt)):
                target = Categorical(logits=held[other, frame])
                expected += kl_divergence(target, Categorical(logits=logits[mine, frame])) / 4
    assert torch.allclose(found, expected)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (found, expected)]
    assert torch.allclose(*gradients)
    same = logits[:1].detach().log_softmax(-1).expand(4, -1, -1)
    assert float(divergence(same, mask, stop)) == 0


def test_without_warp_there_is_nothing_to_share():
    assert share_warps(None) == [] and share_warps(torch.nn.ReLU()) == []
    alone = SharedWarp(_Double())
    x, lengths = torch.arange(8.0).view(4, 2, 1), torch.tensor([2, 2, 2, 2])
    assert torch.equal(alone(x, lengths)[0], 2 * x)
    alone.shared = True
    assert torch.equal(alone(x, lengths)[0], 2 * torch.cat((x[:2], x[:2])))


class _Double(torch.nn.Module):
    def forward(self, x, lengths):
        return 2 * x, lengths


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 7)), min_size=1, max_size=3),
    st.floats(0.05, 2),
)
@settings(max_examples=10, deadline=None)
def test_penalties_of_guided_attention(sizes, sigma):
    tokens, frames = (torch.tensor(n) for n in zip(*sizes, strict=True))
    found = penalties(tokens, frames, sigma)
    assert found.shape == (len(sizes), int(tokens.max()), int(frames.max()))
    for row, (length, width) in enumerate(sizes):
        for line in range(found.shape[1]):
            for column in range(found.shape[2]):
                distance = line / length - column / width
                inside = line < length and column < width
                expected = 1 - math.exp(-(distance**2) / (2 * sigma**2)) if inside else 0
                assert float(found[row, line, column]) == pytest.approx(expected, abs=1e-5)


def test_guided_attention_prefers_the_diagonal_and_leaves_other_heads_alone():
    straight, backwards = torch.eye(6)[None, None], torch.eye(6).flip(0)[None, None]
    size = torch.tensor([6])
    led = GuidedAttention(sigma=0.2, layers=1, heads=1)
    assert float(led([straight], size, size)) == pytest.approx(0, abs=1e-6)
    assert float(led([backwards], size, size)) > 0.4
    assert float(led([backwards, straight], size, size)) == pytest.approx(0, abs=1e-6)
    both = torch.cat((straight, backwards), dim=1)
    assert float(led([both], size, size)) == pytest.approx(0, abs=1e-6)
    uniform = torch.full((1, 1, 6, 6), 1 / 6)
    expected = float(penalties(size, size, 0.2).mean())
    assert float(led([uniform], size, size)) == pytest.approx(expected, rel=1e-5)


def test_a_decoder_without_attention_over_the_input():
    with pytest.raises(UserError, match=r"guided_attention_weight.*transformer"):
        cross_attention(torch.nn.LSTM(2, 2))


def test_statistics_over_time_are_those_of_each_utterance_alone():
    torch.manual_seed(0)
    x, mask = torch.randn(3, 7, 4), torch.arange(7) < torch.tensor([[7], [1], [4]])
    found = mean_and_deviation(x, mask)
    for row, length in enumerate([7, 1, 4]):
        alone = x[row, :length].numpy()
        assert np.allclose(found[row, :4], alone.mean(0), atol=1e-5)
        assert np.allclose(found[row, 4:], np.sqrt(alone.var(0) + 1e-6), atol=1e-5)


def test_a_reversed_gradient_has_the_other_sign_twice_the_same():
    x = torch.randn(3, dtype=torch.double, requires_grad=True)
    (once,) = torch.autograd.grad(reverse_gradient(x).square().sum(), x)
    (twice,) = torch.autograd.grad(reverse_gradient(reverse_gradient(x)).square().sum(), x)
    assert torch.equal(once, -2 * x) and torch.equal(twice, 2 * x)


def test_a_speaker_head_learns_who_speaks():
    torch.manual_seed(0)
    voices, head = torch.randn(3, 6), SpeakerHead(6, 3, "helpful")
    sids = torch.tensor([1, 2, 3, 1, 0])
    x = voices[sids - 1][:, None] + 0.3 * torch.randn(5, 9, 6)
    step = torch.optim.Adam(head.parameters(), 0.03)
    for _ in range(30):
        loss, share = head(x, torch.ones(5, 9, dtype=torch.bool), sids)
        step.zero_grad()
        loss.backward()
        step.step()
    assert float(share) == 1 and float(loss) < 0.2


def test_phones_that_do_not_fit_count_as_nothing():
    torch.manual_seed(0)
    head = PhoneHead(4, 5)
    x, lengths = torch.randn(2, 3, 4, requires_grad=True), torch.tensor([3, 3])
    phones = torch.tensor([[1, 1, 2, -1], [1, 2, 3, 4]])
    loss = head(x, lengths, phones, torch.tensor([2, 4]))
    log_probs = head.out(x[0]).log_softmax(-1)
    expected = (
        F.ctc_loss(log_probs, phones[0, :2], lengths[0], torch.tensor(2), reduction="sum") / 2
    )
    assert float(loss) == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert bool(torch.isfinite(x.grad).all()) and x.grad[1].abs().max() == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SpeakerHead(4, 3, "loud"), "speaker_mode"),
        (lambda: SpeakerHead(4, 1, "helpful"), "speakers: found 1"),
        (lambda: PhoneHead(4, 0), "phones: found 0"),
    ],
)
def test_wrong_heads(make, words):
    with pytest.raises(ValueError, match=words):
        make()
