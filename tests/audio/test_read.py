"""Reading audio."""

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_ext.audio.read import (
    AudioError,
    CutOff,
    blocks,
    endianness,
    load,
    read,
    read_raw,
    seconds_of,
)
from espnet_ext.audio.write import ark_length, ark_record, encode

RATE = 16000


def tone(seconds=0.5, rate=RATE):
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * t) * 32767).astype(np.int16)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_lossless_files_give_their_samples(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(), RATE)
    samples, rate = read(str(path), dtype="native")
    assert rate == RATE and samples.dtype == np.int16 and samples.shape == (8000, 1)
    assert (samples[:, 0] == tone()).all()
    floats, _ = read(str(path))
    assert floats.dtype == np.float32
    assert (floats == samples / np.float32(32768)).all()


@pytest.mark.parametrize("suffix", ["mp3", "ogg"])
def test_lossy_files_give_nearly_their_samples(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(), RATE)
    samples, _ = read(str(path), dtype="native")
    assert samples.dtype == np.float32
    assert np.abs(samples[2000:6000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ark", "pipe"])
def test_a_segment_is_that_stretch_of_the_whole(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    entry = str(path)
    if suffix == "ark":
        record, offset = ark_record("utt", encode(tone(), RATE, "flac"))
        path.write_bytes(b"something before" + record)
        entry = f"{path}:{16 + offset}"
    elif suffix == "pipe":
        soundfile.write(tmp_path / "a.wav", tone(), RATE)
        entry = f"cat {tmp_path}/a.wav |"
    else:
        soundfile.write(path, tone(), RATE)
    samples, _ = read(entry, start=0.1, end=0.2, dtype="int16")
    assert (samples[:, 0] == tone()[1600:3200]).all()
    past_the_end, _ = read(entry, start=0.4, end=9.0, dtype="int16")
    assert len(past_the_end) == 1600
    assert seconds_of(entry) == 0.5


def test_arks_of_kaldiio_are_read_and_ours_are_read_by_kaldiio(tmp_path):
    ark = str(tmp_path / "a.ark")
    scp = tmp_path / "a.scp"
    sounds = {"u1": (RATE, tone()), "u2": (RATE, tone(1.0))}
    for options in ({}, {"write_function": "soundfile", "write_kwargs": {"format": "flac"}}):
        if options:
            sounds = {utt: (samples, rate) for utt, (rate, samples) in sounds.items()}
        kaldiio.save_ark(ark, sounds, scp=str(scp), **options)
        entry = scp.read_text().splitlines()[1].split()[1]
        assert (read(entry, dtype="int16")[0][:, 0] == tone(1.0)).all()
    sound = encode(tone(), RATE, "flac")
    record, offset = ark_record("u3", sound)
    (tmp_path / "b.ark").write_bytes(record)
    assert offset + ark_length(len(sound)) == len(record)
    rate, samples = kaldiio.load_mat(f"{tmp_path}/b.ark:{offset}")
    assert rate == RATE and np.allclose(samples * 32768, tone())


def test_sphere_files_are_read(tmp_path):
    soundfile.write(tmp_path / "a.sph", tone(), RATE, format="NIST", subtype="PCM_16")
    assert (read(str(tmp_path / "a.sph"), dtype="native")[0][:, 0] == tone()).all()


def unreadable(path):
    path.write_bytes(b"this is no audio at all")
    return "unreadable audio"


def missing(path):
    return "unreadable audio"


def zero_length(path):
    soundfile.write(path, np.zeros(0), RATE)
    return "no samples"


def cut_off(path):
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, RATE), RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:9000])
    return "found .* samples, expected 16000|unreadable"


def not_finite(path):
    samples = np.zeros(100, np.float32)
    samples[7] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return "nan.* at sample 7"


@pytest.mark.parametrize("damage", [unreadable, missing, zero_length, cut_off, not_finite])
def test_unusable_audio_names_utterance_and_file(tmp_path, damage):
    path = tmp_path / "broken.wav"
    words = damage(path)
    with pytest.raises(AudioError, match=words) as caught:
        read(str(path), "utt-17")
    assert "utt-17" in str(caught.value) and str(path) in str(caught.value)


