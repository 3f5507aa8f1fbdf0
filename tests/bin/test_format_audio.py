"""The command format_audio: shares, resuming, forms, and every way it can fail."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.audio.form import Form
from espnet_ext.audio.format import format_set
from espnet_ext.bin.command import call
from espnet_ext.bin.format_audio import main
from espnet_ext.bin.speed_perturb import main as speed_perturb
from espnet_ext.datadir.edit import write_all

RATE = 16000
FORMATS = ["flac", "wav", "flac.ark", "wav.ark"]


def noise(seed, seconds=0.3, channels=1, rate=RATE):
    shape = (round(seconds * rate), channels)
    return np.random.default_rng(seed).integers(-9000, 9000, shape, np.int16)


def make(folder, count=6, rate=RATE, suffix="wav", **more):
    """`folder/data/train` with its audio in `folder/audio`."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    utts = [f"s{i % 2}-{i:03d}" for i in range(count)]
    for i, utt in enumerate(utts):
        soundfile.write(folder / f"audio/{utt}.{suffix}", noise(i, 0.3 + i / 50, rate=rate), rate)
    tables = {
        "wav.scp": {u: f"{folder}/audio/{u}.{suffix}" for u in utts},
        "text": {u: f"WORDS {u}" for u in utts},
        "utt2spk": {u: u[:2] for u in utts},
    }
    write_all(folder / "data/train", tables | more)
    return folder


def run(folder, *options, out="raw", sets=("train",)):
    return call(main, [str(folder / "data"), str(folder / out), *sets, *options])


def tables(directory):
    return {p.name: p.read_text() for p in directory.iterdir() if p.is_file()}


def sounds(directory):
    found = {}
    for utt, entry in datadir.read_table(directory / "wav.scp").items():
        if entry.endswith(("flac", "wav")):
            found[utt] = soundfile.read(entry, dtype="int16", always_2d=True)
        else:
            rate, samples = kaldiio.load_mat(entry)
            if samples.dtype != np.int16:
                samples = np.round(samples * 32768).astype(np.int16)
            found[utt] = (samples.reshape(len(samples), -1), rate)
    return found


@pytest.mark.parametrize("audio_format", FORMATS)
def test_samples_come_through_unchanged(tmp_path, audio_format):
    make(tmp_path)
    assert run(tmp_path, "--audio_format", audio_format) == 0
    datadir.validate(tmp_path / "raw/train")
    found = sounds(tmp_path / "raw/train")
    for i, utt in enumerate(sorted(found, key=lambda u: u[3:])):
        samples, rate = found[utt]
        assert rate == RATE and (samples == noise(i, 0.3 + i / 50)).all()
    counts = datadir.read_table(tmp_path / "raw/train/utt2num_samples")
    assert counts == {u: str(len(s)) for u, (s, _) in found.items()}
    assert datadir.read_table(tmp_path / "raw/train/utt2dur")["s0-000"] == "0.300000"


@pytest.mark.parametrize("audio_format", FORMATS)
def test_any_number_of_shares_gives_the_same(tmp_path, audio_format):
    make(tmp_path, 7)
    for jobs in (1, 3, 10):
        for job in range(jobs, 0, -1):
            assert jobs > 7 or not (tmp_path / f"raw{jobs}/train/wav.scp").exists()
            options = ["--job", f"{job}/{jobs}", "--audio-format", audio_format]
            assert run(tmp_path, *options, out=f"raw{jobs}") == 0
    one, three, ten = (tmp_path / f"raw{n}/train" for n in (1, 3, 10))
    for other in (three, ten):
        assert (other / "utt2num_samples").read_text() == (one / "utt2num_samples").read_text()
        for utt, (samples, _) in sounds(one).items():
            assert (sounds(other)[utt][0] == samples).all()


