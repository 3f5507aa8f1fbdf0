"""Headers against what files hold."""

import io
import struct
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.audio.headers import header_faults


def wav(subtype="PCM_16", channels=1):
    out = io.BytesIO()
    soundfile.write(out, np.zeros((1000, channels)), 16000, format="WAV", subtype=subtype)
    return bytearray(out.getvalue())


def faults(path, data):
    path.write_bytes(data)
    return [fault.kind for fault in header_faults(path)]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "ULAW"])
@pytest.mark.parametrize("channels", [1, 2])
def test_good_headers(tmp_path, subtype, channels):
    assert faults(tmp_path / "a.wav", wav(subtype, channels)) == []


def test_real_files_are_good(realdata):
    paths = [p for kind in ("wav", "flac", "sph") for p in realdata.rglob(f"*.{kind}")]
    assert paths and not [p for p in paths if header_faults(p)]


def test_a_wav_that_ends_early(tmp_path):
    assert faults(tmp_path / "a.wav", wav()[:-100]) == ["truncated"]
    assert faults(tmp_path / "a.wav", wav()[:40]) == ["truncated"]
    faults(tmp_path / "a.wav", wav()[:-100])
    assert "1900 bytes of samples, expected 2000" in header_faults(tmp_path / "a.wav")[0].message


CONTAINERS = {
    "wav": "WAV", "rf64": "RF64", "w64": "W64", "aiff": "AIFF", "au": "AU", "sph": "NIST", "ogg": "OGG"
}  # fmt: skip


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("suffix", [*CONTAINERS, "opus"])
def test_any_container_that_ends_early(tmp_path, suffix, channels):
    path = tmp_path / f"a.{suffix}"
    random = np.random.default_rng(0).standard_normal((30000, channels)) / 9
    subtype = "OPUS" if suffix == "opus" else None
    soundfile.write(path, random, 16000, format=CONTAINERS.get(suffix, "OGG"), subtype=subtype)
    whole = path.read_bytes()
    assert header_faults(path) == []
    for share in (0.3, 0.6, 0.99):
        assert faults(path, whole[: int(share * len(whole))]) == ["truncated"]


@given(st.sampled_from([*CONTAINERS, "opus"]), st.binary(max_size=300))
def test_any_bytes_after_a_sign(tmp_path_factory, suffix, data):
    signs = {
        "w64": b"riff\x2e\x91\xcf\x11", "aiff": b"FORM", "au": b".snd", "sph": b"NIST_1A\n   1024\n",
        "ogg": b"OggS\0", "opus": b"OggS\0", "rf64": b"RF64\xff\xff\xff\xffWAVEds64", "wav": b"RIFF....WAVE",
    }  # fmt: skip
    path = tmp_path_factory.mktemp("h") / f"a.{suffix}"
    assert isinstance(faults(path, signs[suffix] + data), list)


def test_a_length_not_known_when_it_was_written(tmp_path):
    for length in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        data = wav()
        data[40:44] = struct.pack("<I", length)
        assert faults(tmp_path / "a.wav", data) == []


@pytest.mark.parametrize(
    ("place", "kind", "value"), [(24, "<I", 8000), (22, "<H", 2), (34, "<H", 8)]
)
def test_a_header_that_contradicts_itself(tmp_path, place, kind, value):
    data = wav()
    data[place : place + struct.calcsize(kind)] = struct.pack(kind, value)
    assert faults(tmp_path / "a.wav", data) == ["header"]
    assert "contradicts itself" in header_faults(tmp_path / "a.wav")[0].message


def test_a_name_that_lies(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(1000), 16000)
    data = (tmp_path / "a.flac").read_bytes()
    assert faults(tmp_path / "a.wav", data) == ["header"]
    assert faults(tmp_path / "a.sound", data) == []


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes(tmp_path_factory, data, riff):
    path = tmp_path_factory.mktemp("h") / "a.wav"
    head = b"RIFF\x00\x00\x00\x00WAVE" if riff else b""
    assert isinstance(faults(path, head + data), list)


def test_what_a_program_writes_to_a_pipe(tmp_path):
    try:
        done = subprocess.run(["espeak-ng", "--stdout", "yes"], capture_output=True)
    except OSError:
        pytest.skip("no espeak-ng")
    assert faults(tmp_path / "a.wav", done.stdout) == []
