"""Batches of similar length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.train.sampler import BucketSampler

LENGTHS = st.lists(st.floats(0.1, 50.0), min_size=1, max_size=120)


@given(LENGTHS, st.floats(1.0, 200.0), st.integers(0, 5), st.integers(1, 9), st.booleans())
@settings(deadline=None)
def test_every_utterance_once_and_no_batch_too_large(lengths, size, seed, epoch, shuffle):
    batches = BucketSampler(lengths, size, seed, max_utterances=20).batches(epoch, shuffle)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = max(lengths[i] for i in batch) * len(batch)
        assert len(batch) == 1 or (padded <= size and len(batch) <= 20)


@given(LENGTHS, st.integers(0, 99), st.integers(1, 99))
@settings(deadline=None, max_examples=30)
def test_seed_and_epoch_decide(lengths, seed, epoch):
    one, other = (BucketSampler(lengths, 30.0, seed).batches(epoch) for _ in range(2))
    assert one == other


def test_epochs_differ_and_batches_hold_similar_lengths():
    lengths = np.linspace(1, 20, 400)
    sampler = BucketSampler(lengths.tolist(), 60.0)
    assert sampler.batches(1) != sampler.batches(2)
    padding = sum(
        max(lengths[b]) * len(b) - sum(lengths[b]) for b in map(np.array, sampler.batches(1))
    )
    assert padding < 0.15 * lengths.sum()


def test_nothing_to_train_on():
    with pytest.raises(UserError, match="no utterance"):
        BucketSampler([], 10.0)