@pytest.mark.parametrize("audio_format", ["flac", "flac.ark"])
def test_another_number_of_shares_afterwards_does_nothing_anew(tmp_path, audio_format, capsys):
    make(tmp_path, 7)
    assert run(tmp_path, "--job", "1/2", "--audio_format", audio_format) == 0
    assert not (tmp_path / "raw/train/wav.scp").exists()
    for job in (1, 2, 3):
        assert run(tmp_path, "--job", f"{job}/3", "--audio_format", audio_format) == 0
    assert "2 utterances of share 1/3 are there already" in capsys.readouterr().out
    before = tables(tmp_path / "raw/train")
    assert run(tmp_path, "--audio_format", audio_format) == 0
    assert "7 utterances of share 1/1 are there already" in capsys.readouterr().out
    assert tables(tmp_path / "raw/train") == before
    assert len(sounds(tmp_path / "raw/train")) == 7


def test_changed_audio_or_form_is_done_anew(tmp_path, capsys):
    make(tmp_path)
    run(tmp_path)
    soundfile.write(tmp_path / "audio/s0-000.wav", noise(99, 0.7), RATE)
    assert run(tmp_path) == 0
    assert "5 utterances of share 1/1 are there already" in capsys.readouterr().out
    assert (sounds(tmp_path / "raw/train")["s0-000"][0] == noise(99, 0.7)).all()
    assert run(tmp_path, "--fs", "8k") == 0
    assert "are there already" not in capsys.readouterr().out
    assert {rate for _, rate in sounds(tmp_path / "raw/train").values()} == {8000}


def test_lost_audio_is_made_again(tmp_path):
    make(tmp_path)
    run(tmp_path)
    entry = Path(datadir.read_table(tmp_path / "raw/train/wav.scp")["s0-000"])
    whole = entry.read_bytes()
    entry.write_bytes(b"")  # what a power cut may leave
    assert run(tmp_path) == 0
    assert entry.read_bytes() == whole


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_audio_of_the_right_form_stays_where_it_is(tmp_path, suffix):
    make(tmp_path, suffix=suffix)
    assert run(tmp_path, "--audio_format", suffix) == 0
    before, after = (tables(tmp_path / folder) for folder in ("data/train", "raw/train"))
    assert after["wav.scp"] == before["wav.scp"]
    assert not [p for p in (tmp_path / "raw/train/data").rglob("*") if p.is_file()]
    assert datadir.read_table(tmp_path / "raw/train/utt2num_samples")["s0-000"] == "4800"
    other = {"flac": "wav", "wav": "flac"}[suffix]
    for options in (["--audio_format", other], ["--fs", "8k"], ["--audio_format", "flac.ark"]):
        assert run(tmp_path, *options, out="changed") == 0
        assert "audio/" not in (tmp_path / "changed/train/wav.scp").read_text()


def test_one_pass_also_measures(tmp_path):
    make(tmp_path)
    assert run(tmp_path, "--fs", "8k") == 0
    header, *rows = (tmp_path / "raw/train/quality.tsv").read_text().splitlines()
    assert len(rows) == 6 and header.startswith("utt\trate\tchannels\tseconds\tlevel")
    first = dict(zip(header.split("\t"), rows[0].split("\t"), strict=True))
    assert first["utt"] == "s0-000" and first["rate"] == "16000"  # of the source
    root_mean_square = 20 * np.log10(9000 / 3**0.5 / 32768)
    assert float(first["level"]) == pytest.approx(root_mean_square, abs=0.1)


