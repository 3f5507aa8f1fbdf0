"""Durations of tokens: their error, and frames put together by them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.metrics.durations import Durations, duration_path, read_durations, token_error

frames = st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any)


def test_an_error_by_hand():
    durations = Durations((10, 20, 10), (5, 5, 10))
    # of one second in the recording: 0.25, 0.25, 0.5; synthesised in two seconds: 0.5, 1, 0.5
    assert token_error(durations, 2.0, 1.0) == pytest.approx(100 * (0.25 + 0.75 + 0.0))
    assert token_error(Durations((1, 2), (50, 100)), 0.3, 0.3) == pytest.approx(0.0)


@given(frames, frames, st.integers(1, 40), st.integers(1, 40))
def test_frames_lie_in_the_same_token(hyp, ref, n, m):
    path = duration_path(Durations(tuple(hyp), tuple(ref)), n, m)
    i, j = path.T
    assert (j == np.arange(m)).all() and (np.diff(i) >= 0).all()
    assert i.min() >= 0 and i.max() < n
    ends_a, ends_b = np.cumsum(hyp) / sum(hyp) * n, np.cumsum(ref) / sum(ref) * m
    for a, b in path:
        # a frame whose middle lies on a border belongs to either side
        first, last = (int((ends_b <= b + 0.5 + e).sum()) for e in (-1e-9, 1e-9))
        begins = ends_a[first - 1] if first else 0.0
        assert begins - 1 - 1e-6 <= a <= ends_a[last] + 1e-6


@given(frames, st.integers(1, 60))
def test_the_same_durations_are_the_diagonal(both, n):
    i, j = duration_path(Durations(tuple(both), tuple(both)), n, n).T
    assert (i == j).all()


def test_what_can_be_compared():
    assert Durations((1, 2), (2, 2)).usable()
    assert not Durations((1, 2), (3,)).usable() and not Durations((0,), (1,)).usable()
    assert read_durations("3 0 12") == (3, 0, 12)
    for broken in ("3 x", "-1 2", "1.5"):
        with pytest.raises(UserError, match="as whole numbers"):
            read_durations(broken)
