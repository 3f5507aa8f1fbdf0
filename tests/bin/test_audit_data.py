"""audit_data: every kind of broken data is found and named, and nothing ends in a stack trace."""

import json
import shutil
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_ext import datadir
from espnet_ext.bin import audit_data, filter_data, fix_data, format_audio
from espnet_ext.bin.command import call
from espnet_ext.datadir.edit import write_all

RATE = 8000
UTTS = [f"s{i % 2}-{i}" for i in range(6)]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("espnet_ext.files.os.fsync", lambda descriptor: None)


def voice(seed, seconds=1.0, rate=RATE):
    random = np.random.default_rng(seed)
    pauses = np.sin(2 * np.pi * 2 * np.arange(round(seconds * rate)) / rate) > 0
    return (pauses * 0.2 + 0.001) * random.standard_normal(len(pauses)).clip(-4, 4)


def make(folder, suffix="wav"):
    (folder / "audio").mkdir(parents=True)
    for i, utt in enumerate(UTTS):
        soundfile.write(folder / f"audio/{utt}.{suffix}", voice(i), RATE)
    tables = {
        "wav.scp": {u: f"{folder}/audio/{u}.{suffix}" for u in UTTS},
        "text": {u: f"SOME WORDS OF {u}" for u in UTTS},
        "utt2spk": {u: u[:2] for u in UTTS},
        "spk2gender": {"s0": "f", "s1": "m"},
    }
    write_all(folder / "train", tables)
    return folder


def run(folder, *options):
    return call(audit_data.main, [str(folder / "train"), "--nj", "1", *map(str, options)])


def summary(folder):
    return json.loads((folder / "train/audit/audit.json").read_text())


def found(folder):
    return {kind: facts["count"] for kind, facts in summary(folder)["findings"].items()}


def test_good_data_is_fit_for_training(tmp_path, capsys):
    make(tmp_path)
    assert run(tmp_path) == 0
    said = summary(tmp_path)
    assert said["verdict"] == "fit for training" and said["findings"] == {}
    assert said["utterances"] == 6 and said["hours"] == pytest.approx(6 / 3600)
    assert said["represented"]["gender"]["hours"]["female"] == pytest.approx(3 / 3600)
    header, *rows = (tmp_path / "train/audit/audit.tsv").read_text().splitlines()
    assert len(rows) == 6 and header.split("\t")[:5] == ["utt", "seconds", "chars", "words", "cps"]
    assert datadir.check(tmp_path / "train") == []  # the results do not disturb the directory


