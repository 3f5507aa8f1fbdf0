"""Shares of a set."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.datadir import read_table
from espnet_ext.inference.shares import Share, run_key, share_of


@given(st.lists(st.integers()), st.integers(1, 12))
def test_the_shares_are_the_whole_and_even(items, jobs):
    shares = [share_of(items, job, jobs) for job in range(1, jobs + 1)]
    assert [
        share[place] for place in range(len(shares[0])) for share in shares if place < len(share)
    ] == items
    sizes = [len(share) for share in shares]
    assert sum(sizes) == len(items) and max(sizes) - min(sizes) <= 1


def _write(folder, rows, jobs, order, key="key"):
    for job in order:
        mine = dict(share_of(sorted(rows.items()), job, jobs))
        Share(folder, key, job, jobs).write({"text": mine, "score": dict.fromkeys(mine, "1")})


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
    left = sorted(path.name for path in (tmp_path / "shares/key").iterdir())
    assert left == ["score.1of2", "score.2of2", "text.1of2", "text.2of2"]


def test_parts_of_another_run_are_not_mixed_in_and_go_at_the_end(tmp_path):
    old, new = ({f"u{i}": value for i in range(9)} for value in ("old", "new"))
    _write(tmp_path, old, 3, (1, 2, 3), "old")
    for job in (1, 2):
        _write(tmp_path, new, 3, (job,), "new")
        assert read_table(tmp_path / "text") == old
    _write(tmp_path, new, 3, (3,), "new")
    assert read_table(tmp_path / "text") == new
    assert [p.name for p in sorted((tmp_path / "shares").iterdir())] == ["merge.lock", "new"]


def test_a_run_is_known_by_what_its_model_holds_not_where_it_lies(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    keys = [run_key([tmp_path / name], {"beam": 3}) for name in "abc"]
    assert keys[0] == keys[1] != keys[2] and keys[0] != run_key([tmp_path / "a"], {"beam": 4})


def test_the_whole_appears_with_the_last_share(tmp_path):
    rows = {f"u{i}": "x" for i in range(5)}
    _write(tmp_path, rows, 3, (3, 1))
    assert not (tmp_path / "text").exists()
    _write(tmp_path, rows, 3, (2,))
    assert read_table(tmp_path / "text") == rows
