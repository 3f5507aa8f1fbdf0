"""Which utterances are searched together, and what happens when memory does not hold them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.search.batches import by_length, room, search_all


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


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("std::bad_alloc"),
    Exception("Failed to allocate memory for requested buffer of size 9"),
]


class Small:
    """A search without memory for 50 frames at once; `flows` as the batched one may."""

    def __init__(self, error, flows):
        self.error, self.flows = error, flows

    def __call__(self, encoded, most=0, kept=None):
        kept = {} if kept is None else kept
        order = sorted(
            (n for n in range(len(encoded)) if n not in kept), key=lambda n: -len(encoded[n])
        )
        while order:
            fit = len(order) if not most else max(1, most // len(encoded[order[0]]))
            now, order = order[:fit], order[fit:]
            if len(now) * len(encoded[now[0]]) >= 50:
                raise self.error
            kept.update({n: [len(encoded[n])] for n in now})
        return [kept[n] for n in range(len(encoded))]


@pytest.mark.parametrize("error", NO_MEMORY)
@pytest.mark.parametrize("flows", [True, False])
def test_what_memory_does_not_hold_alone_costs_the_others_nothing(error, flows):
    lengths = [7, 60, 9, 4, 51, 30, 1]
    found = search_all(Small(error, flows), [torch.zeros(n, 2) for n in lengths], 200)
    assert found == [None if n > 50 else [n] for n in lengths]


@pytest.mark.parametrize("flows", [True, False])
def test_what_fails_otherwise_fails(flows):
    with pytest.raises(RuntimeError, match="another"):
        search_all(Small(RuntimeError("another"), flows), [torch.zeros(60, 2)], 10)


def test_a_narrow_beam_makes_no_room_for_a_large_table(monkeypatch):
    """CTC's table has all tokens of every frame, whatever the beam."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert room("cpu", 10, 150) == room("cpu", 10, 10_000) == 1400
    assert room("cpu", 1, 5000) == room("cpu", 5, 5000) == 2800 and room("cpu", 1, 150) == 14_000
    assert room("cuda", 10, 10_000) == room("cuda", 1, 10_000) == 150_000
