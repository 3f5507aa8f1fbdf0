"""F0 of tones of known pitch, and the methods against each other on speech."""

import importlib.util

import numpy as np
import pytest

from espnet_ext.audio.f0 import F0, METHODS, f0, track
from espnet_ext.audio.read import load
from espnet_ext.errors import UserError

HAS_CREPE = importlib.util.find_spec("torchcrepe") is not None


def buzz(pitch, seconds=0.6, rate=16000):
    """A tone of ten harmonics whose pitch follows a function of time, or a number."""
    time = np.arange(round(seconds * rate)) / rate
    hertz = pitch(time) if callable(pitch) else np.full_like(time, pitch)
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    return (0.2 * sum(np.sin(k * phase) / k for k in range(1, 11))).astype(np.float32)


@pytest.fixture(params=METHODS)
def options(request):
    if request.param == "crepe" and not HAS_CREPE:
        pytest.skip("torchcrepe is not installed")
    return F0(request.param, crepe="tiny")


@pytest.mark.parametrize(("hertz", "rate"), [(95.0, 16000), (220.0, 22050)])
def test_a_steady_pitch_is_found(options, hertz, rate):
    found = track(buzz(hertz, rate=rate), rate, options)
    assert found.dtype == np.float32 and found.shape == (61,)
    inside = found[10:50]
    # half a percent; CREPE's bins are 20 cents apart, more than a percent
    allowed = 0.015 if options.method == "crepe" else 0.005
    assert (inside > 0).all() and np.abs(inside / hertz - 1).max() < allowed


def test_a_glide_is_followed():
    found = f0(buzz(lambda t: 120 + 100 * t, 1.0), 16000)
    times = 0.01 * np.arange(len(found))
    assert np.abs(found - (120 + 100 * times))[10:90].max() < 1.5


@pytest.mark.parametrize("method", ["dio", "harvest"])
def test_silence_and_noise_have_none(method):
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    assert (f0(np.zeros(16000, np.float32), 16000, method) == 0).all()
    assert (f0(noise, 16000, "dio") > 0).mean() < 0.2


@pytest.mark.parametrize("samples", [1, 10, 159, 160, 1601])
def test_the_number_of_frames_does_not_depend_on_the_method(samples):
    wave = buzz(150.0)[:samples]
    for method in ("dio", "harvest"):
        assert len(f0(wave, 16000, method)) == samples // 160 + 1


@pytest.mark.parametrize("shift", [0.005, 0.0125, 256 / 22050])
def test_any_frame_shift(shift):
    found = f0(buzz(150.0, 1.0, 22050), 22050, shift=shift)
    assert len(found) == int(1 / shift + 1e-9) + 1
    assert np.median(found) == pytest.approx(150, rel=0.005)


def test_the_quick_default_is_the_exact_one_nearly_everywhere(realdata):
    wave, rate = load(realdata / "LJSpeech-1.1/wavs/LJ001-0002.wav")
    quick, exact = track(wave, rate), track(wave, rate, F0(step=1))
    both = (quick > 0) & (exact > 0)
    assert ((quick > 0) != (exact > 0)).mean() < 0.03
    assert (np.abs(quick[both] / exact[both] - 1) > 0.05).mean() < 0.01


def test_methods_agree_on_speech(realdata):
    wave, rate = load(realdata / "LJSpeech-1.1/wavs/LJ001-0002.wav")
    dio, harvest, pyin = (f0(wave, rate, m) for m in ("dio", "harvest", "pyin"))
    for other in (harvest, pyin):
        both = (dio > 0) & (other > 0)
        assert both.mean() > 0.3
        assert (np.abs(dio[both] / other[both] - 1) > 0.2).mean() < 0.05


def test_an_unknown_method_is_named():
    with pytest.raises(UserError, match="found 'yin', expected dio, harvest, pyin, crepe"):
        f0(buzz(100.0), 16000, "yin")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchcrepe", None)
    with pytest.raises(UserError, match="pip install torchcrepe"):
        f0(buzz(100.0), 16000, "crepe")
