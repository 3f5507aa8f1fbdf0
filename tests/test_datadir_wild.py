"""Data directories as wild as they come: mended, or refused in words."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_ext import datadir
from espnet_ext.datadir.edit import read_all, read_loosely, write_all
from espnet_ext.errors import UserError

quick = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SPEAKERS = ("ann", "bob", "cyd")
TABLES = ("wav.scp", "text", "utt2spk", "spk2utt", "utt2dur", "segments", "spk2gender", "utt2age")

utterances = st.lists(
    st.tuples(st.sampled_from(SPEAKERS), st.integers(0, 30)), min_size=2, max_size=8, unique=True
)
#: What people and programs do to a table: the line they do it to, and how.
lines = st.sampled_from(
    ["twice", "gone", "no value", "moved", "spaces", "tab", "blank", "other id", "crlf", "bom"]
)
damages = st.lists(st.tuples(st.sampled_from(TABLES), lines, st.integers(0, 9)), max_size=4)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("espnet_ext.files.os.fsync", lambda descriptor: None)


def build(path, chosen):
    shutil.rmtree(path, ignore_errors=True)
    utts = {f"{speaker}-{number:02d}": speaker for speaker, number in chosen}
    tables = {
        "wav.scp": {u: f"/audio/{u}.wav" for u in utts},
        "text": {u: f"what {u} says" for u in utts},
        "utt2spk": utts,
        "utt2dur": dict.fromkeys(utts, "1.5"),
        "segments": {u: f"{u} 0 1.5" for u in utts},
        "spk2gender": dict.fromkeys(utts.values(), "f"),
        "utt2age": dict.fromkeys(list(utts)[1:], "30"),
    }
    write_all(path, tables)
    return path


def damage(path, how, at):
    if not path.exists():
        return
    rows = path.read_bytes().decode("utf-8", "replace").split("\n")[:-1] or ["x y"]
    at %= len(rows)
    key, _, value = rows[at].partition(" ")
    rows[at : at + 1] = {
        "twice": [rows[at], rows[at]],
        "gone": [],
        "no value": [key],
        "moved": [],
        "spaces": [f"  {key}   {value}  "],
        "tab": [f"{key}\t{value}"],
        "blank": ["", rows[at]],
        "other id": [f"{key}x {value}"],
        "crlf": [rows[at] + "\r"],
        "bom": [rows[at]],
    }[how]
    rows = [f"{key} {value}", *rows] if how == "moved" else rows
    text = "".join(f"{row}\n" for row in rows)
    path.write_text(("\ufeff" if how == "bom" else "") + text, encoding="utf-8", newline="")


@quick
@given(utterances, damages)
def test_what_fix_mends_is_valid_and_says_what_went(tmp_path, chosen, done):
    directory = build(tmp_path / "d", chosen)
    before = set(datadir.read_table(directory / "utt2spk"))
    for table, how, at in done:
        damage(directory / table, how, at)
    try:
        dropped = datadir.fix(directory)
    except UserError as error:
        assert str(directory) in str(error)
        return
    assert datadir.check(directory) == []
    after = set(datadir.read_table(directory / "utt2spk"))
    for utt in before - after:
        assert utt in dropped, "an utterance went without a word"
    assert datadir.fix(directory) == {}, "mended twice is mended once"


@quick
@given(utterances, st.sampled_from(TABLES), st.binary(max_size=60))
def test_any_bytes_are_checked_and_fixed_or_refused(tmp_path, chosen, name, data):
    directory = build(tmp_path / "d", chosen)
    (directory / name).write_bytes(data)
    assert isinstance(datadir.check(directory), list)
    try:
        datadir.fix(directory, min_seconds=0.1)
    except UserError as error:
        assert "expected" in str(error)


@quick
@given(utterances, st.integers(1, 4))
def test_parts_put_together_are_the_whole(tmp_path, chosen, parts):
    directory = build(tmp_path / "d", chosen)
    (directory / "utt2age").unlink()  # a part may have none of it, and then nobody has
    parts = min(parts, len(chosen))
    datadir.combine(tmp_path / "whole", datadir.split(directory, parts, tmp_path / "parts"))
    assert read_all(tmp_path / "whole") == read_all(directory)


@quick
@given(utterances, st.data())
def test_a_subset_has_what_was_asked_for_and_is_valid(tmp_path, chosen, draw):
    directory = build(tmp_path / "d", chosen)
    every = sorted(datadir.read_table(directory / "utt2spk"))
    wanted = draw.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    datadir.subset(directory, tmp_path / "part", wanted)
    assert datadir.check(tmp_path / "part") == []
    assert set(datadir.read_table(tmp_path / "part/text")) == set(wanted)


@quick
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_what_can_be_read_strictly_reads_loosely_the_same(tmp_path, text):
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8", newline="")
    dropped = {}
    loose = read_loosely(path, dropped)
    try:
        assert datadir.read_table(path) == loose and not dropped
    except UserError:
        assert dropped


def test_a_byte_order_mark_belongs_to_no_id(tmp_path):
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfa x\r\nb y\r\n")
    assert datadir.read_table(tmp_path / "text") == {"a": "x", "b": "y"}


def test_ages_and_accents_need_not_be_known_of_everybody(tmp_path):
    directory = build(tmp_path / "d", [("ann", 1), ("bob", 2)])
    datadir.write_table(directory / "spk2accent", {"ann": "Scottish"})
    assert datadir.check(directory) == [] and datadir.fix(directory) == {}
    datadir.write_table(directory / "spk2accent", {"zoe": "Scottish"})
    assert datadir.check(directory) == ["spk2accent: 1 ids that spk2utt does not have: zoe"]


def test_durations_that_are_no_numbers(tmp_path):
    directory = build(tmp_path / "d", [("ann", 1), ("bob", 2)])
    (directory / "utt2dur").write_text("ann-01 long\nbob-02 1\n")
    with pytest.raises(UserError, match="'long' for 'ann-01', expected seconds"):
        datadir.utt2dur(directory)
