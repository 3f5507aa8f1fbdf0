"""Utterances that come while others are searched: their results are those that each has alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.search.batches import flowing, search_all
from espnet_ext.search.scorers import can_join
from tests.search import models
from tests.search.models import LANGUAGE_MODELS, SIZE, WEIGHTS
from tests.search.test_beam import FUSED, OURS, same


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 14), min_size=1, max_size=9),
    st.integers(1, 60),
    st.integers(1, 6),
    st.sampled_from(
        [WEIGHTS, FUSED, OURS, {"decoder": 1.0}, {"ctc": 1.0}, {"ctc": 0.6, "lm": 0.5}]
    ),
    st.sampled_from(LANGUAGE_MODELS),
    st.booleans(),
    st.integers(0, 1000),
)
def test_whoever_comes_late_is_searched_as_alone(lengths, most, beam, weights, lm, bounded, seed):
    search = models.search(weights, lm, beam_size=beam, nbest=2, bounded=bounded)
    encoded = models.speech(lengths, seed)
    assert search.flows
    same(search(encoded, most), [search([x])[0] for x in encoded])


@pytest.mark.parametrize("beam", [20, 60])
def test_wide_beams(beam):
    """Wider than the vocabulary, too."""
    search = models.search({**WEIGHTS, "lm": 0.4}, beam_size=beam, pre_beam=SIZE, nbest=beam)
    encoded = models.speech([7, 3, 9, 5])
    found = search(encoded, 14)
    same([f[:10] for f in found], [search([x])[0][:10] for x in encoded])
    assert max(map(len, found)) > 7 and all(len(f) <= beam for f in found)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(2, 14), min_size=3, max_size=8), st.integers(0, 1000))
def test_the_same_with_what_was_hoped_for_and_shortest_lengths(lengths, seed):
    search = models.search(WEIGHTS, minlenratio=0.4, maxlenratio=0.9)
    encoded = models.speech(lengths, seed)
    same(search(encoded, 20), [search([x])[0] for x in encoded])


@pytest.mark.parametrize("levelling", [{"normalize_length": True}, {"length_alpha": 0.7}])
@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(4, 14), min_size=4, max_size=9),
    most=st.integers(14, 30),
    seed=st.integers(0, 1000),
)
def test_lengths_are_counted_in_tokens_of_ones_own(levelling, lengths, most, seed):
    """Not in steps, of which others take some in between."""
    search = models.search(WEIGHTS, nbest=8, **levelling)
    encoded = models.speech(lengths, seed)
    same(search(encoded, most), [search([x])[0] for x in encoded])


def test_room_is_filled_again(monkeypatch):
    """No more than so many frames at once, and never few for long while others wait."""
    search, encoded = models.search(WEIGHTS), models.speech([6] * 20)
    seen = []
    step = search._step
    monkeypatch.setattr(search, "_step", lambda batch: seen.append(len(batch.rows)) or step(batch))
    search(encoded, 30)
    assert max(seen) <= 5
    alone = models.search(WEIGHTS)
    number = 0
    for x in encoded:
        counts = []
        one = alone._step
        monkeypatch.setattr(
            alone, "_step", lambda batch, one=one, c=counts: c.append(1) or one(batch)
        )
        alone([x])
        monkeypatch.setattr(alone, "_step", one)
        number += len(counts)
    assert len(seen) < number / 2


def test_memory_that_is_short_costs_nothing_that_was_found(monkeypatch):
    search, encoded = models.search(WEIGHTS), models.speech([9, 4, 12, 6, 7, 5, 11, 8])
    expected = search(encoded)
    begin, begun = search._begin, []

    def short(some, *more):
        if sum(map(len, some)) > 25:
            raise torch.OutOfMemoryError
        begun.append(len(some))
        return begin(some, *more)

    monkeypatch.setattr(search, "_begin", short)
    same(search_all(search, encoded, 100), expected)
    assert sum(begun) == len(encoded) and max(begun) > 1


def test_memory_too_short_for_one_costs_the_others_nothing(monkeypatch):
    search, encoded = models.search(WEIGHTS), models.speech([5, 12, 3, 7])
    expected, begin = search(encoded), search._begin

    def short(some, *given):
        if max(map(len, some)) > 9:
            raise torch.OutOfMemoryError
        return begin(some, *given)

    monkeypatch.setattr(search, "_begin", short)
    found = search_all(search, encoded, 100)
    assert found.pop(1) is None
    same(found, [expected[n] for n in (0, 2, 3)])


def test_memory_that_ends_behind_the_last(monkeypatch):
    def kept_then_short(some, most, kept):
        kept.update({place: ["found"] for place in range(len(some))})
        raise torch.OutOfMemoryError

    assert flowing(kept_then_short, [torch.zeros(3, 2)] * 2, 100) == [["found"], ["found"]]


def test_who_cannot_join_is_searched_in_batches():
    """A scorer whose hypotheses are all equally long."""

    class Equal:
        def __init__(self, scorer):
            self.start, self.step = scorer.start, scorer.step
            self.reorder, self.keep = scorer.reorder, scorer.keep

    search = models.search(WEIGHTS)
    expected = search(models.speech([5, 9, 7]))
    search.scorers = {name: Equal(s) for name, s in search.scorers.items()}
    assert not can_join(search.scorers["decoder"]) and not search.flows
    same(search_all(search, models.speech([5, 9, 7]), 18), expected)


def test_nothing_to_search():
    assert search_all(models.search(WEIGHTS), [], 100) == []
    assert models.search(WEIGHTS, pre_beam=SIZE)([]) == []