def test_the_channel_that_is_kept_is_measured(tmp_path):
    make(tmp_path, 1)
    both = np.concatenate([noise(0), noise(1) // 30], axis=1)
    soundfile.write(tmp_path / "audio/s0-000.wav", both, RATE)
    assert run(tmp_path, "--ref_channels", "1") == 0
    header, row = (line.split("\t") for line in (tmp_path / "raw/train/quality.tsv").open())
    found = dict(zip(header, row, strict=True))
    level = 20 * np.log10(np.sqrt(np.mean(np.square(both[:, 1] / 32768))))
    assert float(found["level"]) == pytest.approx(level, abs=0.1) and found["channels"] == "1"


def test_a_wav_that_ends_early_is_refused(tmp_path, capsys):
    make(tmp_path)
    path = tmp_path / "audio/s0-002.wav"
    path.write_bytes(path.read_bytes()[:-2000])
    failed(tmp_path, capsys, "'s0-002'", "cut off")


def test_flac_of_the_right_form_is_copied_not_encoded_again(tmp_path):
    make(tmp_path, suffix="flac")
    run(tmp_path, "--copy")
    entry = datadir.read_table(tmp_path / "raw/train/wav.scp")["s0-000"]
    assert Path(entry).read_bytes() == (tmp_path / "audio/s0-000.flac").read_bytes()
    run(tmp_path, "--fs", "8000", out="raw8")
    assert sounds(tmp_path / "raw8/train")["s0-000"][1] == 8000


def test_segments_and_speeds(tmp_path):
    make(tmp_path, 1)
    soundfile.write(tmp_path / "audio/long.wav", noise(1, 2.0), RATE)
    write_all(
        tmp_path / "data/train",
        {
            "wav.scp": {"long": f"{tmp_path}/audio/long.wav"},
            "segments": {"s0-a": "long 0.25 0.75", "s0-b": "long 1.0 2.0"},
            "text": {"s0-a": "A", "s0-b": "B"},
            "utt2spk": {"s0-a": "s0", "s0-b": "s0"},
            "utt2dur": {"s0-a": "0.5", "s0-b": "1.0"},
        },
    )
    data = tmp_path / "data"
    assert call(speed_perturb, [str(data / "train"), str(data / "sp")]) == 0
    datadir.validate(data / "sp")
    assert datadir.read_table(data / "sp/utt2dur")["sp1.1-s0-b"] == "0.909091"
    assert run(tmp_path, sets=["sp"]) == 0
    datadir.validate(tmp_path / "raw/sp")
    assert not {"segments", "utt2speed"} & set(os.listdir(tmp_path / "raw/sp"))
    found = sounds(tmp_path / "raw/sp")
    assert (found["s0-a"][0] == noise(1, 2.0)[4000:12000]).all()
    counts = {u: len(s) for u, (s, _) in found.items()}
    assert counts["sp0.9-s0-b"] == pytest.approx(RATE / 0.9, abs=1)
    assert counts["sp1.1-s0-a"] == pytest.approx(RATE / 2.2, abs=1)


def with_segments(folder, segments):
    """One recording of two seconds, cut."""
    make(folder, 1)
    soundfile.write(folder / "audio/long.wav", noise(1, 2.0), RATE)
    tables = {
        "wav.scp": {"long": f"{folder}/audio/long.wav"},
        "segments": segments,
        "text": dict.fromkeys(segments, "A"),
        "utt2spk": dict.fromkeys(segments, "s0"),
    }
    write_all(folder / "data/train", tables)


def test_a_segment_that_ends_after_its_recording_is_shortened_and_named(tmp_path, capsys):
    with_segments(tmp_path, {"s0-a": "long 0 2.05", "s0-b": "long 1.5 2.75", "s0-c": "long 1 -1"})
    assert run(tmp_path) == 0
    said = capsys.readouterr().err
    assert "1 segments end after their recordings and were shortened: s0-b by 0.75 s" in said
    seconds = datadir.read_table(tmp_path / "raw/train/utt2dur")
    assert [float(seconds[u]) for u in sorted(seconds)] == [2.0, 0.5, 1.0]


def test_a_segment_that_begins_after_its_recording_is_an_error(tmp_path, capsys):
    with_segments(tmp_path, {"s0-a": "long 0 1", "s0-b": "long 2.5 2.75"})
    failed(tmp_path, capsys, "'s0-b'", "no samples between 2.5 s and 2.75 s")


def test_channels_are_picked_in_the_order_asked_for(tmp_path):
    make(tmp_path, 2)
    for i, utt in enumerate(("s0-000", "s1-001")):
        soundfile.write(tmp_path / f"audio/{utt}.wav", noise(i, channels=4), RATE)
    assert run(tmp_path, "--ref_channels", "2,0") == 0
    assert (sounds(tmp_path / "raw/train")["s0-000"][0] == noise(0, channels=4)[:, [2, 0]]).all()
    assert run(tmp_path, out="all") == 0
    assert sounds(tmp_path / "all/train")["s0-000"][0].shape[1] == 4


def test_real_recordings_with_several_channels(tmp_path, realdata):
    path = realdata / "multichannel" / "sb_noise_diffuse.flac"
    make(tmp_path, 1, **{"wav.scp": {"s0-000": str(path)}})
    assert run(tmp_path, "--ref-channels", "3", "--fs", "8k") == 0
    samples, rate = sounds(tmp_path / "raw/train")["s0-000"]
    assert samples.shape == (80000, 1) and rate == 8000


@pytest.fixture
def realdata():
    default = Path(__file__).resolve().parents[3] / "shared" / "realdata"
    root = Path(os.environ.get("ESPNET_EXT_REALDATA", default))
    if not root.is_dir():
        pytest.skip(f"no real recordings in {root} (ESPNET_EXT_REALDATA)")
    return root


# Errors: each one clear line, status 1, and nothing under a final name.


def failed(folder, capsys, *words, options=(), out="raw"):
    assert run(folder, *options, out=out) == 1
    said = capsys.readouterr().err
    for word in words:
        assert word in said
    assert "Traceback" not in said
    assert not (folder / out / "train" / "utt2spk").exists()
    assert not list((folder / out).rglob(".writing*"))


def test_unreadable_audio_names_every_utterance(tmp_path, capsys):
    make(tmp_path)
    (tmp_path / "audio/s0-002.wav").write_bytes(b"no audio")
    (tmp_path / "audio/s1-003.wav").unlink()
    failed(tmp_path, capsys, "2 unusable", "'s0-002'", "'s1-003'", "unreadable", "--skip_broken")
    assert run(tmp_path, "--skip_broken") == 0
    said = capsys.readouterr()
    assert "left out 2 unusable utterances" in said.err
    assert "4 utterances of share 1/1 are there already" in said.out
    datadir.validate(tmp_path / "raw/train")
    assert len(sounds(tmp_path / "raw/train")) == 4
    assert run(tmp_path) == 1  # left out is not done


def test_zero_length_audio(tmp_path, capsys):
    make(tmp_path)
    soundfile.write(tmp_path / "audio/s0-002.wav", np.zeros(0, np.int16), RATE)
    failed(tmp_path, capsys, "'s0-002'", "no samples")


def test_rate_that_must_not_be_changed(tmp_path, capsys):
    make(tmp_path, rate=8000)
    failed(
        tmp_path, capsys, "found 8000 Hz, expected 16000 Hz", "--fs 8000", options=["--no_resample"]
    )


def test_mixed_rates_without_one_to_aim_at(tmp_path, capsys):
    make(tmp_path)
    soundfile.write(tmp_path / "audio/s0-002.wav", noise(0, rate=8000), 8000)
    failed(tmp_path, capsys, "8000 ('s0-002'), 16000", "--fs", options=["--fs", ""])


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_mixed_numbers_of_channels(tmp_path, capsys, suffix):
    make(tmp_path, suffix=suffix)
    soundfile.write(tmp_path / f"audio/s0-002.{suffix}", noise(0, channels=2), RATE)
    failed(tmp_path, capsys, "channels 1 ('s0-000'), 2 ('s0-002')", "--ref_channels")
    assert run(tmp_path, "--ref_channels", "0") == 0


@pytest.mark.parametrize("audio_format", FORMATS)
def test_ids_longer_than_a_file_name_may_be(tmp_path, audio_format):
    utts = ["話者" * 40 + end for end in "ab"]  # 9 bytes a letter in a file's name
    make(tmp_path, 2)
    files = sorted(map(str, (tmp_path / "audio").iterdir()))
    whole = {"wav.scp": files, "text": ["X", "Y"], "utt2spk": ["話者", "話者"]}
    write_all(
        tmp_path / "data/train", {n: dict(zip(utts, v, strict=True)) for n, v in whole.items()}
    )
    assert run(tmp_path, "--copy", "--audio_format", audio_format) == 0
    assert sounds(tmp_path / "raw/train").keys() == set(utts)


def test_a_carriage_return_within_a_text_is_white_space(tmp_path):
    make(tmp_path, 2)
    (tmp_path / "data/train/text").write_bytes(b"s0-000 ONE\rTWO\ns1-001 THREE\r\n")
    assert run(tmp_path) == 0
    assert datadir.read_table(tmp_path / "raw/train/text")["s0-000"] == "ONE TWO"


def test_tables_without_a_line(tmp_path, capsys):
    make(tmp_path)
    for path in (tmp_path / "data/train").iterdir():
        path.write_text("")
    failed(tmp_path, capsys, "wav.scp: found no line", "stage 1")


def test_a_channel_that_is_not_there(tmp_path, capsys):
    make(tmp_path)
    failed(tmp_path, capsys, "found 1 channels", options=["--ref_channels", "1"])


def test_headerless_audio(tmp_path, capsys):
    (tmp_path / "x.raw").write_bytes(b"\0" * 100)
    make(tmp_path, 2, **{"wav.scp": {"s0-000": f"{tmp_path}/x.raw", "s1-001": f"{tmp_path}/x.raw"}})
    failed(tmp_path, capsys, "'s0-000'", "unreadable")
    assert run(tmp_path, "--skip_broken") == 1
    assert "found no usable utterance" in capsys.readouterr().err


@pytest.mark.parametrize("garbage", [b"\0" * 50 + b"\n", b"a b c d e f\n", b"\xff\xfe 1 1 1 1 x\n"])
def test_a_damaged_log_costs_only_its_lines(tmp_path, capsys, garbage):
    make(tmp_path)
    assert run(tmp_path) == 0
    log = tmp_path / "raw/train/shares/1of1.log"
    _, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(garbage + b"".join(rest))
    assert run(tmp_path) == 0
    assert "5 utterances of share 1/1 are there already" in capsys.readouterr().out
    assert len(sounds(tmp_path / "raw/train")) == 6 and garbage not in log.read_bytes()


@pytest.mark.parametrize("speed", ["abc", "0", "-1", "nan", "inf"])
def test_a_speed_that_is_none(tmp_path, capsys, speed):
    make(tmp_path, utt2speed={"s0-000": speed})
    failed(tmp_path, capsys, "utt2speed", repr(speed), "'s0-000'")


def test_a_highpass_above_all_there_is(tmp_path, capsys):
    make(tmp_path)
    failed(
        tmp_path,
        capsys,
        "highpass=1000 at 1500 Hz",
        options=["--fs", "1500", "--clean=highpass=1000"],
    )


def test_not_a_number(tmp_path, capsys):
    make(tmp_path)
    bad = np.full(100, np.nan, np.float32)
    soundfile.write(tmp_path / "audio/s0-002.wav", bad, RATE, subtype="FLOAT")
    failed(tmp_path, capsys, "'s0-002'", "nan")


def test_gives_up_where_everything_is_broken(tmp_path, capsys):
    make(tmp_path, 30)
    shutil.rmtree(tmp_path / "audio")
    failed(tmp_path, capsys, "20 unusable utterances")


def test_damaged_tables(tmp_path, capsys):
    make(tmp_path)
    (tmp_path / "data/train/text").write_bytes(b"s0-000 caf\xe9\n")
    failed(tmp_path, capsys, "text, line 1", "UTF-8")


@pytest.mark.parametrize("name", ["wav.scp", "text", "utt2spk"])
def test_unsorted_tables(tmp_path, capsys, name):
    make(tmp_path)
    path = tmp_path / "data/train" / name
    path.write_text("".join(sorted(path.read_text().splitlines(keepends=True), reverse=True)))
    failed(tmp_path, capsys, f"{name}, line 2", "'s1-003' after 's1-005'", "fix_data")


def test_missing_tables(tmp_path, capsys):
    make(tmp_path)
    (tmp_path / "data/train/utt2spk").unlink()
    failed(tmp_path, capsys, "train/utt2spk: not found")


def test_no_such_set(tmp_path, capsys):
    make(tmp_path)
    assert run(tmp_path, sets=["dev"]) == 1
    assert "data/dev: no such directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--fs", "abc"],
        ["--fs", "inf"],
        ["--fs", "1e9"],
        ["--job", "3/2"],
        ["--audio_format", "mp3"],
    ],
)
def test_bad_usage_ends_with_2(tmp_path, options):
    with pytest.raises(SystemExit) as caught:
        run(make(tmp_path), *options)
    assert caught.value.code == 2