def test_processes_find_the_same(tmp_path):
    make(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(tmp_path, "--output", one) == 0
    assert call(audit_data.main, [str(tmp_path / "train"), "--nj", "3", "--output", str(two)]) == 0
    for name in ("audit.tsv", "audit.json", "audit.html"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


# One kind of damage each: what is done to the first utterance, and what the audit has to say.


def garbage(folder, path):
    path.write_bytes(b"this is no sound at all" * 50)


def gone(folder, path):
    path.unlink()


def no_bytes(folder, path):
    path.write_bytes(b"")


def cut_wav(folder, path):
    path.write_bytes(path.read_bytes()[:-3000])


def cut_flac(folder, path):
    soundfile.write(folder / "a.flac", voice(0), RATE)
    data = (folder / "a.flac").read_bytes()
    path.write_bytes(data[: len(data) // 2])


def wrong_header(folder, path):
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", 16000)
    path.write_bytes(data)


def not_a_number(folder, path):
    wave = voice(0).astype(np.float32)
    wave[123] = np.nan
    soundfile.write(path, wave, RATE, subtype="FLOAT")


def no_samples(folder, path):
    soundfile.write(path, np.zeros(0), RATE)


def other_rate(folder, path):
    soundfile.write(path, voice(0, rate=16000), 16000)


def two_channels(folder, path):
    soundfile.write(path, np.stack([voice(0), voice(1)], axis=1), RATE)


def silence(folder, path):
    soundfile.write(path, np.zeros(RATE), RATE)


def clipping(folder, path):
    soundfile.write(path, (20 * voice(0)).clip(-1, 1), RATE)


def again(folder, path):
    shutil.copy(folder / "audio" / f"{UTTS[1]}.wav", path)


def offset(folder, path):
    soundfile.write(path, voice(0) + 0.1, RATE)


def empty_text(folder, path):
    text = (folder / "train/text").read_text()
    (folder / "train/text").write_text(text.replace(f"SOME WORDS OF {UTTS[0]}\n", "\n"))


def same_text(folder, path):
    text = (folder / "train/text").read_text()
    (folder / "train/text").write_text(text.replace(f"OF {UTTS[0]}\n", f"OF {UTTS[2]}\n"))


def long_text(folder, path):
    text = (folder / "train/text").read_text()
    (folder / "train/text").write_text(text.replace(f"OF {UTTS[0]}\n", "BLAH " * 20 + "\n"))


def wrong_length(folder, path):
    lengths = dict.fromkeys(UTTS, str(RATE)) | {UTTS[0]: "99"}
    datadir.write_table(folder / "train/utt2num_samples", lengths)


def wrong_duration(folder, path):
    durations = dict.fromkeys(UTTS, "1.0") | {UTTS[0]: "3.5"}
    datadir.write_table(folder / "train/utt2dur", durations)


REFUSED = [
    (garbage, "unreadable"),
    (gone, "unreadable"),
    (no_bytes, "unreadable"),
    (cut_wav, "truncated"),
    (cut_flac, "truncated"),
    (not_a_number, "not_finite"),
    (no_samples, "no_samples"),
    (other_rate, "mixed_rates"),
    (two_channels, "mixed_channels"),
    (empty_text, "empty_text"),
    (wrong_length, "wrong_length"),
]
NAMED = [
    (wrong_header, "header"),
    (silence, "silent"),
    (clipping, "clipped"),
    (offset, "offset"),
    (same_text, "same_text"),
    (long_text, "fast"),
    (wrong_duration, "wrong_duration"),
]


@pytest.mark.parametrize(("damage", "kind"), REFUSED)
def test_what_a_training_would_choke_on_is_refused_or_allowed(tmp_path, capsys, damage, kind):
    make(tmp_path)
    damage(tmp_path, tmp_path / "audio" / f"{UTTS[0]}.wav")
    assert run(tmp_path) == 1
    error = capsys.readouterr().err
    assert "audit_data: error: " in error and "Traceback" not in error
    assert f"{kind}: 1 (" in error and f"{UTTS[0]}: " in error
    assert "--allow" in error.rpartition("let it pass with")[2]
    assert found(tmp_path)[kind] == 1
    assert summary(tmp_path)["findings"][kind]["worst"][0]["utt"] == UTTS[0]
    row = (tmp_path / "train/audit/audit.tsv").read_text().splitlines()[1].split("\t")
    assert row[0] == UTTS[0] and kind in row[-1].split(",")
    assert run(tmp_path, "--allow", kind, "table") == 0


@pytest.mark.parametrize(("damage", "kind"), NAMED)
def test_what_is_worth_a_look_is_named_or_refused(tmp_path, capsys, damage, kind):
    make(tmp_path)
    damage(tmp_path, tmp_path / "audio" / f"{UTTS[0]}.wav")
    run(tmp_path, "--allow", "mixed_rates")
    assert found(tmp_path)[kind] == 1 and f"1 {kind}" in capsys.readouterr().out
    assert run(tmp_path, "--refuse", kind, "--allow", "mixed_rates") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_the_same_audio_twice(tmp_path, capsys):
    make(tmp_path)
    again(tmp_path, tmp_path / "audio" / f"{UTTS[0]}.wav")
    assert run(tmp_path) == 0
    worst = summary(tmp_path)["findings"]["same_audio"]["worst"]
    assert len(worst) == 1 and {worst[0]["utt"], worst[0]["message"][-4:]} == {UTTS[0], UTTS[1]}


def bom(path):
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def crlf(path):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def latin(path):
    path.write_bytes(path.read_bytes().replace(b"WORDS", b"W\xf6RDS"))


def many_times(path):
    path.write_bytes(path.read_bytes() + f"{UTTS[0]} AGAIN\n".encode() * 10_000)


@pytest.mark.parametrize(
    ("damage", "words", "mended"),
    [
        (bom, "text: begins with a byte order mark", True),
        (crlf, "text: 6 lines hold a carriage return", True),
        (latin, "text, line 1: found bytes", False),
        (many_times, f"text, line 7: '{UTTS[0]}' again, first in line 1", True),
    ],
)
def test_broken_text_files(tmp_path, capsys, damage, words, mended):
    make(tmp_path)
    damage(tmp_path / "train/text")
    assert run(tmp_path) == 1
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error and len(error) < 4000
    if mended:
        datadir.fix(tmp_path / "train")
        assert run(tmp_path) == 0
        assert len(datadir.read_table(tmp_path / "train/text")) == 6


def test_segments_of_a_recording_that_ends_before(tmp_path, capsys):
    make(tmp_path)
    write_all(
        tmp_path / "train",
        {
            "wav.scp": {"r": f"{tmp_path}/audio/{UTTS[0]}.wav"},
            "segments": {"s0-a": "r 0.1 0.6", "s0-b": "r 0.6 1.9", "s0-c": "r 2.0 3.0"},
            "text": {"s0-a": "A WORD", "s0-b": "ANOTHER", "s0-c": "NONE"},
            "utt2spk": dict.fromkeys(("s0-a", "s0-b", "s0-c"), "s0"),
        },
    )
    assert run(tmp_path) == 1
    assert found(tmp_path)["no_samples"] == 1 and found(tmp_path)["wrong_duration"] == 1


@pytest.mark.parametrize("name", ["wav.scp", "utt2spk", "text"])
def test_missing_tables(tmp_path, capsys, name):
    make(tmp_path)
    (tmp_path / "train" / name).unlink()
    assert run(tmp_path) == 1
    error = capsys.readouterr().err
    assert name in error and "Traceback" not in error
    if name == "text":
        assert run(tmp_path, "--no_text") == 0


def test_bad_usage(tmp_path, capsys):
    make(tmp_path)
    assert call(audit_data.main, [str(tmp_path / "nothing")]) == 1
    for bad in (["--allow", "everything"], ["--min_snr", "loud"]):
        with pytest.raises(SystemExit) as caught:
            run(tmp_path, *bad)
        assert (
            caught.value.code == 2
            and f"found '{bad[1]}', expected" in capsys.readouterr().err.replace("the kind ", "")
        )


def test_the_page_has_all_parts_and_nothing_from_elsewhere(tmp_path):
    make(tmp_path)
    clipping(tmp_path, tmp_path / "audio" / f"{UTTS[0]}.wav")
    (tmp_path / "train/text").write_text(
        "".join(f"{u} <b>WORDS</b> & MORE {u}\n" for u in sorted(UTTS)), encoding="utf-8"
    )
    assert run(tmp_path) == 0
    page = (tmp_path / "train/audit/audit.html").read_text()
    for part in ("Findings", "Signal-to-noise ratio", "Who is heard", "data:audio/flac;base64"):
        assert part in page
    assert "<b>WORDS</b>" not in page and "&lt;b&gt;WORDS" in page
    assert "http://" not in page and "https://" not in page


@pytest.mark.parametrize("rate", [700_000, 73_537])
def test_rates_that_no_player_has(tmp_path, rate):
    make(tmp_path)
    path = tmp_path / "audio" / f"{UTTS[0]}.wav"
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", rate)
    path.write_bytes(data)
    assert run(tmp_path, "--allow", "mixed_rates", "header") == 0
    assert f"no player for audio at {rate} Hz" in (tmp_path / "train/audit/audit.html").read_text()


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["wav.scp", "text", "utt2spk", "spk2utt", "utt2dur", "segments"]), st.binary()
)
def test_any_bytes_in_any_table_never_end_in_a_stack_trace(tmp_path, name, data):
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    make(folder)
    (folder / "train" / name).write_bytes(data)
    assert run(folder) in (0, 1)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 15000), st.binary(min_size=1, max_size=40), st.sampled_from(["wav", "flac"]))
