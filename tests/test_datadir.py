"""Kaldi data directories."""

import json
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext import datadir
from espnet_ext.datadir.edit import write_all
from espnet_ext.errors import UserError

keys = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1).filter(
    lambda key: key.split() == [key]
)
values = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])).map(str.strip)


@settings(deadline=None)  # a slow disk is no error
@given(st.dictionaries(keys, values.filter(bool)))
def test_a_table_comes_back_as_it_was_and_sorted(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("t") / "text"
    datadir.write_table(path, table)
    found = datadir.read_table(path, sorted_only=True)
    assert found == table
    assert list(found) == sorted(table, key=datadir.sort_key)


@settings(deadline=None)  # a slow disk is no error
@given(st.dictionaries(keys, values))
def test_values_may_be_empty_where_that_is_said(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("t") / "text"
    datadir.write_table(path, table)
    assert datadir.read_table(path, empty=True) == table


@settings(deadline=None)  # a slow disk is no error
@given(st.binary())
def test_any_bytes_are_read_or_refused_with_a_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("t") / "text"
    path.write_bytes(data)
    try:
        table = datadir.read_table(path)
    except UserError as error:
        assert str(path) in str(error) and "line" in str(error)
    else:
        assert all(table) and all(table.values())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a x\nb caf\xe9\n", ["line 2", r"\xe9", "UTF-8"]),
        (b"a x\nb y\na z\n", ["'a' twice", "lines 1 and 3"]),
        (b"a x\nb\n", ["line 2", "empty text", "'b'"]),
        (b"a x\n\nb y\n", ["line 2", "empty line"]),
    ],
)
def test_read_table_says_file_line_and_what_was_found(tmp_path, data, words):
    path = tmp_path / "text"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        datadir.read_table(path)
    for word in [*words, str(path)]:
        assert word in str(caught.value)


def test_unsorted_and_missing_tables_are_refused(tmp_path):
    (tmp_path / "text").write_text("b x\na y\n")
    with pytest.raises(UserError, match="'a' after 'b'"):
        datadir.read_table(tmp_path / "text", sorted_only=True)
    with pytest.raises(UserError, match="no such file"):
        datadir.read_table(tmp_path / "nothing")


def test_tabs_carriage_returns_and_line_separators_in_a_text(tmp_path):
    (tmp_path / "text").write_bytes("a\tx y\r\nb one\u2028two\n".encode())
    assert datadir.read_table(tmp_path / "text") == {"a": "x y", "b": "one\u2028two"}


def test_a_carriage_return_within_a_line_is_named_and_mended(tmp_path):
    make(tmp_path)
    path = tmp_path / "text"
    path.write_bytes(path.read_bytes().replace(b"TEXT OF s1-b", b"TEXT\rOF s1-b"))
    assert any("1 lines hold a carriage return" in p for p in datadir.check(tmp_path))
    assert datadir.fix(tmp_path) == {}
    assert datadir.read_table(path)["s1-b"] == "TEXT OF s1-b"
    assert datadir.check(tmp_path) == []


def test_an_empty_line_is_one_problem(tmp_path):
    make(tmp_path)
    path = tmp_path / "utt2spk"
    path.write_text(path.read_text().replace("s1-b", "\ns1-b"))
    assert datadir.check(tmp_path) == ["utt2spk, line 2: empty line"]


@pytest.mark.parametrize("bad", [{"a b": "x"}, {"": "x"}, {"a": "x\ny"}, {"a": " x"}])
def test_what_could_not_be_read_back_is_not_written(tmp_path, bad):
    with pytest.raises(UserError):
        datadir.write_table(tmp_path / "text", bad)
    assert list(tmp_path.iterdir()) == []


def make(path, utts=("s1-a", "s1-b", "s2-c"), **more):
    tables = {
        "wav.scp": {u: f"/audio/{u}.wav" for u in utts},
        "text": {u: f"TEXT OF {u}" for u in utts},
        "utt2spk": {u: u.split("-")[0] for u in utts},
    }
    write_all(path, tables | more)
    return path


def test_a_good_directory_is_valid(tmp_path):
    datadir.validate(make(tmp_path / "d"))


def break_text(d):
    (d / "text").write_text("s1-a x\ns1-b\ns2-c y\n")