@contextmanager
def small_disk(path, size):
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted as root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.parametrize("audio_format", ["wav", "wav.ark"])
def test_disk_full_then_room_again(tmp_path, capsys, audio_format):
    make(tmp_path, 40)
    with small_disk(tmp_path / "disk", "400k"):
        options = ["--audio_format", audio_format, "--copy"]
        failed(tmp_path, capsys, "disk/", "the disk is full", options=options, out="disk")
        subprocess.run(["mount", "-o", "remount,size=9m", "tmpfs", tmp_path / "disk"], check=True)
        assert run(tmp_path, *options, out="disk") == 0
        assert run(tmp_path, *options, out="undisturbed") == 0
        assert same(tmp_path / "disk/train", tmp_path / "undisturbed/train")


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    import tracemalloc

    make(tmp_path, 1)
    form, peaks = Form(16000, "wav"), []
    for count in (300, 2500):
        utts = [f"s-{i:06d}" for i in range(count)]
        tables = {
            "wav.scp": dict.fromkeys(utts, f"{tmp_path}/audio/s0-000.wav"),
            "utt2spk": dict.fromkeys(utts, "s"),
        }
        write_all(tmp_path / "data/many", tables)
        del tables, utts
        tracemalloc.start()
        assert format_set(tmp_path / "data/many", tmp_path / f"{count}", 1, 1, form)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Held tables and logs would be 6 MB more; the interpreter's own growth is up to 2.
    assert peaks[1] - peaks[0] < 3_000_000, peaks


