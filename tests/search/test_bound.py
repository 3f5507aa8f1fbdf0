"""What is left out of the search because it cannot win: the answer is the same, with less work."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.search import bound
from espnet_ext.search.beam import SearchOptions
from tests.search import models
from tests.search.models import LANGUAGE_MODELS, SIZE, WEIGHTS
from tests.search.test_beam import same

FALLING = [
    WEIGHTS,
    {**WEIGHTS, "lm": 0.4},
    {"decoder": 1.0},
    {"ctc": 1.0},
    {"ctc": 0.6, "lm": 0.5, "ngram": 0.2, "length_bonus": -0.1},
]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(1, 14), min_size=1, max_size=5),
    st.integers(1, 8),
    st.integers(1, 3),
    st.sampled_from(FALLING),
    st.sampled_from(LANGUAGE_MODELS),
    st.integers(0, 1000),
)
def test_nothing_that_wins_is_left_out(lengths, beam, nbest, weights, lm, seed):
    """Beside the search that goes on to the greatest length with everything."""
    options = {"beam_size": beam, "nbest": nbest, "maxlenratio": 1.0}
    encoded = models.speech(lengths, seed)
    less = models.search(weights, lm, **options)(encoded)
    whole = models.search(weights, lm, bounded=False, **options)(encoded)
    for one, other in zip(less, whole, strict=True):
        assert [h.score for h in one] == pytest.approx([h.score for h in other], abs=1e-3)
        assert [h.tokens for h in one] == [h.tokens for h in other]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 14), min_size=1, max_size=4),
    st.integers(1, 6),
    st.sampled_from(FALLING),
    st.integers(0, 1000),
)
def test_never_worse_than_where_stock_would_end(lengths, beam, weights, seed):
    encoded = models.speech(lengths, seed)
    less = models.search(weights, beam_size=beam)(encoded)
    stocks = models.search(weights, beam_size=beam, bounded=False)(encoded)
    for one, other in zip(less, stocks, strict=True):
        assert not other or one[0].score >= other[0].score - 1e-3


def steps_and_rows(search, encoded, monkeypatch):
    """How often the decoder is asked, and for how many hypotheses in all."""
    seen = []
    step = search.scorers["decoder"].step

    def counted(tokens, state, live):
        seen.append(int(live.sum()))
        return step(tokens, state, live)

    monkeypatch.setattr(search.scorers["decoder"], "step", counted)
    search(encoded)
    return len(seen), sum(seen)


def test_less_is_done(monkeypatch):
    encoded = models.speech([14, 12, 9, 13])
    steps, rows = steps_and_rows(models.search(WEIGHTS), encoded, monkeypatch)
    more = steps_and_rows(models.search(WEIGHTS, bounded=False), encoded, monkeypatch)
    assert steps < more[0] and rows < 0.8 * more[1]


@pytest.mark.parametrize("lm", LANGUAGE_MODELS)
def test_a_sentence_at_once_has_the_score_that_the_search_gives_it(lm):
    """By reading it at once where the scorer can, else token by token."""
    search = models.search(
        {**WEIGHTS, "lm": 0.4, "ngram": 0.2}, lm, nbest=1000, beam_size=30, pre_beam=SIZE
    )
    (encoded,) = models.speech([11])
    found = [h for h in search([encoded])[0] if len(h.tokens) < 10]  # the longest have no <eos>
    scores = bound.whole_scores(search, encoded, [h.tokens for h in found])
    assert len(found) > 2 and scores == pytest.approx([h.score for h in found], abs=1e-3)


@torch.no_grad()
def test_a_sentence_that_the_search_does_not_find_is_forgotten(monkeypatch):
    """Where nothing reaches what was hoped for, it is searched again without."""
    search, encoded = models.search(WEIGHTS), models.speech([9, 12, 5])
    expected = search(encoded)
    hoped = torch.tensor([float("-inf"), -0.5, 3.0])
    monkeypatch.setattr(
        "espnet_ext.search.beam.least_scores", lambda *given: (hoped[: len(given[1][1])], {})
    )
    same(search(encoded), expected)


@pytest.mark.parametrize(
    ("weights", "options", "expected"),
    [
        (WEIGHTS, {}, True),
        ({**WEIGHTS, "lm": 0.5, "ngram": 0.1, "length_bonus": -1.0}, {}, True),
        ({**WEIGHTS, "length_bonus": 0.1}, {}, False),
        ({**WEIGHTS, "ilm": -0.1}, {}, False),
        ({**WEIGHTS, "boost": 0.1}, {}, False),
        ({**WEIGHTS, "coverage": 0.1}, {}, False),
        (WEIGHTS, {"normalize_length": True}, False),
        (WEIGHTS, {"length_alpha": 0.6}, False),
    ],
)
def test_only_where_scores_fall(weights, options, expected):
    assert bound.falls(weights, SearchOptions(4, SIZE, **options)) is expected
