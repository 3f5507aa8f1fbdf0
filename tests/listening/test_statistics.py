"""Statistics against published examples, other implementations and plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.listening.statistics import (
    correlation,
    draw,
    fleiss_kappa,
    holm,
    interval,
    t_test,
    table,
    wilcoxon,
)

#: Fleiss 1971, table 1: thirty patients, six psychiatrists, five diagnoses.
DIAGNOSES = (
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445 "
    "333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"
)
#: Ten subjects, fourteen raters, five categories, of which the textbook example has kappa 0.210.
COUNTS = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip


def test_the_published_example_of_fleiss():
    """0.430 in the paper; R's irr says 0.4302445."""
    assert fleiss_kappa(DIAGNOSES.split()) == pytest.approx(0.4302445, abs=1e-7)


def test_the_textbook_example_of_kappa():
    units = [[c for c, n in enumerate(counts) for _ in range(n)] for counts in COUNTS]
    assert fleiss_kappa(units) == pytest.approx(0.210, abs=0.0005)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([(7, 1), (3, 5)], 0.161905), ([(6, 1), (0, 7)], 0.708333), ([(7, 0), (0, 7)], 1.0)],
)
def test_small_tables_of_kappa(counts, expected):
    """By hand: (P - Pe) / (1 - Pe), for instance P = (5/7 + 1) / 2 and Pe = (6/14)^2 + (8/14)^2."""
    units = [[c for c, n in enumerate(row) for _ in range(n)] for row in counts]
    assert fleiss_kappa(units) == pytest.approx(expected, abs=6e-6)


def test_kappa_where_numbers_of_votes_differ_or_nothing_can_disagree():
    assert fleiss_kappa([[1, 1, None], [2, 2, 2], [1, None, None]]) == 1
    assert fleiss_kappa([[3, 3], [3, 3]]) is None and fleiss_kappa([]) is None


@given(st.integers(0, 1000), st.integers(2, 5), st.integers(2, 5))
def test_draws_are_those_of_a_plain_loop(seed, raters, items):
    random = np.random.default_rng(seed)
    answers = [
        (r, i, float(random.integers(1, 6)))
        for r in range(raters)
        for i in range(items)
        if random.random() < 0.7 or r == i == 0
    ]
    draws = draw(raters, items, 5, seed)
    drawn = table(answers, raters, items).drawn(draws)
    assert (draws.raters.sum(axis=1) == raters).all() and (draws.items.sum(axis=1) == items).all()
    for b in range(5):
        heard = [v for r, i, v in answers for _ in range(draws.raters[b, r] * draws.items[b, i])]
        assert drawn[b] == pytest.approx(np.mean(heard)) if heard else np.isnan(drawn[b])


def panel_of(random, raters, items, spread_of_raters, spread_of_items):
    """Answers of which raters and items both have their own height."""
    high, kind = (
        random.normal(0, spread_of_raters, raters),
        random.normal(0, spread_of_items, items),
    )
    noise = random.normal(0, 0.5, (raters, items))
    values = high[:, None] + kind[None, :] + noise
    return table([(r, i, values[r, i]) for r in range(raters) for i in range(items)], raters, items)


def test_intervals_cover_what_another_panel_would_find():
    """95 % intervals hold the truth about as often as they say, where those over answers alone do not."""
    random = np.random.default_rng(0)
    inside = naive = 0
    for trial in range(150):
        found = panel_of(random, 16, 14, 0.6, 0.4)
        draws = draw(16, 14, 300, trial)
        low, high = interval(found.drawn(draws), draws)
        inside += low <= 0 <= high
        naive += abs(found.mean) <= 1.96 * found.sums.std() / np.sqrt(16 * 14)
    assert 0.88 <= inside / 150 <= 0.99
    assert naive / 150 < 0.75


def test_no_interval_from_one_rater_or_one_item():
    for raters, items in ((1, 5), (5, 1)):
        found = panel_of(np.random.default_rng(0), raters, items, 1, 1)
        draws = draw(raters, items, 50, 0)
        assert interval(found.drawn(draws), draws) is None


def test_raters_means():
    found = table([(0, 0, 1.0), (0, 1, 2.0), (2, 1, 5.0)], 3, 2)
    assert found.mean == pytest.approx(8 / 3)
    assert found.by_rater().tolist()[::2] == [1.5, 5.0] and np.isnan(found.by_rater()[1])


def test_tests_of_differences():
    """Six differences of one sign: Wilcoxon's exact p is 2 / 2^6. t by hand: mean 3.5, s 1.8708, t = 4.5826, 5 df."""
    assert wilcoxon([1, 2, 3, 4, 5, 6]) == pytest.approx(2 / 64)
    assert t_test([1, 2, 3, 4, 5, 6]) == pytest.approx(0.00593354, abs=1e-6)
    assert wilcoxon([0, 0, 0]) == 1 and wilcoxon([1]) is None and wilcoxon([]) is None
    assert wilcoxon([1, np.nan, 2, 3]) == wilcoxon([1, 2, 3])
    assert t_test([2, 2, 2]) is None and t_test([2]) is None


@given(st.lists(st.none() | st.floats(0, 1), max_size=8))
def test_holm(values):
    """Each is the largest of those up to it, times how many are not smaller."""
    known = [p for p in values if p is not None]

    def expected(p):
        return max(min(1.0, q * sum(r >= q for r in known)) for q in known if q <= p)

    assert holm(values) == [None if p is None else pytest.approx(expected(p)) for p in values]


def test_correlation_where_there_is_none():
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert correlation([1, 2], [1, 2]) is None and correlation([1, 1, 1], [1, 2, 3]) is None