def test_any_damage_in_an_audio_file_never_ends_in_a_stack_trace(tmp_path, at, data, suffix):
    folder = tmp_path / suffix
    if not folder.exists():
        make(folder, suffix)
        shutil.copy(folder / f"audio/{UTTS[0]}.{suffix}", tmp_path / f"good.{suffix}")
    whole = bytearray((tmp_path / f"good.{suffix}").read_bytes())
    whole[at : at + len(data)] = data
    (folder / f"audio/{UTTS[0]}.{suffix}").write_bytes(whole)
    assert run(folder) in (0, 1)


# What the audit finds, format_audio leaves out and filter_data drops.


@pytest.mark.parametrize(
    "damage", [garbage, gone, no_bytes, cut_wav, cut_flac, not_a_number, no_samples]
)
def test_broken_audio_is_refused_or_left_out_as_asked(tmp_path, capsys, damage):
    make(tmp_path)
    damage(tmp_path, tmp_path / "audio" / f"{UTTS[0]}.wav")
    args = [str(tmp_path), str(tmp_path / "raw"), "train", "--fs", "8k"]
    assert call(format_audio.main, args) == 1
    error = capsys.readouterr().err
    assert f"'{UTTS[0]}'" in error and "Traceback" not in error
    assert call(format_audio.main, [*args, "--skip_broken"]) == 0
    for table in ("wav.scp", "text", "utt2spk"):
        assert set(datadir.read_table(tmp_path / "raw/train" / table)) == set(UTTS[1:])
    assert call(audit_data.main, [str(tmp_path / "raw/train"), "--nj", "1"]) == 0


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(("damage", "kind"), REFUSED)
def test_the_way_out_that_a_refusal_names_leads_out(tmp_path, capsys, damage, kind, elsewhere):
    make(tmp_path)
    damage(tmp_path, tmp_path / "audio" / f"{UTTS[0]}.wav")
    audit = ["--output", tmp_path / "elsewhere"] if elsewhere else []
    assert run(tmp_path, *audit) == 1
    said = [line.strip() for line in capsys.readouterr().err.splitlines()]
    ways = [line for line in said if line.startswith("python -m espnet_ext.bin.")]
    way = next(line for line in ways if "filter_data" in line) if kind != "empty_text" else ways[0]
    command, *args = way.removeprefix("python -m espnet_ext.bin.").split()
    args = [str(tmp_path / "out") if arg == "OUT" else arg for arg in args]
    if command == "fix_data":
        assert call(fix_data.main, args) == 0 and run(tmp_path) == 0
        return
    assert call(filter_data.main, args) == 0
    assert call(audit_data.main, [str(tmp_path / "out/train"), "--nj", "1"]) == 0
    assert datadir.read_table(tmp_path / "out/train/dropped") == {
        UTTS[0]: f"with the finding {kind}"
    }


