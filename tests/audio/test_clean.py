"""Each step of the clean-up chain against what filter theory, scipy and BS.1770 say it should give."""

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.clean import (
    Cleaning,
    clean,
    denoise,
    dithered,
    highpass,
    loudness,
    parse_cleaning,
    preemphasis,
    rms_level,
    trim,
)
from espnet_ext.audio.form import Form, key_of, samples_of
from espnet_ext.audio.read import load
from espnet_ext.audio.sources import Source
from espnet_ext.errors import UserError

RATE = 16000


def sine(hertz, amplitude=0.5, seconds=2.0, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[:, None]


def level(samples):
    return 10 * np.log10(np.square(samples, dtype=float).mean())


def test_nothing_is_on_by_default():
    wave = sine(100)
    assert (clean(wave, RATE, Cleaning()) == wave).all()


@pytest.mark.parametrize(
    ("hertz", "decibel"), [(10, -17.65), (20, -3.01), (40, -0.22), (1000, 0.0)]
)
def test_the_high_pass_has_its_response(hertz, decibel):
    before = sine(hertz, seconds=8)
    after = highpass(before, RATE, 20.0)
    middle = slice(2 * RATE, 6 * RATE)
    assert level(after[middle]) - level(before[middle]) == pytest.approx(decibel, abs=0.15)
    if hertz >= 40:  # zero phase: the same wave, not a later one
        lag = np.argmax(np.correlate(after[middle, 0], before[2 * RATE - 9 : 6 * RATE + 9, 0]))
        assert lag == 9


def test_the_high_pass_takes_an_offset_away():
    wave = sine(300) + np.float32(0.2)
    assert np.abs(highpass(wave, RATE, 20.0) - sine(300)).max() < 0.02


def test_preemphasis_is_scipys_filter():
    from scipy.signal import lfilter

    wave = np.random.default_rng(0).standard_normal((500, 2)).astype(np.float32)
    expected = lfilter([1, -0.97], 1, wave, axis=0)
    np.testing.assert_allclose(preemphasis(wave, 0.97), expected, atol=1e-6)


@pytest.mark.parametrize("amplitude", [0.01, 0.9])
def test_levels_are_reached(amplitude):
    wave = sine(500, amplitude)
    peak = np.abs(clean(wave, RATE, Cleaning(peak=-1.0))).max()
    assert 20 * np.log10(peak) == pytest.approx(-1.0, abs=0.01)
    assert rms_level(clean(wave, RATE, Cleaning(rms=-26.0))) == pytest.approx(-26.0, abs=0.01)
    assert loudness(clean(wave, RATE, Cleaning(loudness=-23.0)), RATE) == pytest.approx(
        -23, abs=0.1
    )


def test_loudness_of_the_recommendations_reference_signal():
    """BS.1770: a 997 Hz sine at full scale in one front channel reads -3.01 LKFS."""
    wave = sine(997, 1.0, seconds=5, rate=48000)
    assert loudness(wave, 48000) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("samples", [1, 100, 6000])
def test_loudness_of_short_sounds(samples):
    wave = sine(997, 0.5)[1 : samples + 1]
    assert np.isfinite(loudness(wave, RATE))


def test_a_peak_beside_another_level_is_a_ceiling():
    click = np.zeros((RATE, 1), np.float32)
    click[100] = 0.5
    loud = clean(click, RATE, Cleaning(rms=-10.0, peak=-1.0))
    assert 20 * np.log10(loud.max()) == pytest.approx(-1.0, abs=0.01)
    soft = clean(sine(500), RATE, Cleaning(rms=-26.0, peak=-1.0))
    assert rms_level(soft) == pytest.approx(-26.0, abs=0.01)


def test_channels_keep_their_balance():
    wave = np.concatenate([sine(500, 0.1), sine(500, 0.4)], axis=1)
    after = clean(wave, RATE, Cleaning(peak=-1.0))
    assert np.abs(after).max(axis=0)[1] / np.abs(after).max(axis=0)[0] == pytest.approx(4, rel=1e-3)


def test_dither_is_triangular_and_repeats():
    silence = np.zeros((200000, 1), np.float32)
    noise = dithered(silence, 1.0, "utt-1") * 32768
    assert (dithered(silence, 1.0, "utt-1") * 32768 == noise).all()
    assert not (dithered(silence, 1.0, "utt-2") * 32768 == noise).all()
    assert abs(noise.mean()) < 0.01 and np.abs(noise).max() <= 1
    assert noise.var() == pytest.approx(1 / 6, rel=0.02)  # of a triangle from -1 to 1
    assert (np.abs(noise) < 0.5).mean() == pytest.approx(0.75, abs=0.01)


def test_silence_is_trimmed_but_for_what_is_kept(realdata):
    speech, rate = load(realdata / "LJSpeech-1.1/wavs/LJ001-0002.wav")
    quiet = np.zeros(rate, np.float32)
    wave = np.concatenate([quiet, speech, quiet])[:, None]
    for keep in (0.1, 0.3):
        seconds = len(trim(wave, rate, keep)) / rate
        assert seconds == pytest.approx(len(speech) / rate + 2 * keep, abs=0.4)
    assert len(trim(wave, rate, 0.3)) - len(trim(wave, rate, 0.1)) == pytest.approx(
        0.4 * rate, abs=2
    )
    assert len(trim(quiet[:, None], rate, 0.1)) == rate  # no speech: nothing is taken


def test_noise_goes_and_speech_stays(realdata):
    pytest.importorskip("noisereduce")
    speech, rate = load(realdata / "LJSpeech-1.1/wavs/LJ001-0002.wav")
    pause = np.zeros(rate // 2, np.float32)
    wave = np.concatenate([pause, speech, pause])[:, None]
    noise = 0.01 * np.random.default_rng(0).standard_normal(wave.shape).astype(np.float32)
    after = denoise(wave + noise, rate, 1.0)
    assert after.shape == wave.shape and after.dtype == np.float32
    edge = slice(0, rate // 2 - 2000)
    assert level(after[edge]) < level(noise[edge]) - 15
    assert level(after) == pytest.approx(level(wave), abs=3)
    half = denoise(wave + noise, rate, 0.5)
    assert level(after[edge]) < level(half[edge]) < level(noise[edge])


@pytest.mark.parametrize("samples", [0, 1, 50, 3000])
def test_silence_and_very_short_sounds_come_through(samples):
    everything = Cleaning(20.0, 1.0, 0.1, 0.97, None, -23.0, -1.0)
    for wave in (np.zeros((samples, 2), np.float32), np.full((samples, 1), 0.1, np.float32)):
        after = clean(wave, RATE, everything)
        assert after.shape == wave.shape and np.isfinite(after).all()
        assert wave.any() or not after.any()


def test_options_are_parsed():
    assert parse_cleaning("") == Cleaning()
    assert parse_cleaning("highpass=20, peak=-1 dither=1") == Cleaning(
        highpass=20.0, peak=-1.0, dither=1.0
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("high=20", "found 'high', expected some of highpass, "),
        ("peak", "expected peak=NUMBER"),
        ("peak=x", "expected peak=NUMBER"),
        ("peak=3", "found peak=3.0, expected -90 to 0"),
        ("rms=-20 loudness=-23", "expected one"),
        ("peak=nan", "expected -90 to 0"),
    ],
)
def test_wrong_options_are_named(text, words):
    with pytest.raises(UserError, match=words):
        parse_cleaning(text)


def test_formatting_cleans(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(500, 0.1) + 0.1, RATE)
    source = Source(str(path), 0.0, None, 1.0)
    form = Form(clean=Cleaning(highpass=20.0, peak=-1.0))
    samples, rate, _ = samples_of("a", source, form)
    assert samples.dtype == np.int16 and rate == RATE
    assert 20 * np.log10(samples.max() / 32768) == pytest.approx(-1, abs=0.3)
    assert abs(samples.mean()) < 30
    assert key_of(source, form) != key_of(source, Form())