def break_bytes(d):
    (d / "text").write_bytes(b"s1-a x\ns1-b \xff\ns2-c y\n")


def break_twice(d):
    (d / "utt2spk").write_text("s1-a s1\ns1-b s1\ns1-a s1\ns2-c s2\n")


def break_order(d):
    (d / "wav.scp").write_text("s1-b /b\ns1-a /a\ns2-c /c\n")


def break_common(d):
    (d / "wav.scp").write_text("s1-a /a\ns1-b /b\n")


def break_speakers(d):
    (d / "spk2utt").write_text("s1 s1-a\ns2 s2-c\n")


def break_prefix(d):
    (d / "utt2spk").write_text("s1-a s2\ns1-b s1\ns2-c s2\n")
    datadir.write_spk2utt(d)


def break_segments(d):
    (d / "segments").write_text("s1-a s1-a 0 1\ns1-b nowhere 0 1\ns2-c s2-c 0 1\n")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_text, "text, line 2: empty text for 's1-b'"),
        (break_bytes, "text, line 2: found bytes"),
        (break_twice, "utt2spk, line 3: 's1-a' again, first in line 1"),
        (break_order, "wav.scp, line 2: 's1-a' after 's1-b'"),
        (break_common, "utt2spk: 1 ids that wav.scp does not have: s2-c"),
        (break_speakers, "spk2utt: does not say the same as utt2spk"),
        (break_prefix, "ids must start with the speaker's id"),
        (break_segments, "segments: 1 ids that wav.scp does not have: nowhere"),
    ],
)
def test_validate_names_every_kind_of_damage(tmp_path, damage, words):
    damage(make(tmp_path / "d"))
    with pytest.raises(UserError) as caught:
        datadir.validate(tmp_path / "d")
    assert words in str(caught.value)
    assert "fix_data" in str(caught.value)


def test_every_repetition_names_the_first_line(tmp_path):
    (make(tmp_path / "d") / "text").write_text("s1-a x\ns1-b y\ns1-b z\ns1-b z\ns2-c y\n")
    assert datadir.check(tmp_path / "d") == [
        f"text, line {n}: 's1-b' again, first in line 2" for n in (3, 4)
    ]


def test_validate_shows_ten_problems_and_counts_the_rest(tmp_path):
    make(tmp_path / "d", [f"s-{i:02d}" for i in range(15)])
    (tmp_path / "d/text").write_text("".join(f"s-{i:02d}\n" for i in range(15)))
    with pytest.raises(UserError, match="found 15 problems") as caught:
        datadir.validate(tmp_path / "d")
    assert str(caught.value).count("empty text") == 10
    assert "and 5 more" in str(caught.value)


def test_fix_sorts_keeps_what_is_common_and_says_what_went(tmp_path):
    d = make(tmp_path / "d")
    (d / "text").write_text("s2-c y\ns1-a x\ns1-b\n")
    (d / "wav.scp").write_text("s2-c /c\ns1-a /a\ns1-a /again\ns1-b /b\n")
    dropped = datadir.fix(d)
    assert dropped == {
        "s1-b": "text, line 3: empty text",
        "wav.scp:3": "'s1-a' a second time",
    }
    datadir.validate(d)
    assert datadir.read_table(d / "wav.scp") == {"s1-a": "/a", "s2-c": "/c"}


def test_fix_changes_nothing_when_nothing_would_be_left(tmp_path):
    d = make(tmp_path / "d")
    (d / "text").write_text("other x\n")
    before = {p.name: p.read_bytes() for p in d.iterdir()}
    with pytest.raises(UserError, match="no utterance that all of"):
        datadir.fix(d)
    assert {p.name: p.read_bytes() for p in d.iterdir()} == before


def test_fix_drops_short_utterances(tmp_path):
    d = make(tmp_path / "d", utt2dur={"s1-a": "0.05", "s1-b": "1", "s2-c": "2"})
    assert datadir.fix(d, min_seconds=0.1) == {"s1-a": "shorter than 0.1 s"}


