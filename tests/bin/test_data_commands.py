"""The commands that validate, fix, combine, cut, filter and speed up data directories."""

import json

import pytest

from espnet_ext import datadir
from espnet_ext.bin import (
    augment_audio,
    combine_data,
    filter_data,
    fix_data,
    format_audio,
    segment_audio,
    speed_perturb,
    subset_data,
    validate_data,
)
from espnet_ext.bin.command import call
from espnet_ext.datadir.edit import write_all


def make(path, utts=("s1-a", "s1-b", "s2-c"), **more):
    tables = {
        "wav.scp": {u: f"/audio/{u}.wav" for u in utts},
        "text": {u: f"TEXT OF {u}" for u in utts},
        "utt2spk": {u: u.split("-")[0] for u in utts},
        "spk2gender": {u.split("-")[0]: "f" for u in utts},
    }
    write_all(path, tables | more)
    return path


def run(command, *args):
    return call(command.main, [str(a) for a in args])


def test_validate_reports_all_directories_and_fails(tmp_path, capsys):
    good, bad, worse = (make(tmp_path / n) for n in ("good", "bad", "worse"))
    (bad / "text").write_text("s1-a x\ns1-b\ns2-c y\n")
    (worse / "wav.scp").unlink()
    assert run(validate_data, good, bad, worse) == 1
    said = capsys.readouterr()
    assert f"{good}: valid" in said.out
    assert "empty text for 's1-b'" in said.err and "wav.scp: missing" in said.err
    assert run(validate_data, "--no-wav", worse) == 0


def test_fix_says_what_it_dropped(tmp_path, capsys):
    data = make(tmp_path / "d")
    (data / "text").write_text("s2-c y\ns1-a x\ns1-b\n")
    assert run(fix_data, data) == 0
    said = capsys.readouterr().out
    assert "dropped 1" in said and "s1-b: text, line 3: empty text" in said
    datadir.validate(data)
    assert run(fix_data, tmp_path / "nothing") == 1
    assert "utt2spk: not found" in capsys.readouterr().err


def test_combine_and_subset(tmp_path, capsys):
    one, two = make(tmp_path / "1", ["a-1"], utt2lang={"a-1": "en"}), make(tmp_path / "2", ["b-1"])
    assert run(combine_data, tmp_path / "both", one, two) == 0
    assert "left out utt2lang" in capsys.readouterr().out
    for options in (["--first", 1], ["--utt_list", one / "text"], ["--speakers", "a"]):
        assert run(subset_data, tmp_path / "both", tmp_path / "part", *options) == 0
        assert datadir.read_table(tmp_path / "part/utt2spk") == {"a-1": "a"}
    assert run(subset_data, tmp_path / "both", tmp_path / "part", "--random", 3) == 1
    assert "found 2 utterances, asked for 3" in capsys.readouterr().err
    assert run(subset_data, tmp_path / "both", tmp_path / "part", "--speakers", "x") == 1


def test_random_subsets_depend_on_the_seed_only(tmp_path):
    data = make(tmp_path / "d", [f"s-{i:02d}" for i in range(50)])
    found = []
    for seed in (0, 0, 1):
        assert run(subset_data, data, tmp_path / "e", "--random", 10, "--seed", seed) == 0
        found.append(tuple(datadir.read_table(tmp_path / "e/text")))
    assert found[0] == found[1] != found[2]


DURATIONS = {"s1-a": "0.05", "s1-b": "1.0", "s2-c": "30.0"}


def test_filter_drops_by_length_and_says_so(tmp_path, capsys):
    make(tmp_path / "org/train", utt2dur=DURATIONS)
    args = [tmp_path / "org", tmp_path / "out", "train", "--min-seconds", 0.1]
    assert run(filter_data, *args) == 0
    said = capsys.readouterr().out
    assert "kept 1, dropped 2" in said
    assert "1 shorter than 0.1 s" in said and "1 longer than 20 s" in said
    datadir.validate(tmp_path / "out/train")
    assert datadir.read_table(tmp_path / "out/train/dropped") == {
        "s1-a": "shorter than 0.1 s",
        "s2-c": "longer than 20 s",
    }
    assert datadir.read_table(tmp_path / "out/train/spk2gender") == {"s1": "f"}


def test_filter_drops_empty_and_implausible_texts_but_keeps_test_sets(tmp_path, capsys):
    make(tmp_path / "org/train", utt2dur=dict.fromkeys(DURATIONS, "1.0"))
    (tmp_path / "org/train/text").write_text("s1-a\ns1-b GOOD\ns2-c " + "FAST " * 20 + "\n")
    args = [tmp_path / "org", tmp_path / "out", "train", "--max_chars_per_second", 30]
    assert run(filter_data, *args) == 0
    assert datadir.read_table(tmp_path / "out/train/text") == {"s1-b": "GOOD"}
    assert run(filter_data, *args, "--keep", "train") == 0
    assert len(datadir.read_table(tmp_path / "out/train/text", empty=True)) == 3


