"""Forced alignment, beside all ways there are to say a sentence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.search.align import align

SIZE = 4


def collapsed(way):
    return tuple(k for k, _ in itertools.groupby(way) if k != 0)


def best_way(x, sentence):
    """Of all V^T ways (T frames): score and way; None if none says the sentence."""
    every = (w for w in itertools.product(range(SIZE), repeat=len(x)) if collapsed(w) == sentence)
    scored = [(float(sum(x[t, token] for t, token in enumerate(w))), w) for w in every]
    return max(scored, default=None)


def spans_of(way):
    """First frame and the one behind the last of each token of a way."""
    runs, at = [], 0
    for token, group in itertools.groupby(way):
        length = len(list(group))
        runs += [(at, at + length)] if token else []
        at += length
    return runs


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.lists(st.integers(1, SIZE - 1), max_size=3)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 10_000),
)
def test_the_best_of_all_ways_whoever_is_beside(given_, seed):
    torch.manual_seed(seed)
    heard = [(2 * torch.randn(frames, SIZE)).log_softmax(-1) for frames, _ in given_]
    sentences = [tuple(s) for _, s in given_]
    for x, sentence, path in zip(heard, sentences, align(heard, sentences), strict=True):
        expected = best_way(x, sentence)
        if expected is None:
            assert path is None
            continue
        score, way = expected
        assert path is not None and path.score == pytest.approx(score, abs=1e-4)
        assert [tuple(span) for span in path.spans.tolist()] == spans_of(way)
        p = x.exp().numpy()
        peaks = [p[a:b, t].max() for (a, b), t in zip(path.spans, sentence, strict=True)]
        assert np.allclose(path.peaks, peaks)


def test_a_token_again_needs_a_frame_between():
    x = torch.zeros(2, SIZE).log_softmax(-1)
    assert align([x, x], [(1, 1), (1, 2)])[0] is None
    longer = torch.zeros(3, SIZE).log_softmax(-1)
    (path,) = align([longer], [(1, 1)])
    assert path is not None and path.spans.tolist() == [[0, 1], [2, 3]]


def test_nothing_said():
    x = torch.randn(4, SIZE).log_softmax(-1)
    (path,) = align([x], [()])
    assert path is not None and path.spans.shape == (0, 2)
    assert path.score == pytest.approx(float(x[:, 0].sum()), abs=1e-5)
    assert align([], []) == []


def test_what_cannot_be_has_no_way():
    x = torch.full((3, SIZE), float("-inf"))
    x[:, 0] = 0.0
    assert align([x], [(1,)]) == [None]
