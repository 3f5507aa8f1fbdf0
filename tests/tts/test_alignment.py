"""Alignments against exhaustive search."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.tts.alignment import (
    Aligner,
    best_durations,
    forward_sum_loss,
    hard_path,
    log_prior,
    token_means,
)


def compositions(frames, tokens):
    """All durations >= 1 of `tokens` tokens that add up to `frames`."""
    for cuts in itertools.combinations(range(1, frames), tokens - 1):
        edges = (0, *cuts, frames)
        yield [b - a for a, b in itertools.pairwise(edges)]


def score(log_p, durations):
    tokens = [n for n, d in enumerate(durations) for _ in range(d)]
    return sum(float(log_p[t, n]) for t, n in enumerate(tokens))


SIZES = st.integers(1, 5).flatmap(lambda n: st.tuples(st.just(n), st.integers(n, 9)))


@given(st.lists(SIZES, min_size=1, max_size=3), st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_the_best_of_all_paths(sizes, seed):
    torch.manual_seed(seed)
    texts, mels = (torch.tensor(x) for x in zip(*sizes, strict=True))
    log_p = (3 * torch.randn(len(sizes), int(mels.max()), int(texts.max()))).log_softmax(-1)
    log_p[torch.arange(log_p.shape[2])[None, None].expand_as(log_p) >= texts[:, None, None]] = (
        float("-inf")
    )
    found = best_durations(log_p, texts, mels)
    for row, durations, (n, t) in zip(log_p, found.tolist(), sizes, strict=True):
        assert sum(durations) == t and min(durations[:n]) >= 1 and not any(durations[n:])
        best = max(score(row, d) for d in compositions(t, n))
        assert score(row, durations[:n]) == pytest.approx(best, abs=1e-4)


@given(st.integers(1, 4), st.integers(1, 7), st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_the_forward_sum_is_the_sum_over_all_paths(tokens, frames, seed):
    """The paper's loss is CTC whose blank has the log weight -1 beside log probabilities, normalised anew.

    CTC may pass through a blank between two tokens, before and after them; so the sum goes over all labellings of
    frames by token or blank that read 1, 2, ..., N.
    """
    frames = max(frames, tokens)
    torch.manual_seed(seed)
    log_p = torch.randn(1, frames, tokens).log_softmax(-1)
    found = forward_sum_loss(log_p, torch.tensor([tokens]), torch.tensor([frames]))
    with_blank = torch.cat((torch.full((frames, 1), -1.0), log_p[0]), 1).log_softmax(-1).double()
    total = 0.0
    for labels in itertools.product(range(tokens + 1), repeat=frames):
        read = [k for k, _ in itertools.groupby(labels) if k]
        if read == list(range(1, tokens + 1)):
            total += float(
                torch.stack([with_blank[t, k] for t, k in enumerate(labels)]).sum().exp()
            )
        if tokens**frames > 5000:
            return
    assert float(found) == pytest.approx(-torch.tensor(total).log().item() / tokens, abs=1e-4)


def test_padding_changes_neither_loss_nor_gradient():
    torch.manual_seed(0)
    small = torch.randn(1, 8, 3).requires_grad_()
    padded = torch.nn.functional.pad(small, (0, 2, 0, 4), value=0.3)
    padded = padded.masked_fill(torch.arange(5) >= 3, float("-inf"))
    alone = forward_sum_loss(small.log_softmax(-1), torch.tensor([3]), torch.tensor([8]))
    both = forward_sum_loss(padded.log_softmax(-1), torch.tensor([3]), torch.tensor([8]))
    assert float(alone) == pytest.approx(float(both), rel=1e-4)
    one, two = (torch.autograd.grad(x, small, retain_graph=True)[0] for x in (alone, both))
    assert torch.allclose(one, two, atol=1e-4) and torch.isfinite(two).all()


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=3),
    st.integers(0, 9),
)
@settings(deadline=None)
def test_a_path_repeats_tokens_and_means_undo_it(durations, more):
    numbers = torch.tensor(durations)
    frames = int(numbers.sum(1).max()) + more
    path = hard_path(numbers, frames)
    assert path.sum(1).long().tolist() == durations
    for row, d in zip(path, durations, strict=True):
        tokens = [n for n, times in enumerate(d) for _ in range(times)]
        assert (
            row[: len(tokens)].argmax(-1).tolist() == tokens
            and float(row[len(tokens) :].sum()) == 0
        )
    values = torch.randn(len(durations), 3, 2)
    means = token_means(path @ values, path)
    spoken = (numbers > 0)[..., None]
    assert torch.allclose(means, values * spoken, atol=1e-5)


@pytest.mark.parametrize(("tokens", "frames"), [(1, 1), (1, 5), (4, 4), (7, 30), (40, 300)])
def test_the_prior_is_a_distribution_along_the_diagonal(tokens, frames):
    prior = log_prior(torch.tensor([tokens]), torch.tensor([frames]))[0].exp()
    assert torch.allclose(prior.sum(1), torch.ones(frames), atol=1e-4)
    mean = prior @ torch.arange(float(tokens))
    expected = (tokens - 1) * torch.arange(1, frames + 1) / (frames + 1)
    assert torch.allclose(mean, expected.float(), atol=1e-3 * tokens)


def test_the_prior_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    sizes = [(3, 9), (5, 6), (1, 4), (6, 6)]
    prior = log_prior(*(torch.tensor(lengths) for lengths in zip(*sizes, strict=True)))
    assert prior.shape == (4, 9, 6)
    for row, (tokens, frames) in zip(prior.numpy(), sizes, strict=True):
        for t in range(1, frames + 1):
            expected = stats.betabinom.logpmf(range(tokens), tokens - 1, t, frames + 1 - t)
            assert row[t - 1, :tokens] == pytest.approx(expected, abs=1e-5)
        assert not row[frames:].any() and not row[:, tokens:].any()


def test_means_are_whole_where_the_model_computes_in_half_of_the_bits():
    """A step of bfloat16 at the logarithm of 150 Hz is half a semitone."""
    path = hard_path(torch.tensor([[3, 2]]), 5)
    pitch = torch.tensor([[[5.01], [5.02], [5.03], [4.52], [4.54]]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = token_means(pitch, path)
    assert found.flatten().tolist() == pytest.approx([5.02, 4.53], abs=1e-5)


def test_the_aligner_is_normalised_over_real_tokens():
    torch.manual_seed(0)
    aligner, mask = Aligner(6, 5, width=4), torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    log_p = aligner(
        torch.randn(2, 4, 6),
        torch.randn(2, 7, 5),
        mask,
        torch.ones(2, 7, dtype=torch.bool),
        torch.zeros(2, 7, 4),
    )
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(2, 7), atol=1e-5)
    assert torch.isinf(log_p[1, :, 2:]).all()
