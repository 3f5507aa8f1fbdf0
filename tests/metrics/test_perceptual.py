"""PESQ and STOI are their packages' own; another timing is undone without another pitch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from espnet_ext.metrics.perceptual import pesq, retimed, stoi
from tests.metrics.voices import RATE, voice


def noisy(wave, level):
    return wave + level * np.random.default_rng(0).standard_normal(len(wave))


def test_pesq_is_the_packages_value_in_wide_and_narrow_band():
    package = pytest.importorskip("pesq")
    wave, worse = voice(), noisy(voice(), 0.01)
    assert pesq(worse, wave, RATE) == package.pesq(RATE, wave, worse, "wb")
    assert pesq(worse[::2], wave[::2], 8000) == package.pesq(8000, wave[::2], worse[::2], "nb")
    assert pesq(worse, wave, RATE) < pesq(wave, wave, RATE)


def test_long_speech_with_many_pauses_is_no_crash(tmp_path):
    """Past bug: the program behind the package wrote beyond its table of 50 stretches of speech, and died."""
    pytest.importorskip("pesq")
    wave = np.tile(np.concatenate([voice(0.5), np.zeros(RATE // 2)]), 120)
    np.save(tmp_path / "pair.npy", [noisy(wave, 3e-3), wave])
    code = (
        "import numpy as np; from espnet_ext.metrics.perceptual import pesq\n"
        "pair = np.load('pair.npy'); print(pesq(*pair, 16000), pesq(*pair[:, :160000], 16000))"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    whole, begin = map(float, done.stdout.split())
    assert whole == pytest.approx(begin, abs=0.2)


def test_parts_in_which_nobody_speaks_do_not_count():
    package = pytest.importorskip("pesq")
    wave = np.concatenate([voice(2.0), np.zeros(30 * RATE)])
    worse = noisy(wave[:32000], 0.01)
    expected = package.pesq(RATE, wave[: 16 * RATE], np.pad(worse, (0, 14 * RATE)), "wb")
    assert pesq(np.pad(worse, (0, 30 * RATE)), wave, RATE) == pytest.approx(expected)


@pytest.mark.parametrize("rate", [RATE, RATE // 2])
def test_silence_in_place_of_speech_is_the_worst_and_not_left_out(rate):
    """Past bug: it had no figure, and a system's mean was the better the more often it said nothing."""
    pytest.importorskip("pesq")
    wave = voice()[:: RATE // rate]
    assert pesq(np.zeros_like(wave), wave, rate) == 1.0
    assert pesq(noisy(wave, 0.3), wave, rate) > 1.0
    assert pesq(wave, np.zeros_like(wave), rate) is None
    long = np.tile(voice(2.0), 12)  # two parts, in the second of which nothing is said
    half = np.where(np.arange(len(long)) < len(long) // 2, long, 0.0)
    assert pesq(half, long, RATE) == pytest.approx((pesq(long, long, RATE) + 1) / 2, abs=0.05)


def test_stoi_is_the_packages_value():
    package = pytest.importorskip("pystoi")
    wave, worse = voice(), noisy(voice(), 0.05)
    assert stoi(worse, wave, RATE) == package.stoi(wave, worse, RATE)
    assert stoi(worse, wave, RATE) < stoi(wave, wave, RATE)


@pytest.mark.parametrize("length", [RATE, RATE + 37])
def test_the_right_timing_is_left_alone(length):
    wave = noisy(np.zeros(RATE), 0.1)
    times = np.arange(length // 80 + 1) * 0.005
    found = retimed(wave, times, 0.005, length, RATE)
    assert len(found) == length
    np.testing.assert_allclose(found[:RATE], wave, atol=1e-12)
    assert np.abs(found[RATE:]).max(initial=0.0) < np.abs(wave).max()


@pytest.mark.parametrize("speed", [0.6, 1.4])
def test_another_speed_keeps_the_pitch(speed):
    f0, length = 150.0, round(RATE / speed)
    wave = np.sin(2 * np.pi * f0 * np.arange(RATE) / RATE)
    times = np.arange(length // 80 + 1) * 0.005 * speed
    found = retimed(wave, times, 0.005, length, RATE)[800:-800]
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert spectrum.argmax() * RATE / len(found) == pytest.approx(f0, abs=RATE / len(found))
    assert np.sqrt((found**2).mean()) == pytest.approx(np.sqrt(0.5), rel=0.03)


def test_times_beyond_the_end_are_silence_and_no_crash():
    found = retimed(np.ones(1000), np.full(50, 3.0), 0.005, 4000, RATE)
    assert found.shape == (4000,) and np.isfinite(found).all()
    assert retimed(np.ones(10), np.zeros(1), 0.005, 3, RATE).shape == (3,)
