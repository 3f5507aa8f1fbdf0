"""Who hears what: balance that holds for every size of a test."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.listening.design import latin_row, orders, pairs_of, shuffled, spread, stretch
from espnet_ext.listening.key import Trial, rotated

sizes = st.integers(1, 9)


def row_of(items, conditions, sounds=1):
    return [
        Trial(f"t{i}-{c}", "test", f"u{i}", tuple(f"{c}{n}" for n in range(sounds)))
        for i, c in latin_row(items, conditions)
    ]


@given(sizes, sizes)
def test_the_row_holds_every_trial_once_and_its_blocks_every_utterance(items, conditions):
    row = latin_row(items, conditions)
    assert len(set(row)) == len(row) == items * conditions
    for start in range(len(row) - items + 1):
        stretch_of = row[start : start + items]
        assert {i for i, _ in stretch_of} == set(range(items))
        counts = [sum(c == k for _, c in stretch_of) for k in range(conditions)]
        assert start % items or max(counts) - min(counts) <= 1


@given(sizes, sizes, st.data())
def test_listeners_hear_every_trial_equally_often(items, conditions, data):
    total = items * conditions
    length = data.draw(st.integers(1, total))
    listeners = data.draw(st.integers(1, 12))
    counts = Counter(dict.fromkeys(range(total), 0))
    for listener in range(listeners):
        counts.update(place for place, _ in stretch(total, listener, length))
    assert max(counts.values()) - min(counts.values()) <= 1


@given(st.integers(1, 6), st.integers(1, 6))
def test_a_stretch_as_long_as_the_utterances_holds_every_condition_equally_often(
    blocks, conditions
):
    items = blocks * conditions
    row = latin_row(items, conditions)
    for listener in range(conditions):
        taken = [row[place] for place, _ in stretch(len(row), listener, items)]
        assert len({item for item, _ in taken}) == items
        assert set(Counter(condition for _, condition in taken).values()) == {blocks}


@settings(deadline=None)
@given(sizes, st.integers(1, 5), st.integers(1, 6))
def test_pairs_are_swapped_for_every_second_listener(items, conditions, half):
    row = row_of(items, conditions, sounds=2)
    made = orders(row, conditions, (), (), 2 * half, None, 0)
    swaps = Counter()
    for order in made:
        swaps.update(dict(order))
        assert abs(2 * sum(by for _, by in order) - len(row)) <= conditions * 2
    assert set(swaps.values()) == {half}


@given(st.integers(2, 6), sizes)
def test_over_as_many_listeners_every_sound_takes_every_place(sounds, items):
    row = row_of(items, 1, sounds)
    made = orders(row, 1, (), (), sounds, None, 0)
    for trial in row:
        shown = [rotated(trial.stimuli, dict(order)[trial.id]) for order in made]
        for place in range(sounds):
            assert {one[place] for one in shown} == set(trial.stimuli)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=24), st.integers(0, 5))
def test_an_utterance_does_not_follow_itself_where_that_can_be_avoided(items, seed):
    trials = [(f"t{n}", 0) for n in range(len(items))]
    names = {f"t{n}": f"u{item}" for n, item in enumerate(items)}
    done = shuffled(trials, names, random.Random(seed))
    assert sorted(done) == sorted(trials)
    heard = [names[trial] for trial, _ in done]
    if 2 * max(Counter(heard).values()) <= len(heard) + 1:
        assert all(one != two for one, two in pairwise(heard))


@given(st.integers(1, 20), st.integers(0, 6), st.integers(0, 5))
def test_checks_are_spread_and_never_first(trials, checks, seed):
    rated = [(f"t{n}", 0) for n in range(trials)]
    done = spread(rated, [(f"c{n}", 0) for n in range(checks)], random.Random(seed))
    assert [one for one in done if one[0][0] == "t"] == rated
    assert len(done) == trials + checks and done[0][0][0] == "t"


def test_the_seed_decides_and_training_comes_first():
    row = row_of(4, 2)
    training = [Trial("warm", "training", "u9", ("x",))]
    checks = [Trial(f"c{n}", "check", "", ("x",)) for n in range(2)]
    first, again, other = (orders(row, 2, checks, training, 3, 5, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert all(order[0] == ("warm", 0) and len(order) == 1 + 5 + 2 for order in first)
    assert len(set(first)) == 3


def test_what_cannot_be():
    with pytest.raises(UserError, match="--trials: found 9, expected 1 to 8"):
        orders(row_of(4, 2), 2, (), (), 1, 9, 0)
    with pytest.raises(UserError, match="--baseline: found 'theirs', expected one of a, b"):
        pairs_of(["a", "b"], "theirs")
    with pytest.raises(UserError, match="found only the system a"):
        pairs_of(["a"], None)
    assert pairs_of(["a", "b", "c"], "b") == [("b", "a"), ("b", "c")]
    assert len(pairs_of(["a", "b", "c", "d"], None)) == 6