def test_split_covers_everything_once(tmp_path):
    d = make(tmp_path / "d", [f"s{i % 3}-{i:02d}" for i in range(10)])
    parts = datadir.split(d, 3)
    for part in parts:
        datadir.validate(part)
    together = [u for part in parts for u in datadir.read_table(part / "text")]
    assert together == sorted(datadir.read_table(d / "text"))
    with pytest.raises(UserError, match="10 utterances"):
        datadir.split(d, 11)


def test_subset_keeps_speakers_and_recordings_that_are_used(tmp_path):
    d = make(
        tmp_path / "d",
        segments={"s1-a": "r1 0 1", "s1-b": "r1 1 2", "s2-c": "r2 0 1"},
        **{"wav.scp": {"r1": "/1", "r2": "/2"}, "spk2gender": {"s1": "f", "s2": "m"}},
    )
    datadir.subset(d, tmp_path / "e", ["s1-b"])
    datadir.validate(tmp_path / "e")
    assert datadir.read_table(tmp_path / "e/wav.scp") == {"r1": "/1"}
    assert datadir.read_table(tmp_path / "e/spk2gender") == {"s1": "f"}
    with pytest.raises(UserError, match="nobody"):
        datadir.subset(d, tmp_path / "f", ["nobody"])


def test_combine_leaves_out_tables_that_some_lack_and_refuses_contradictions(tmp_path):
    one = make(tmp_path / "1", ["a-1"], utt2lang={"a-1": "en"})
    two = make(tmp_path / "2", ["b-1"])
    assert datadir.combine(tmp_path / "3", [one, two]) == ["utt2lang"]
    datadir.validate(tmp_path / "3")
    other = make(tmp_path / "4", ["a-1"], text={"a-1": "SOMETHING ELSE"})
    with pytest.raises(UserError, match="'a-1' -> 'SOMETHING ELSE'"):
        datadir.combine(tmp_path / "5", [one, other])
    assert not (tmp_path / "5").exists()


def test_combine_makes_segments_where_only_some_have_them(tmp_path):
    cut = make(tmp_path / "1", ["a-1"], segments={"a-1": "r 0 1"}, **{"wav.scp": {"r": "/r"}})
    whole = make(tmp_path / "2", ["b-1"])
    datadir.combine(tmp_path / "3", [cut, whole])
    segments = datadir.read_segments(tmp_path / "3/segments")
    assert segments["b-1"] == ("b-1", 0.0, None)
    datadir.validate(tmp_path / "3")


def test_combine_keeps_speeds_and_draws_where_only_some_have_them(tmp_path):
    plain = make(tmp_path / "1", ["a-1"])
    fast = make(tmp_path / "2", ["sp10-a-1", "a-1"], utt2speed={"sp10-a-1": "10", "a-1": "1.0"})
    aug = make(tmp_path / "3", ["aug1-a-1"], utt2augment={"aug1-a-1": "1"})
    for d in (plain, fast):
        (d / "text").write_text("".join(f"{u} X\n" for u in datadir.read_table(d / "text")))
    (aug / "augment.json").write_text('{"reverb": 0.5, "noise": {"prob": 1}}')
    assert datadir.combine(tmp_path / "4", [plain, fast, aug]) == []
    assert datadir.read_table(tmp_path / "4/utt2speed") == {
        "a-1": "1",
        "aug1-a-1": "1",
        "sp10-a-1": "10",
    }
    assert datadir.read_table(tmp_path / "4/utt2augment") == {
        "a-1": "0",
        "aug1-a-1": "1",
        "sp10-a-1": "0",
    }
    options = json.loads((tmp_path / "4/augment.json").read_text())
    assert options == {"reverb": 0.5, "noise": {"prob": 1}}
    datadir.validate(tmp_path / "4")