def test_filter_errors(tmp_path, capsys):
    make(tmp_path / "org/train")
    assert run(filter_data, tmp_path / "org", tmp_path / "out", "train") == 1
    assert "utt2dur: not found" in capsys.readouterr().err
    make(tmp_path / "org/train", utt2dur=DURATIONS)
    assert run(filter_data, tmp_path / "org", tmp_path / "out", "train", "--max_seconds", 0.01) == 1
    assert "found nothing that stays" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit) as caught:
        run(filter_data, tmp_path / "org", tmp_path / "org", "train")
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "bad",
    [
        ["train", "--min_seconds", "nan", "--max_seconds", "nan"],
        ["train", "--max_chars_per_second", "nan"],
        ["train", "dev", "--keep", "tarin"],
        ["train", "dev", "--measures", "audit.tsv"],
        ["train", "--rule", "snr"],
    ],
)
def test_filter_refuses_what_would_be_ignored(tmp_path, capsys, bad):
    for name in ("train", "dev"):
        make(tmp_path / "org" / name, utt2dur=DURATIONS)
    with pytest.raises(SystemExit) as caught:
        run(filter_data, tmp_path / "org", tmp_path / "out", *bad)
    assert caught.value.code == 2 and "expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_time_at_all_is_too_fast_for_any_text(tmp_path, capsys):
    make(tmp_path / "org/train", utt2dur=DURATIONS | {"s1-a": "0"})
    args = [tmp_path / "org", tmp_path / "out", "train", "--min_seconds", 0]
    assert run(filter_data, *args, "--max_chars_per_second", 20) == 0
    assert "1 more than 20 characters a second" in capsys.readouterr().out


def test_speeds_make_tables_only(tmp_path, capsys):
    data = make(tmp_path / "d", utt2dur=DURATIONS)
    assert run(speed_perturb, data, tmp_path / "sp", "--factors", "0.9 1.0 1.1") == 0
    datadir.validate(tmp_path / "sp")
    assert datadir.read_table(tmp_path / "sp/utt2spk")["sp0.9-s1-a"] == "sp0.9-s1"
    assert datadir.read_table(tmp_path / "sp/wav.scp")["sp1.1-s1-a"] == "/audio/s1-a.wav"
    assert datadir.read_table(tmp_path / "sp/utt2speed")["s1-a"] == "1.0"
    assert datadir.read_table(tmp_path / "sp/utt2dur")["sp0.9-s1-b"] == "1.111111"
    assert datadir.read_table(tmp_path / "sp/spk2gender")["sp1.1-s2"] == "f"
    assert run(speed_perturb, tmp_path / "sp", tmp_path / "spsp") == 1
    assert "found utt2speed" in capsys.readouterr().err


BAD_NUMBERS = [
    ("utt2dur", "abc"),
    ("utt2dur", "-1"),
    ("utt2dur", "nan"),
    ("utt2dur", "inf"),
    ("utt2speed", "abc"),
    ("utt2speed", "0"),
    ("utt2speed", "-1"),
]


@pytest.mark.parametrize(("table", "value"), BAD_NUMBERS)
def test_tables_of_numbers_hold_numbers(tmp_path, capsys, table, value):
    data = make(tmp_path / "d", **{table: dict.fromkeys(DURATIONS, "1") | {"s1-b": value}})
    assert run(validate_data, data) == 1
    assert f"{value!r} for 's1-b'" in capsys.readouterr().err
    command = speed_perturb if table == "utt2dur" else format_audio
    args = [data, tmp_path / "o"] if table == "utt2dur" else [tmp_path, tmp_path / "o", "d"]
    assert run(command, *args) == 1
    error = capsys.readouterr().err
    assert f"{table}: found {value!r} for 's1-b', expected" in error
    assert run(fix_data, data) == 0 and "dropped 1" in capsys.readouterr().out
    assert run(validate_data, data) == 0


def test_speeds_of_augmented_data_keep_what_may_happen_to_it(tmp_path):
    data = make(tmp_path / "d", utt2augment=dict.fromkeys(DURATIONS, "1"), utt2dur=DURATIONS)
    (data / "augment.json").write_text('{"reverb": 0.5}')
    assert run(speed_perturb, data, tmp_path / "sets/sp") == 0
    assert run(filter_data, tmp_path / "sets", tmp_path / "out", "sp") == 0
    for path in (tmp_path / "sets/sp", tmp_path / "out/sp"):
        assert json.loads((path / "augment.json").read_text()) == {"reverb": 0.5}
        assert datadir.read_table(path / "utt2augment")["sp0.9-s1-b"] == "1"


@pytest.mark.parametrize("factors", ["", "fast", "0.9 0.90", "0", "-1", "nan"])
def test_speeds_must_be_different_sensible_numbers(tmp_path, capsys, factors):
    data = make(tmp_path / "d")
    with pytest.raises(SystemExit) as caught:
        run(speed_perturb, data, tmp_path / "sp", f"--factors={factors}")
    assert caught.value.code == 2 and "expected different numbers" in capsys.readouterr().err
    assert not (tmp_path / "sp").exists()


@pytest.mark.parametrize("name", ["d", "link", "x/../d"])
@pytest.mark.parametrize(
    ("command", "args"),
    [
        (augment_audio, ["d", "{}", "--config", "no.yaml"]),
        (combine_data, ["{}", "other", "d"]),
        (filter_data, [".", "{}/..", "d"]),
        (format_audio, [".", "{}/..", "d"]),
        (segment_audio, ["d", "{}"]),
        (speed_perturb, ["d", "{}"]),
        (subset_data, ["d", "{}", "--first", "1"]),
    ],
)
def test_no_command_writes_over_its_input(tmp_path, monkeypatch, capsys, command, args, name):
    monkeypatch.chdir(tmp_path)
    data = make(tmp_path / "d", utt2dur=DURATIONS)
    make(tmp_path / "other", ["t-a"], utt2dur={"t-a": "1.0"})
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to("d")
    before = {p.name: p.read_bytes() for p in data.iterdir()}
    with pytest.raises(SystemExit) as caught:
        run(command, *(arg.format(name) for arg in args))
    assert caught.value.code == 2 and "expected two directories" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in data.iterdir()} == before


@pytest.mark.parametrize(
    "command", [combine_data, filter_data, fix_data, speed_perturb, subset_data, validate_data]
)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        run(command, "--help")
    assert caught.value.code == 0
