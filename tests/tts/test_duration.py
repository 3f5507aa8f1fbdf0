"""Durations: whole frames, regularisation, drawn ones."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.tts.alignment import frame_tokens, hard_path, spread
from espnet_ext.tts.duration import DurationOptions, make_durations, stretched, whole_frames

LENGTHS = st.lists(st.floats(0.01, 30), min_size=1, max_size=60)


@given(LENGTHS, st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_whole_frames_add_up(lengths, padding):
    row = torch.tensor([[*lengths, *[7.0] * padding]])
    mask = torch.arange(row.shape[1])[None] < len(lengths)
    found = whole_frames(row, mask)[0]
    assert int(found.sum()) >= 1 and int(found.min()) >= 0 and not found[len(lengths) :].any()
    if sum(lengths) > 1:
        assert abs(float(found.sum()) - sum(lengths)) <= 0.51
    for length, frames in zip(lengths, found.tolist(), strict=False):
        assert abs(frames - length) <= 1.01
        assert length < 1.01 or frames >= 1


@given(LENGTHS, st.data())
@settings(deadline=None, max_examples=60)
def test_each_word_is_stretched_to_half_a_frame(lengths, data):
    """Whatever the tokens' factors are: each run of one factor, and what is not changed stays."""
    row, mask = torch.tensor([lengths]), torch.ones(1, len(lengths), dtype=torch.bool)
    some = st.sampled_from([0.5, 0.7, 1.0, 1.4, 2.0])
    factors = data.draw(st.lists(some, min_size=len(lengths), max_size=len(lengths)))
    plain = whole_frames(row, mask)[0]
    found = stretched(row, torch.tensor([factors]), mask)[0]
    assert int(found.min()) >= 0 and int(found.sum()) >= 1
    if int(found.sum()) == 1:
        return  # nothing is as long as a frame; one is spoken all the same
    changes = [0, *(a != b for a, b in pairwise(factors))]
    runs = torch.tensor(changes).cumsum(0)
    for run in range(int(runs[-1]) + 1):
        inside = runs == run
        factor = factors[int(inside.nonzero()[0])]
        wanted = factor * float(plain[inside].sum())
        assert abs(float(found[inside].sum()) - wanted) <= 0.5 + 1e-6
        assert factor != 1 or torch.equal(found[inside], plain[inside])


@pytest.mark.parametrize("speed", [0.5, 0.7, 1.4, 2.0])
def test_short_texts_keep_to_the_speed_too(speed):
    """From 0.4 s on (hops of 11.6 ms), whatever the predictor's fractions are."""
    torch.manual_seed(0)
    mask = torch.ones(1, 12, dtype=torch.bool)
    for frames in range(34, 120):
        lengths = torch.rand(1, 12) * 2 + 0.1
        lengths *= frames / lengths.sum()
        plain, found = whole_frames(lengths, mask).sum(), stretched(lengths, 1 / speed, mask).sum()
        assert float(found * speed / plain) == pytest.approx(1, abs=0.03)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=6), st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_the_length_regulator_is_a_walk_along_the_path(durations, more):
    if not sum(durations):
        return
    numbers, frames = torch.tensor([durations]), sum(durations) + more
    tokens, places = frame_tokens(numbers, frames)
    path, real = hard_path(numbers, frames), sum(durations)
    assert tokens[0, :real].tolist() == path[0, :real].argmax(-1).tolist()
    values = torch.randn(1, len(durations), 3)
    assert torch.equal(spread(values, tokens)[:, :real], (path @ values)[:, :real])
    assert bool((places[0, :real].diff() > 0).all())
    assert bool(((places - tokens).abs() <= 0.5).all())


def _predictor(**options):
    torch.manual_seed(0)
    return make_durations(8, DurationOptions(dropout=0.0, **options)).eval()


def test_the_spread_of_durations_is_asked_for():
    """Squared error, and a tenth of the squared difference of the deviations."""
    predictor, mask = _predictor(), torch.ones(1, 4, dtype=torch.bool)
    x, frames = torch.zeros(1, 4, 8), torch.tensor([[2, 20, 3, 30]])
    losses = predictor.losses(x, mask, frames)
    true = frames.float().log1p()
    with torch.no_grad():
        even = predictor.predict(x, mask)
    error = (even - true).square().mean()
    assert float(losses["duration"].detach()) == pytest.approx(float(error), rel=1e-4)
    wanted = 0.1 * float(true.std(correction=0) - even.std(correction=0)) ** 2
    assert float(losses["duration_spread"].detach()) == pytest.approx(wanted, rel=0.02)
    assert "duration_spread" not in _predictor(variance_weight=0.0).losses(x, mask, frames)


@pytest.mark.slow
def test_drawn_durations_have_the_spread_of_those_learned():
    """A token that lasts 4 or 12 frames, at random: a regression says one number between, the flow both."""
    torch.manual_seed(0)
    flow, mask = _predictor(kind="flow", steps=16).train(), torch.ones(16, 8, dtype=torch.bool)
    x = torch.ones(16, 8, 8)
    optimiser = torch.optim.Adam(flow.parameters(), 3e-3)
    for _ in range(500):
        frames = 4 + 8 * torch.randint(0, 2, (16, 8))
        loss = flow.losses(x, mask, frames)["duration"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():  # in one sentence: every sentence of a batch draws the same
        drawn = flow.eval().predict(x.view(1, 128, 8), mask.view(1, 128), 1.0).expm1().flatten()
    short, long = ((drawn - at).abs() < 2 for at in (4, 12))
    assert float((short | long).float().mean()) > 0.7
    assert 0.25 < float(short.float().mean()) < 0.75
