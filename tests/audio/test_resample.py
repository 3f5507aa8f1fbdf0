"""Resampling and speed."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.resample import change_speed, resample, resampled, to_int16

RATE = 16000


def chirp(seconds=1.0):
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * (200 * t + 1500 * t**2))).astype(np.float32)


@pytest.mark.parametrize("wanted", [8000, 22050, 24000, 44100, 48000])
def test_there_and_back_is_nearly_the_same(wanted):
    there = resample(chirp(), RATE, wanted)
    assert abs(len(there) - wanted) <= 1
    back = resample(there, wanted, RATE)
    assert np.abs(back[800:10000] - chirp()[800:10000]).max() < 2e-3


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.3])
def test_speed_is_what_sox_makes_of_it(tmp_path, factor):
    if not shutil.which("sox"):
        pytest.skip("sox is not installed")
    soundfile.write(tmp_path / "a.wav", chirp(), RATE, subtype="FLOAT")
    command = ["sox", tmp_path / "a.wav", "-e", "float", tmp_path / "b.wav"]
    subprocess.run([*command, "speed", str(factor), "rate", "-h", str(RATE)], check=True)
    theirs, _ = soundfile.read(tmp_path / "b.wav", dtype="float32")
    ours = change_speed(chirp(), factor)
    assert abs(len(ours) - len(theirs)) <= 1
    middle = slice(800, len(theirs) - 800)
    assert np.abs(ours[middle] - theirs[middle]).max() < 2e-3


def test_the_same_every_time_and_by_channel():
    both = np.stack([chirp(), chirp()[::-1]], axis=1)
    assert (change_speed(both, 0.9) == change_speed(both, 0.9)).all()
    assert np.allclose(change_speed(both, 0.9)[:, 0], change_speed(chirp(), 0.9), atol=1e-6)


def test_int16_is_rounded_and_clipped():
    found = to_int16(np.array([0, 1.0, -1.0, 1.5, -1.5, 1.6 / 32768], np.float32))
    assert found.tolist() == [0, 32767, -32768, 32767, -32768, 2]


@pytest.mark.parametrize(
    "rates", [(44100, 16000), (8000, 16000), (14400.0, 16000), (1.1, 1.0), (1, 1)]
)
@pytest.mark.parametrize("count", [1, 7, 30011])
def test_blocks_give_the_same_to_the_bit(rates, count):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (count, 2)).astype(np.float32)
    blocks = [samples[k : k + 7000] for k in range(0, count, 7000)]
    found = np.concatenate([*resampled(blocks, *rates)])
    wanted = resample(samples, *rates)
    assert found.shape == wanted.shape and (found == wanted).all()
