"""Shares of a set."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.datadir import read_table
from espnet_ext.inference.shares import share_of, write_share


@given(st.lists(st.integers()), st.integers(1, 12))
def test_the_shares_are_the_whole_and_even(items, jobs):
    shares = [share_of(items, job, jobs) for job in range(1, jobs + 1)]
    assert [
        share[place] for place in range(len(shares[0])) for share in shares if place < len(share)
    ] == items
    sizes = [len(share) for share in shares]
    assert sum(sizes) == len(items) and max(sizes) - min(sizes) <= 1


def _write(folder, rows, jobs, order):
    for job in order:
        mine = dict(share_of(sorted(rows.items()), job, jobs))
        write_share(folder, {"text": mine, "score": dict.fromkeys(mine, "1")}, job, jobs)


@pytest.mark.slow
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.sampled_from(["", "x", "a b"]), max_size=9
    )
)
@settings(deadline=None, max_examples=15)
def test_the_whole_table_does_not_depend_on_the_number_of_jobs(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("shares")
    for jobs in range(1, 6):
        _write(folder / str(jobs), rows, jobs, reversed(range(1, jobs + 1)))
        assert read_table(folder / str(jobs) / "text", empty=True) == rows
        assert (folder / str(jobs) / "score").read_bytes() == (folder / "1" / "score").read_bytes()


def test_leftovers_of_another_number_of_jobs_do_no_harm(tmp_path):
    old, new = {f"u{i}": "old" for i in range(9)}, {f"u{i}": "new" for i in range(5)}
    _write(tmp_path, old, 3, (1, 2, 3))
    _write(tmp_path, new, 2, (2, 1))
    assert read_table(tmp_path / "text") == new


def test_the_whole_appears_with_the_last_share(tmp_path):
    rows = {f"u{i}": "x" for i in range(5)}
    _write(tmp_path, rows, 3, (3, 1))
    assert not (tmp_path / "text").exists()
    _write(tmp_path, rows, 3, (2,))
    assert read_table(tmp_path / "text") == rows
