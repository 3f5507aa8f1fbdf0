"""Every format that is read, against the samples that ffmpeg or sox find in the same file."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.foreign import decode
from espnet_ext.audio.read import AudioError, read, read_raw, seconds_of

RATE = 16000


def music(seconds=3.0, channels=2, rate=RATE):
    """Chirps, a different one in each channel."""
    time = np.arange(round(seconds * rate)) / rate
    parts = [np.sin(2 * np.pi * (200 + 90 * c + 150 * time) * time) for c in range(channels)]
    return (0.3 * np.stack(parts, axis=1)).astype(np.float32)


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def by_ffmpeg(path, rate=RATE):
    """(T, C) float32 as ffmpeg reads the file."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-ar", str(rate), "-f", "wav", "-c:a"]
    done = subprocess.run([*command, "pcm_f32le", "-"], capture_output=True, check=True)
    (path.parent / "theirs.wav").write_bytes(done.stdout)
    return soundfile.read(path.parent / "theirs.wav", dtype="float32", always_2d=True)[0]


ENCODERS = {
    "a.mp3": ["-c:a", "libmp3lame", "-b:a", "128k"],
    "a.ogg": ["-c:a", "libvorbis", "-q:a", "6"],
    "a.opus": ["-c:a", "libopus", "-b:a", "128k"],
    "mu.wav": ["-c:a", "pcm_mulaw"],
    "24.wav": ["-c:a", "pcm_s24le"],
    "24.flac": ["-c:a", "flac", "-sample_fmt", "s32"],
    "a.au": [],
    "a.aiff": [],
    "a.w64": [],
    "a.m4a": ["-c:a", "aac"],
    "a.webm": ["-c:a", "libopus"],
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_ffmpeg_writes_is_read_as_ffmpeg_reads_it(tmp_path, name, channels):
    need("ffmpeg")
    soundfile.write(tmp_path / "in.wav", music(channels=channels), RATE, subtype="FLOAT")
    path = tmp_path / name
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "in.wav", *ENCODERS[name], path]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this ffmpeg lacks the encoder")
    ours, rate = read(str(path))
    theirs = by_ffmpeg(path, rate)
    assert ours.shape[1] == channels and abs(len(ours) - len(theirs)) <= rate // 50
    length = min(len(ours), len(theirs))
    # opus is decoded at 48 kHz by one and at 16 kHz by the other
    allowed = 0.02 if name == "a.opus" else 1e-3
    inner = slice(rate // 10, length - rate // 10)
    assert np.abs(ours[inner] - theirs[inner]).max() < allowed
    part, _ = read(str(path), start=1.3, end=2.1)
    begin = round(1.3 * rate)
    assert np.abs(part - ours[begin : begin + len(part)]).max() < 1e-3
    assert seconds_of(str(path)) == pytest.approx(len(ours) / rate)


@pytest.mark.parametrize("encoding", ["signed-integer", "mu-law"])
def test_sphere_files_of_sox(tmp_path, encoding):
    need("sox")
    soundfile.write(tmp_path / "in.wav", music(), RATE)
    bits = ["-b", "8"] if encoding == "mu-law" else []
    command = ["sox", tmp_path / "in.wav", "-e", encoding, *bits, tmp_path / "a.sph"]
    subprocess.run(command, check=True)
    subprocess.run(["sox", tmp_path / "a.sph", "-b", "16", "-e", "signed", tmp_path / "b.wav"])
    expected, _ = soundfile.read(tmp_path / "b.wav", dtype="int16")
    assert (read(str(tmp_path / "a.sph"), dtype="int16")[0] == expected).all()


@pytest.mark.parametrize(
    "command", ["sox {} -t wav - |", "ffmpeg -v error -i {} -f wav - |", "sox {} -t flac - |"]
)
def test_pipes_that_cannot_say_how_long_they_are(tmp_path, command):
    need(command.split()[0])
    soundfile.write(tmp_path / "in.wav", music(), RATE)
    expected, _ = soundfile.read(tmp_path / "in.wav", dtype="int16")
    found, _ = read(command.format(tmp_path / "in.wav"), dtype="int16")
    assert (found == expected).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_raw_files_of_several_channels(tmp_path, channels):
    samples = (music(0.5, channels) * 32767).astype(np.int16)
    (tmp_path / "a.raw").write_bytes(samples.astype(">i2").tobytes())
    found, _ = read_raw(tmp_path / "a.raw", RATE, "big", channels)
    assert (found.reshape(samples.shape) == samples).all()
    with pytest.raises(AudioError, match=r"multiple of 14"):
        read_raw(tmp_path / "a.raw", RATE, "big", 7)


# -- shorten inside SPHERE, as LDC packs Wall Street Journal (.wv1) -----------------------------------------------


class Bits:
    """What shorten writes: Rice codes, the high bit first."""

    def __init__(self):
        self.bits = []

    def unsigned(self, value, low):
        self.bits += [0] * (value >> low) + [1]
        self.bits += [value >> k & 1 for k in reversed(range(low))]

    def signed(self, value, low):
        self.unsigned(value << 1 if value >= 0 else ~value << 1 | 1, low + 1)

    def long(self, value):
        self.unsigned(value.bit_length(), 2)
        self.unsigned(value, value.bit_length())

    def packed(self):
        bits = self.bits + [0] * (-len(self.bits) % 32)
        return np.packbits(np.array(bits, np.uint8)).tobytes()


def shortened(samples, block=256):
    """int16 (T,) as a SPHERE file with shorten 2 inside; T a multiple of `block`."""
    bits = Bits()
    for value in (
        5,
        1,
        block,
        0,
        0,
        0,
    ):  # 16-bit low byte first, channels, block, LPC, means, skipped
        bits.long(value)
    for start in range(0, len(samples), block):
        bits.unsigned(1, 2)  # first differences
        bits.unsigned(8, 3)  # of about so many bits
        before = samples[start - 1] if start else 0
        for step in np.diff(samples[start : start + block].astype(int), prepend=int(before)):
            bits.signed(int(step), 8)
    bits.unsigned(4, 2)  # the end
    fields = {
        "sample_count": len(samples),
        "sample_n_bytes": 2,
        "channel_count": 1,
        "sample_rate": RATE,
    }
    lines = [f"{name} -i {value}" for name, value in fields.items()]
    lines += ["sample_byte_format -s2 01", "sample_coding -s26 pcm,embedded-shorten-v2.00"]
    head = "\n".join(["NIST_1A", "   1024", *lines, "end_head", ""])
    return head.encode().ljust(1024) + b"ajkg\x02" + bits.packed()


def test_shorten_inside_sphere(tmp_path):
    need("ffmpeg")
    samples = (music(1.024, 1)[:, 0] * 20000).astype(np.int16)
    (tmp_path / "a.wv1").write_bytes(shortened(samples))
    found, rate = read(str(tmp_path / "a.wv1"), dtype="native")
    assert rate == RATE and (found[:, 0] == samples).all()
    part, _ = read(str(tmp_path / "a.wv1"), start=0.5, end=0.6, dtype="native")
    assert (part[:, 0] == samples[8000:9600]).all()


@pytest.mark.parametrize("kind", ["wv1", "m4a"])
def test_without_the_programs_it_says_what_is_missing(tmp_path, monkeypatch, kind):
    path = tmp_path / f"a.{kind}"
    sphere = shortened(np.zeros(256, np.int16))
    path.write_bytes(sphere if kind == "wv1" else b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", str(tmp_path))
    names = "sph2pipe or ffmpeg" if kind == "wv1" else "ffmpeg"
    with pytest.raises(AudioError, match=f"for which {names} must be installed"):
        read(str(path), "u1")
    decode.cache_clear()


def test_a_broken_foreign_file_is_unreadable(tmp_path):
    need("ffmpeg")
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(AudioError, match=r"'u1'.*MP4"):
        read(str(tmp_path / "a.m4a"), "u1")
