"""Tables in step, against the same done with dictionaries."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext import datadir
from espnet_ext.datadir.edit import keep, read_all, write_all
from espnet_ext.datadir.stream import (
    Follower,
    in_step,
    restricted,
    rows,
    rows_however_broken,
    write_kept,
)
from espnet_ext.errors import UserError

ids = st.lists(st.text("abcé", min_size=1, max_size=4), unique=True).map(sorted)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("espnet_ext.files.os.fsync", lambda descriptor: None)


@given(ids, ids)
def test_two_tables_in_step(one, two):
    steps = list(in_step(one, two))
    assert [key for key, _, _ in steps] == sorted({*one, *two})
    assert all((key in one, key in two) == (left, right) for key, left, right in steps)
    follower = Follower((key, key + "!") for key in one)
    assert [follower.get(key) for key in two] == [k + "!" if k in one else None for k in two]
    assert list(restricted(((k, "v") for k in one), two)) == [(k, "v") for k in one if k in two]


chosen = st.sets(st.integers(0, 8), min_size=1)


@settings(deadline=None, max_examples=40)
@given(chosen, st.booleans(), st.booleans())
def test_a_directory_restricted_line_by_line_is_as_with_dictionaries(
    tmp_path_factory, numbers, segments, ages
):
    folder = tmp_path_factory.mktemp("d")
    utts = [f"s{i // 3}-{i}" for i in range(9)]
    tables = {
        "wav.scp": {f"r{i}" if segments else utts[i]: f"/{i}.wav" for i in range(9)},
        "text": {u: f"TEXT {u}" for u in utts},
        "utt2spk": {u: u[:2] for u in utts},
        "spk2gender": {"s0": "f", "s1": "m", "s2": "f"},
    }
    if segments:
        tables["segments"] = {u: f"r{i // 2} 0 {i + 1}" for i, u in enumerate(utts)}
    if ages:
        tables["utt2age"] = {utts[0]: "30"}
    write_all(folder / "all", tables)
    kept = [utts[i] for i in sorted(numbers)]
    write_all(folder / "one", keep(read_all(folder / "all"), kept))
    write_all(folder / "two", tables)  # what was there before goes
    write_kept(folder / "all", folder / "two", lambda: kept)
    assert read_all(folder / "two") == read_all(folder / "one")
    datadir.validate(folder / "two")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b x\na y\n", "line 2: found 'a' after 'b', expected keys sorted"),
        ("a x\na y\n", "found 'a' twice, in lines 1 and 2"),
        ("a x\nb\n", "line 2: found an empty text for 'b'"),
    ],
)
def test_rows_are_strict(tmp_path, text, words):
    (tmp_path / "text").write_text(text)
    with pytest.raises(UserError, match=words):
        list(rows(tmp_path / "text"))


@given(st.lists(st.tuples(st.text("ab", max_size=2), st.text("xy", max_size=2)), max_size=8))
def test_rows_however_broken_are_those_that_can_be_read(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_text("".join(f"{key} {value}\n" for key, value in table))
    found = {}
    for key, value in (line.strip().partition(" ")[::2] for line in path.open()):
        if key and value:
            found.setdefault(key, value)
    get = rows_however_broken(path)
    assert list(get()) == list(get()) == sorted(found.items())


def test_checking_a_sorted_directory_holds_next_to_nothing(tmp_path):
    utts = [f"s{i // 100:03d}-{i:06d}" for i in range(20_000)]
    tables = {name: {u: f"value of {u}" for u in utts} for name in ("wav.scp", "text")}
    write_all(tmp_path, {**tables, "utt2spk": {u: u[:4] for u in utts}})
    del tables
    tracemalloc.start()
    assert datadir.check(tmp_path) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(utts), peak  # bytes an utterance; its ids alone have 11
