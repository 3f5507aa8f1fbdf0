"""Effects measured: the signal-to-noise ratio reached, pitch, reverberation, compression, codecs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.audio.effects import (
    CODECS,
    add_noise,
    compress,
    power,
    repeated,
    reverberate,
    shift_pitch,
    stretch,
    through_codec,
)
from espnet_ext.audio.f0 import f0
from espnet_ext.audio.read import load
from espnet_ext.audio.rooms import rt60, simulated
from espnet_ext.errors import UserError

RATE = 16000


@pytest.fixture(scope="module")
def speech(realdata):
    return load(realdata / "LJSpeech-1.1/wavs/LJ001-0002.wav", RATE)[0]


def noise(length, seed=0):
    return np.random.default_rng(seed).standard_normal(length).astype(np.float32)


def tone(hertz, seconds=1.0, amplitude=0.3):
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@given(st.floats(-10, 40), st.floats(1e-3, 10))
@settings(max_examples=20, deadline=None)
def test_the_ratio_of_signal_to_noise_is_reached(snr, loudness):
    clean = tone(400)
    added = add_noise(clean, loudness * noise(len(clean)), snr) - clean
    assert 10 * np.log10(power(clean) / power(added)) == pytest.approx(snr, abs=0.05)


def test_silent_noise_adds_nothing():
    assert (add_noise(tone(400), np.zeros(RATE, np.float32), 5.0) == tone(400)).all()


@pytest.mark.parametrize(("start", "length"), [(0, 3), (7, 12), (9, 40)])
def test_short_noises_are_repeated(start, length):
    found = repeated(np.arange(10, dtype=np.float32), start, length)
    assert found.tolist() == [(start + k) % 10 for k in range(length)]


@pytest.mark.parametrize("semitones", [-2.0, -0.7, 1.0, 2.0])
def test_the_pitch_is_shifted_and_the_length_stays(speech, semitones):
    shifted = shift_pitch(speech, RATE, semitones)
    assert shifted.shape == speech.shape and shifted.dtype == np.float32
    before, after = f0(speech, RATE), f0(shifted, RATE)
    both = (before > 0) & (after > 0)
    found = 12 * np.log2(np.median(after[both] / before[both]))
    assert found == pytest.approx(semitones, abs=0.1)
    assert 10 * np.log10(power(shifted) / power(speech)) == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_stretching_keeps_the_pitch_and_moves_events(factor):
    wave = np.concatenate([tone(300, 0.5), np.zeros(RATE, np.float32), tone(500, 0.5)])
    found = stretch(wave, RATE, factor)
    assert len(found) == round(len(wave) * factor)
    begin, end = found[: round(0.45 * factor * RATE)], found[-round(0.45 * factor * RATE) :]
    for part, hertz in ((begin, 300), (end, 500)):
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
        assert spectrum.argmax() * RATE / (1 << 17) == pytest.approx(hertz, rel=0.01)
    middle = found[round(0.6 * factor * RATE) : round(1.4 * factor * RATE)]
    assert np.abs(middle).max() < 1e-3


@pytest.mark.parametrize("samples", [0, 1, 10, 700])
def test_very_short_sounds_come_through(samples):
    wave = tone(300)[:samples]
    assert shift_pitch(wave, RATE, 2.0).shape == wave.shape
    if samples:
        assert np.isfinite(compress(wave, RATE, -20, 4)).all()


def test_reverberation_is_convolution_with_the_direct_sound_on_time():
    response = np.zeros(2000, np.float32)
    response[[100, 500, 1900]] = [1.0, 0.5, -0.2]
    wave = noise(8000)
    found = reverberate(wave, response)
    expected = np.convolve(wave, response)[100:8100]
    expected *= np.sqrt(power(wave) / power(expected))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_recorded_rooms_reverberate(speech, realdata):
    response, _ = load(realdata / "rir/sb_rir1.wav", RATE)
    found = reverberate(speech, response)
    assert found.shape == speech.shape and power(found) == pytest.approx(power(speech), rel=1e-3)


@pytest.mark.parametrize("seconds", [0.25, 0.5])
def test_simulated_rooms_reverberate_as_long_as_asked(seconds):
    pytest.importorskip("pyroomacoustics")
    found = [rt60(simulated(n, RATE, seconds, seconds), RATE) for n in range(4)]
    assert np.median(found) == pytest.approx(seconds, rel=0.3)


def test_a_room_is_the_same_everywhere():
    pytest.importorskip("pyroomacoustics")
    first = simulated(3, 8000, 0.2, 0.3)
    simulated.cache_clear()
    assert (simulated(3, 8000, 0.2, 0.3) == first).all()
    other = simulated(4, 8000, 0.2, 0.3)
    assert len(other) != len(first) or (other != first).any()


def test_rt60_of_a_known_decay():
    for seconds in (0.2, 0.6):
        time = np.arange(RATE) / RATE
        response = noise(RATE) * 10 ** (-3 * time / seconds)
        assert rt60(response, RATE) == pytest.approx(seconds, rel=0.05)


def test_compression_has_its_ratio():
    """A step of 20 dB above the threshold becomes one of 5 dB at a ratio of 4."""
    wave = np.concatenate([tone(500, 1.0, 0.05), tone(500, 1.0, 0.5)])
    found = compress(wave, RATE, threshold=-45.0, ratio=4.0)
    quiet, loud = found[RATE // 2 : RATE - 800], found[-RATE // 2 :]
    assert 10 * np.log10(power(loud) / power(quiet)) == pytest.approx(5.0, abs=0.2)
    assert power(found) == pytest.approx(power(wave), rel=1e-3)
    below = compress(wave, RATE, threshold=0.0, ratio=4.0)
    np.testing.assert_allclose(below, wave, atol=1e-6)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_lose_quality_and_not_time(speech, codec):
    found = through_codec(speech, RATE, codec)
    assert found.shape == speech.shape and found.dtype == np.float32
    spectrum = np.fft.rfft(found, 1 << 17) * np.conj(np.fft.rfft(speech, 1 << 17))
    assert int(np.fft.irfft(spectrum).argmax()) == 0  # not late by a single sample
    loss = 10 * np.log10(power(speech) / power(found - speech))
    assert 5 < loss < 60
    if codec in ("mulaw", "alaw", "gsm"):  # nothing above 4 kHz comes through a telephone
        bins = np.abs(np.fft.rfft(found)) ** 2
        assert bins[round(len(bins) * 0.53) :].sum() < 1e-3 * bins.sum()


def test_better_quality_is_better(speech):
    errors = [power(through_codec(speech, RATE, "opus", q) - speech) for q in (0.1, 0.9)]
    assert errors[0] > 2 * errors[1]


def test_an_unknown_codec_is_named():
    with pytest.raises(UserError, match="found 'amr', expected mulaw"):
        through_codec(tone(300), RATE, "amr")
