"""Which utterances are searched together, and what happens when memory does not hold them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.search.batches import by_length, search_all


@given(st.lists(st.integers(1, 50)), st.integers(1, 120))
def test_each_item_once_in_groups_that_fit(lengths, most):
    groups = by_length(lengths, most)
    assert sorted(n for group in groups for n in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[n] for n in group) <= most


def test_what_does_not_fit_is_halved_and_nothing_is_lost():
    seen = []

    def search(encoded):
        if len(encoded) > 2:
            raise torch.OutOfMemoryError
        seen.append(len(encoded))
        return [len(x) for x in encoded]

    lengths = [7, 3, 9, 4, 4, 1, 8]
    assert search_all(search, [torch.zeros(n, 2) for n in lengths], 1000) == lengths
    assert max(seen) == 2


def test_memory_that_is_short_where_all_are_searched_for_something_shorter():
    """Whoever has no hypothesis yet is kept with none."""

    class Search:
        flows = True

        def __call__(self, encoded, most, kept):
            kept.update({number: [] for number in range(len(encoded))})
            if most > 20:
                raise torch.OutOfMemoryError
            return [[len(x)] for x in encoded]

    assert search_all(Search(), [torch.zeros(n, 2) for n in (9, 4)], 100) == [[9], [4]]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError("another"), MemoryError])
def test_what_fails_alone_fails(error):
    def search(encoded):
        raise error

    with pytest.raises((RuntimeError, MemoryError)):
        search_all(search, [torch.zeros(3, 2)], 10)