def test_options_of_augmentation_go_with_its_table_and_must_agree(tmp_path):
    draws = {"s1-a": "1", "s1-b": "0", "s2-c": "2"}
    one, two = (make(tmp_path / n, utt2augment=draws) for n in ("1", "2"))
    (one / "augment.json").write_text('{"reverb": 0.5}')
    datadir.subset(one, tmp_path / "part", ["s1-b"])
    datadir.copy(one, tmp_path / "copy", utt_prefix="x-", spk_prefix="x-")
    datadir.fix(one)
    for path in (tmp_path / "part", tmp_path / "copy", *datadir.split(one, 2), one):
        assert json.loads((path / "augment.json").read_text()) == {"reverb": 0.5}
    (two / "augment.json").write_text('{"noise": 0.5}')
    with pytest.raises(UserError, match="other options than in"):
        datadir.combine(tmp_path / "3", [one, two])
    for broken in (b"[]", b"{", b"\xff"):
        (two / "augment.json").write_bytes(broken)
        with pytest.raises(UserError, match=r"augment\.json"):
            datadir.subset(two, tmp_path / "4", ["s1-b"])
    datadir.subset(make(tmp_path / "5"), tmp_path / "part", ["s1-b"])
    assert not (tmp_path / "part/augment.json").exists()


def test_copy_prefixes_ids_but_not_recordings(tmp_path):
    d = make(
        tmp_path / "d",
        segments={"s1-a": "r 0 1", "s1-b": "r 1 2", "s2-c": "r 2 3"},
        **{"wav.scp": {"r": "/r"}, "spk2gender": {"s1": "f", "s2": "m"}},
    )
    datadir.copy(d, tmp_path / "e", utt_prefix="x-", spk_prefix="x-")
    datadir.validate(tmp_path / "e")
    assert datadir.read_table(tmp_path / "e/utt2spk")["x-s1-a"] == "x-s1"
    assert datadir.read_table(tmp_path / "e/wav.scp") == {"r": "/r"}
    assert datadir.read_table(tmp_path / "e/spk2gender") == {"x-s1": "f", "x-s2": "m"}


@pytest.mark.parametrize(
    "line", ["r 1", "r 2 1", "r -1 1", "r a b", "r 0 nan", "r 0 inf", "r nan -1"]
)
def test_segments_must_be_stretches(tmp_path, line):
    (tmp_path / "segments").write_text(f"u {line}\n")
    with pytest.raises(UserError, match="0 <= START < END"):
        datadir.read_segments(tmp_path / "segments")


def test_a_segment_may_last_to_the_end_of_its_recording(tmp_path):
    soundfile.write(tmp_path / "r.wav", np.zeros(8000), 4000)
    segments = {"s1-a": "r 0 0.5", "s1-b": "r 0.5 -1", "s2-c": "r 1 -1.0"}
    d = make(tmp_path / "d", segments=segments, **{"wav.scp": {"r": f"{tmp_path}/r.wav"}})
    assert datadir.check(d) == [] and datadir.fix(d) == {}
    assert datadir.read_segments(d / "segments")["s1-b"] == ("r", 0.5, None)
    assert datadir.utt2dur(d) == {"s1-a": 0.5, "s1-b": 1.5, "s2-c": 1.0}


@pytest.mark.parametrize("line", ["r 2 1", "r 0", "r a b", "r 1 2 3", "r 0 nan"])
def test_fix_drops_segments_that_are_none(tmp_path, line):
    d = make(
        tmp_path / "d",
        segments={"s1-a": line, "s1-b": "r 1 2", "s2-c": "r 2 3"},
        **{"wav.scp": {"r": "/r"}},
    )
    assert datadir.check(d)
    dropped = datadir.fix(d)
    assert list(dropped) == ["s1-a"] and f"segments: found {line!r}" in dropped["s1-a"]
    assert datadir.check(d) == []


def test_fix_drops_ids_with_a_space_that_does_not_look_like_one(tmp_path):
    d = make(tmp_path / "d")
    for name in ("wav.scp", "text", "utt2spk"):
        (d / name).write_text((d / name).read_text().replace("s1-a", "s1-a\u00a0b"))
    assert any("holds white space" in problem for problem in datadir.check(d))
    assert "the id holds white space" in datadir.fix(d)["s1-a\u00a0b"]
    assert set(datadir.read_table(d / "utt2spk")) == {"s1-b", "s2-c"}
    assert datadir.check(d) == []


def test_a_large_directory_takes_seconds(tmp_path):
    utts = [f"{i // 100:04d}-{i % 100:04d}" for i in range(40_000)]
    started = time.process_time()
    datadir.validate(make(tmp_path / "d", utts))
    assert time.process_time() - started < 10  # 280,000 utterances of LibriSpeech: about 5 s