def test_what_is_not_there_to_be_looked_up_is_said(tmp_path, capsys):
    make(tmp_path)
    args = [str(tmp_path), str(tmp_path / "out"), "train"]
    for more in ([], ["--rule", "snr>=1"], ["--drop", "noisy"]):
        assert call(filter_data.main, [*args, *more]) == 1
        error = capsys.readouterr().err
        assert "utt2dur: not found" in error and "audit_data" in error
    assert run(tmp_path) == 0
    assert call(filter_data.main, args) == 0  # lengths come from the audit
    assert call(filter_data.main, [*args, "--rule", "digest==5"]) == 1
    assert "digest, which holds no numbers" in capsys.readouterr().err


def test_limits_of_an_audit_are_numbers(tmp_path):
    make(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, "--min_snr", "nan")
    assert caught.value.code == 2


def test_rules_look_at_what_format_audio_or_an_audit_measured(tmp_path, capsys):
    make(tmp_path)
    clipping(tmp_path, tmp_path / "audio" / f"{UTTS[0]}.wav")
    soundfile.write(tmp_path / "audio" / f"{UTTS[1]}.wav", 0.001 * voice(1), RATE)
    run(tmp_path)
    raw, out = str(tmp_path / "raw"), str(tmp_path / "out")
    assert call(format_audio.main, [str(tmp_path), raw, "train", "--fs", "8k"]) == 0
    rules = ["--rule", "clipped<0.01", "--rule", "level >= -50", "--rule", "cps<=100"]
    capsys.readouterr()
    for more in ([], ["--measures", str(tmp_path / "train/audit/audit.tsv")]):
        assert call(filter_data.main, [raw, out, "train", *rules, *more]) == 0
        said = capsys.readouterr().out
        assert "kept 4, dropped 2" in said and "1 rule clipped<0.01" in said
        dropped = datadir.read_table(tmp_path / "out/train/dropped")
        assert list(dropped) == UTTS[:2] and dropped[UTTS[1]].startswith(
            "rule level>=-50, found -7"
        )
    assert call(filter_data.main, [raw, out, "train", "--rule", "nonsense>1"]) == 1
    assert "no column nonsense" in capsys.readouterr().err
    for bad in (["--rule", "snr"], ["--drop", "everything"], ["--drop", "table"]):
        with pytest.raises(SystemExit) as caught:
            call(filter_data.main, [raw, out, "train", *bad])
        assert caught.value.code == 2


