"""Pitch that is moved in the waveform: where to, and what stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from espnet_ext.audio.f0 import F0, track
from espnet_ext.audio.psola import pulses, shift_pitch
from tests.audio.speech import RATE, sentence, vowel

STEP = 0.005


def shifted(wave, rate, semitones):
    hertz = track(wave, rate, F0(shift=STEP))
    by = np.broadcast_to(np.asarray(semitones, float), hertz.shape)
    return shift_pitch(wave, rate, hertz, STEP, by)


def heard(wave, rate):
    """F0 by a method that is not the one which `shifted` relies on."""
    return track(wave, rate, F0("harvest", STEP, low=50.0))


def moved(plain, found, rate):
    """Semitones between two waveforms, where both have a voice."""
    before, after = heard(plain, rate), heard(found, rate)
    both = (before > 0) & (after > 0)
    assert both.sum() > 0.7 * (before > 0).sum()
    return 12 * np.log2(after[both] / before[both])


def envelope(wave):
    """Log-mel spectrum of the middle, (40,)."""
    from espnet_ext.audio.mel import mel_filters

    part = wave[len(wave) // 4 : -len(wave) // 4]
    frames = np.lib.stride_tricks.sliding_window_view(part, 1024)[::256] * np.hanning(1024)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(0)
    return np.log10(power @ mel_filters(RATE, 1024, 40, 60.0, 7000.0).T + 1e-9)


@pytest.mark.parametrize(
    ("name", "semitones"), [("slt", -6), ("slt", 6), ("en-us", -3), ("en-us", 6)]
)
def test_the_pitch_of_a_sentence_goes_where_it_is_sent(name, semitones):
    wave, rate = sentence(name)
    by = moved(wave, shifted(wave, rate, semitones), rate)
    assert np.median(by) == pytest.approx(semitones, abs=0.05)
    assert (np.abs(by - semitones) < 0.5).mean() > 0.85


@pytest.mark.parametrize("semitones", [-6, -3, 3, 6])
def test_formants_and_length_stay(semitones):
    """As near to the same vowel spoken at the new pitch as PSOLA gets, and far nearer than a faster tape."""
    from scipy.signal import resample

    plain, factor = vowel(140.0), 2 ** (semitones / 12)
    wanted, found = vowel(140.0 * factor), shifted(plain, RATE, semitones)
    tape = resample(plain, round(len(plain) / factor))
    right, wrong = (np.corrcoef(envelope(wanted), envelope(wave))[0, 1] for wave in (found, tape))
    assert len(found) == len(plain)
    assert right > 0.97 and 1 - right < 0.5 * (1 - wrong)


def test_a_glide_keeps_its_shape():
    plain = vowel(lambda t: 110 + 60 * t)
    by = moved(plain, shifted(plain, RATE, 5.0), RATE)
    assert np.abs(by[20:-20] - 5).max() < 0.3


def test_a_part_alone_is_moved():
    plain = vowel(150.0, 1.2)
    semitones = np.where(np.abs(np.arange(241) * STEP - 0.6) < 0.2, 4.0, 0.0)
    before, after = heard(plain, RATE), heard(shifted(plain, RATE, semitones), RATE)
    by = 12 * np.log2(after / before)
    assert np.abs(by[90:150] - 4).max() < 0.3
    assert np.abs(by[10:70]).max() < 0.1 and np.abs(by[170:230]).max() < 0.1


def test_no_shift_is_no_change():
    wave, rate = sentence()
    assert np.array_equal(shifted(wave, rate, 0.0), wave)


def test_grains_set_down_where_they_were_are_the_signal():
    """A hair's breadth at the first pulse takes all of a stretch to pieces and puts it together again."""
    plain = vowel(130.0)
    by = np.zeros(161)
    by[:4] = 0.002
    noise = shifted(plain, RATE, by) - plain
    assert 0 < noise.std() < 0.02 * plain.std()


def test_what_has_no_voice_stays_to_the_sample():
    noise = 0.1 * np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    plain = np.concatenate([noise, vowel(150.0).astype(np.float32), noise])
    found = shifted(plain, RATE, 6.0)
    assert np.array_equal(found[:3500], plain[:3500])
    assert np.array_equal(found[-3500:], plain[-3500:])


def test_there_are_no_clicks():
    """No step from sample to sample is much larger than the largest that was there."""
    wave, rate = sentence()
    for semitones in (-6.0, 6.0):
        found = shifted(wave, rate, semitones)
        assert np.abs(np.diff(found)).max() < 1.5 * np.abs(np.diff(wave)).max()


def test_pulses_are_a_period_apart():
    plain = vowel(lambda t: 100 + 40 * t)
    (stretch,) = pulses(plain, RATE, track(plain, RATE, F0(shift=STEP)), STEP)
    found = RATE / np.diff(stretch.marks)
    middle = (stretch.marks[1:] + stretch.marks[:-1]) / 2 / RATE
    assert np.abs(found / (100 + 40 * middle) - 1)[3:-3].max() < 0.02


@settings(deadline=None, max_examples=30)
@given(
    arrays(np.float32, st.integers(0, 3000), elements=st.floats(-1, 1, width=32)),
    st.data(),
)
def test_anything_comes_back_finite(wave, data):
    frames = len(wave) // 80 + 1
    hertz = data.draw(arrays(np.float64, frames, elements=st.sampled_from([0.0, 71.0, 300, 800])))
    by = data.draw(arrays(np.float64, frames, elements=st.floats(-24, 24)))
    found = shift_pitch(wave, RATE, hertz, STEP, by)
    assert found.shape == wave.shape and np.isfinite(found).all()