def test_no_permission(tmp_path, capsys):
    """Root may write anywhere, so root tries it as nobody."""
    make(tmp_path)
    (tmp_path / "raw").mkdir(mode=0o555)
    command = [sys.executable, "-m", "espnet_ext.bin.format_audio", "data", "raw", "train"]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root cannot be refused, and there is no setpriv to become nobody")
        for folder in (tmp_path, *tmp_path.parents[:2]):
            os.chmod(folder, 0o755)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, text=True,
        capture_output=True,
    )  # fmt: skip
    if "espnet_ext" in done.stderr and "No module" in done.stderr:
        pytest.skip("nobody cannot read this checkout")
    assert done.returncode == 1
    assert "format_audio: error: raw/train: no permission" in done.stderr
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_file_where_a_directory_should_go(tmp_path, capsys):
    make(tmp_path)
    (tmp_path / "raw").write_text("a file")
    assert run(tmp_path) == 1
    assert "raw" in capsys.readouterr().err
    assert (tmp_path / "raw").read_text() == "a file"


def test_a_share_belongs_to_one_process(tmp_path, capsys):
    from espnet_ext.audio.shares import Share, Wanted

    make(tmp_path)
    with Share(tmp_path / "raw/train", "1of1", "flac").opened(Wanted()):
        assert run(tmp_path) == 1
    assert "another process" in capsys.readouterr().err