def test_segments_to_the_end_are_audited_and_formatted(tmp_path):
    make(tmp_path)
    utts = ("s0-a", "s0-b")
    tables = {
        "wav.scp": {"r": f"{tmp_path}/audio/{UTTS[0]}.wav"},
        "segments": {"s0-a": "r 0.1 0.4", "s0-b": "r 0.25 -1"},
        "text": {"s0-a": "A WORD", "s0-b": "ANOTHER"},
        "utt2spk": dict.fromkeys(utts, "s0"),
    }
    write_all(tmp_path / "train", tables)
    assert run(tmp_path) == 0
    assert call(format_audio.main, [str(tmp_path), str(tmp_path / "raw"), "train"]) == 0
    seconds = datadir.read_table(tmp_path / "raw/train/utt2dur")
    assert [float(seconds[u]) for u in utts] == pytest.approx([0.3, 0.75])


def test_several_directories_have_their_pages_together(tmp_path, capsys):
    make(tmp_path)
    shutil.copytree(tmp_path / "train", tmp_path / "dev")
    (tmp_path / "dev/text").write_text("")
    sets = [str(tmp_path / name) for name in ("train", "dev")]
    pages = ["--pages", str(tmp_path / "pages"), "--nj", "1"]
    assert (
        call(audit_data.main, [*sets, *pages]) == 1
    )  # one of them is broken, both are looked through
    error = capsys.readouterr().err
    assert f"{tmp_path}/dev: found what" in error and f"{tmp_path}/train: found" not in error
    assert sorted(p.name for p in (tmp_path / "pages").iterdir()) == ["dev.html", "train.html"]
    assert sorted(p.name for p in (tmp_path / "dev/audit").iterdir()) == ["audit.json", "audit.tsv"]
    with pytest.raises(SystemExit) as caught:
        call(audit_data.main, [*sets, "--output", str(tmp_path / "out")])
    assert caught.value.code == 2