def test_a_failing_command_says_its_last_words():
    with pytest.raises(AudioError, match="status 3: too bad"):
        read("echo too bad >&2; exit 3 |")


def test_a_file_with_the_name_of_a_command_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("touch ran |", "> ran |"):
        (tmp_path / name).write_bytes(encode(tone(), RATE, "flac"))
        assert len(read(name)[0]) == RATE // 2 and seconds_of(name) == 0.5
    assert not (tmp_path / "ran").exists()
    (tmp_path / "touch ran |").unlink()
    with pytest.raises(AudioError, match="unreadable"):
        read("touch ran |")
    assert (tmp_path / "ran").exists()  # as in a wav.scp


def test_a_segment_behind_the_end_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    with pytest.raises(AudioError, match=r"no samples between 0.6 s and 0.7 s"):
        read(f"{tmp_path}/a.wav", start=0.6, end=0.7)


def test_load_mixes_down_and_resamples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), 0 * tone()], 1), RATE)
    samples, rate = load(tmp_path / "a.wav", 8000)
    assert rate == 8000 and samples.shape == (4000,)
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("order", "kind"), [("big", ">i2"), ("little", "<i2")])
@pytest.mark.parametrize("gain", [1.0, 0.001])
def test_the_byte_order_of_raw_files_is_heard(tmp_path, order, kind, gain):
    samples = np.round(tone() * gain).astype(np.int16)
    (tmp_path / "a.raw").write_bytes(samples.astype(kind).tobytes())
    found, rate = read_raw(tmp_path / "a.raw", RATE)
    assert (found == samples).all() and rate == RATE
    assert endianness([samples.astype(kind).tobytes()]) == order


@pytest.mark.parametrize("data", [b"", b"abc"])
def test_raw_files_must_hold_whole_samples(tmp_path, data):
    (tmp_path / "a.raw").write_bytes(data)
    with pytest.raises(AudioError, match=f"found {len(data)} bytes"):
        read_raw(tmp_path / "a.raw", RATE)


def test_what_ends_early_is_refused_wherever_it_comes_from(tmp_path):
    wave = np.random.default_rng(0).integers(-9000, 9000, 8000, np.int16)
    sound = encode(wave, 16000, "wav")
    (tmp_path / "whole.wav").write_bytes(sound)
    (tmp_path / "cut.wav").write_bytes(sound[:9000])
    record, offset = ark_record("a", sound)
    (tmp_path / "cut.ark").write_bytes(record[:9000])
    (tmp_path / "bare.ark").write_bytes(b"a " + sound[:9000])
    inside, _ = ark_record("a", sound[:9000])
    (tmp_path / "inside.ark").write_bytes(inside)
    assert len(read(f"cat {tmp_path}/whole.wav |")[0]) == 8000
    entries = ("cut.wav", f"cut.ark:{offset}", "bare.ark:2", f"inside.ark:{offset}")
    for entry in (*(f"{tmp_path}/{e}" for e in entries), f"cat {tmp_path}/cut.wav |"):
        with pytest.raises(AudioError, match=r"cut off|ark ends"):
            read(entry, "a")
        with pytest.raises(AudioError):
            list(blocks(entry, "a"))


def test_sphere_ogg_and_others_that_end_early(tmp_path):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 30000)
    for suffix, container in {"sph": "NIST", "ogg": "OGG", "w64": "W64", "aiff": "AIFF"}.items():
        path = tmp_path / f"a.{suffix}"
        soundfile.write(path, wave, 16000, format=container)
        assert read(str(path))[0].shape == (30000, 1)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        with pytest.raises(CutOff, match="cut off"):
            read(str(path))


def test_a_file_without_a_header_is_named(tmp_path):
    (tmp_path / "x.raw").write_bytes(b"\0" * 1000)
    with pytest.raises(AudioError, match=r"x\.raw: found unreadable audio"):
        read(str(tmp_path / "x.raw"))