# Killed at any moment it goes on, and the result is that of an undisturbed run.


def same(one, two):
    """Whether two sets are alike bit for bit: tables (but for their own paths) and audio."""

    def contents(root):
        paths = [p for p in root.rglob("*") if p.is_file() and p.parent.name != "shares"]
        return {
            str(p.relative_to(root)): hashlib.sha1(
                p.read_bytes().replace(str(root).encode(), b"")
            ).hexdigest()
            for p in paths
        }

    assert contents(one) == contents(two)
    return True


def killed_after(records, seconds, data, out, *args):
    """Run format_set in a child that is killed so long after so many records; returns whether it had finished."""
    wanted = logged(out) + records
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            format_set(data, out, *args)
        finally:
            os._exit(0)
    while logged(out) < wanted:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.slow
@pytest.mark.parametrize("audio_format", ["flac", "flac.ark"])
def test_killed_at_random_moments(tmp_path, audio_format):
    make(tmp_path, 100)
    data, form = tmp_path / "data/train", Form(11025, audio_format)
    started = time.monotonic()
    for job in (1, 2):
        format_set(data, tmp_path / "undisturbed/train", job, 2, form)
    whole = time.monotonic() - started
    chance = random.Random(audio_format)
    seen = []
    for job in (1, 2, 1, 2):
        for _ in range(12):
            after = chance.randrange(12), chance.uniform(0, whole / 50)
            if killed_after(*after, data, tmp_path / "raw/train", job, 2, form):
                break
            seen.append(logged(tmp_path / "raw/train"))
        else:
            format_set(data, tmp_path / "raw/train", job, 2, form)
    assert seen == sorted(seen), "work was lost"
    assert len(set(seen)) >= 4, "hardly ever killed at work"
    assert same(tmp_path / "raw/train", tmp_path / "undisturbed/train")


