"""CTC by itself and as a first pass, beside all ways to say all texts."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.search.ctc_decode import greedy, prefix_search, score_texts
from espnet_ext.search.rescore import RescoreSearch, scored
from tests.search import models
from tests.search.models import EOS, SIZE, WEIGHTS

V = 4  # blank, two letters, <eos>


def texts_of(x):
    """Log-probability of each text, over all V^T ways without <eos>."""
    found = {}
    for way in itertools.product(range(V - 1), repeat=len(x)):
        text = tuple(k for k, _ in itertools.groupby(way) if k != 0)
        score = float(sum(x[t, k] for t, k in enumerate(way)))
        found[text] = torch.logaddexp(
            torch.tensor(found.get(text, -math.inf)), torch.tensor(score)
        ).item()
    return found


def heard(frames, seed, sharpness=1.5):
    torch.manual_seed(seed)
    return (sharpness * torch.randn(frames, V).double()).log_softmax(-1)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 9999))
def test_a_beam_that_holds_everything_is_exact(frames, seed):
    x = heard(frames, seed)
    expected = sorted(texts_of(x).items(), key=lambda item: -item[1])
    found = prefix_search(x, 10_000, V, eos=V - 1)
    assert [f.tokens for f in found] == [text for text, _ in expected]
    assert [f.score for f in found] == pytest.approx([s for _, s in expected], abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(0, 9999), st.integers(1, 5))
def test_a_narrow_beam_promises_no_more_than_there_is(frames, seed, beam):
    x = heard(frames, seed)
    exact, found = texts_of(x), prefix_search(x, beam, 2, eos=V - 1)
    assert 1 <= len(found) <= beam
    assert all(f.score <= exact[f.tokens] + 1e-6 for f in found)
    assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 9999))
def test_texts_are_scored_over_all_ways(frames, seed):
    x = heard(frames, seed)
    exact = texts_of(x)
    assert score_texts(x, list(exact)) == pytest.approx(list(exact.values()), abs=1e-4)
    too_long = tuple([1] * (frames + 1))
    assert score_texts(x, [too_long, ()])[0] == -math.inf


def test_the_likeliest_token_of_each_frame():
    x = torch.full((6, V), -9.0)
    for frame, token in enumerate([1, 1, 0, 1, 2, 2]):
        x[frame, token] = -0.1
    found = greedy(x)
    assert found.tokens == (1, 1, 2) and found.score == pytest.approx(-0.6, abs=1e-6)


# -- the second pass ---------------------------------------------------------------------------------------------------

FUSED = {**WEIGHTS, "lm": 0.4, "ngram": 0.2, "ilm": -0.1, "length_bonus": 0.3}


@pytest.mark.parametrize("lm", models.LANGUAGE_MODELS)
@torch.no_grad()
def test_texts_get_from_each_scorer_what_the_model_says_of_them(lm):
    texts = [[(2, 3, 3), (), (5,)], [(4, 2, 2, 3, 5)]]
    encoded = models.speech([7, 4])
    found = scored(models.search(FUSED, lm), encoded, texts)
    decoder, language = models.decoder("stock"), models.language_model(lm)
    for x, own, parts in zip(encoded, texts, found, strict=True):
        for text, part in zip(own, parts, strict=True):
            ids, wanted = torch.tensor([[EOS, *text]]), [*text, EOS]
            size, places = torch.tensor([ids.shape[1]]), range(len(wanted))
            by_decoder = decoder(x[None], torch.tensor([len(x)]), ids, size)[0][0].log_softmax(-1)
            by_lm = language(ids, None)[0][0].log_softmax(-1)
            assert part["decoder"] == pytest.approx(
                float(by_decoder[places, wanted].sum()), abs=1e-4
            )
            assert part["lm"] == pytest.approx(float(by_lm[places, wanted].sum()), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_ranking_all_texts_finds_what_searching_all_finds(seed):
    encoded = models.speech([3, 2], seed=seed)
    options = {"beam_size": 100_000, "pre_beam": SIZE, "nbest": 3, "maxlenratio": -4}
    joint = models.search(FUSED, **options)
    searched = joint(encoded)
    ranked = RescoreSearch(joint, SIZE)(encoded)
    for one, other in zip(ranked, searched, strict=True):
        assert [f.tokens for f in one] == [f.tokens for f in other]
        for ours, theirs in zip(one, other, strict=True):
            assert ours.score == pytest.approx(theirs.score, abs=1e-3)
            assert ours.scores == pytest.approx(theirs.scores, abs=1e-3)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, 14), min_size=1, max_size=5), st.integers(1, 6))
def test_together_as_alone(lengths, beam):
    weights = {**FUSED, "coverage": 0.2, "boost": 0.5}
    search = RescoreSearch(models.search(weights, beam_size=beam, nbest=3), 3)
    encoded = models.speech(lengths)
    for one, x in zip(search(encoded), encoded, strict=True):
        (alone,) = search([x])
        assert [f.tokens for f in one] == [f.tokens for f in alone]
        assert [f.score for f in one] == pytest.approx([f.score for f in alone], abs=1e-3)