def logged(directory):
    return sum(p.read_bytes().count(b"\n") for p in directory.glob("shares/*.log"))


@pytest.mark.parametrize("audio_format", FORMATS)
def test_forms_of_the_same_size_are_never_mixed_up(tmp_path, audio_format):
    make(tmp_path, 2)
    for i, utt in enumerate(("s0-000", "s1-001")):
        soundfile.write(tmp_path / f"audio/{utt}.wav", noise(i, channels=2), RATE)
    options = ["--audio_format", audio_format, "--ref_channels"]
    for channel, jobs in ((0, 1), (1, 2), (0, 1), (1, 1), (1, 2), (0, 2)):
        for job in range(1, jobs + 1):
            assert run(tmp_path, *options, str(channel), "--job", f"{job}/{jobs}") == 0
        for i, (samples, _) in enumerate(sounds(tmp_path / "raw/train").values()):
            assert (samples[:, 0] == noise(i, channels=2)[:, channel]).all()
    files = [p for p in (tmp_path / "raw/train/data").rglob("*") if p.is_file()]
    assert len(files) == 2  # nothing of the earlier forms is left


@pytest.mark.parametrize("audio_format", FORMATS)
@pytest.mark.parametrize("change", ["form", "audio"])
def test_a_whole_set_stays_whole_until_the_next_one_is(tmp_path, audio_format, change):
    make(tmp_path)
    assert run(tmp_path, "--audio_format", audio_format, "--copy") == 0
    before = sounds(tmp_path / "raw/train")
    bad = tmp_path / "audio/s1-005.wav"
    if change == "audio":
        for path in (tmp_path / "audio").iterdir():
            soundfile.write(path, noise(77, 0.6), RATE)
    whole = bad.read_bytes()
    bad.write_bytes(b"no audio")  # the last one: the others have been done by then
    rate = "8k" if change == "form" else "16k"
    options = ["--audio_format", audio_format, "--copy", "--fs", rate]
    assert run(tmp_path, *options) == 1
    after = sounds(tmp_path / "raw/train")
    assert all((after[u][0] == before[u][0]).all() and after[u][1] == RATE for u in before)
    bad.write_bytes(whole)
    assert run(tmp_path, *options) == 0
    after = sounds(tmp_path / "raw/train")
    counts = datadir.read_table(tmp_path / "raw/train/utt2num_samples")
    assert counts == {u: str(len(s)) for u, (s, _) in after.items()}
    assert all(after[u][0].shape != before[u][0].shape for u in before)


def test_a_long_recording_is_not_held_as_it_is(tmp_path):
    import tracemalloc

    from espnet_ext.audio.read import load

    make(tmp_path, 1)
    path = tmp_path / "audio/s0-000.wav"
    minute = noise(0, 60, channels=2, rate=44100)
    with soundfile.SoundFile(path, "w", 44100, 2) as stream:
        for _ in range(4):
            stream.write(minute)
    held = 4 * minute.size * 2  # bytes
    for work in (lambda: run(tmp_path, "--audio_format", "wav"), lambda: load(path, 16000)):
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * held, peak / held
    counts = datadir.read_table(tmp_path / "raw/train/utt2num_samples")
    assert counts == {"s0-000": str(4 * 60 * RATE)}
