"""What a synthesiser leaves of pitch and loudness is made up for, and nothing more than that."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.audio.f0 import F0, track
from espnet_ext.errors import UserError
from espnet_ext.inference.prosody import Manner, as_asked, limited, made_up
from espnet_ext.inference.speech import Speech
from tests.audio.speech import RATE, sentence, vowel

STEP = 0.005
DURATIONS = np.array([10, 20, 10, 10])  # of three tokens and <sos/eos>


def heard(wave, rate=RATE):
    """F0 by another method than that which is relied on."""
    return track(wave, rate, F0("harvest", STEP, low=50.0))


def moved(wave, plain, rate=RATE):
    """Semitones in each frame, NaN where one of them has no voice."""
    now, before = heard(wave, rate), heard(plain, rate)
    both = (now > 0) & (before > 0)
    return np.where(both, 12 * np.log2(np.where(both, now, 1) / np.where(both, before, 1)), np.nan)


def rms(wave):
    return np.sqrt(np.mean(np.square(wave, dtype=np.float64)))


def voice(semitones, loudness=1.0):
    """What a model says that does this much."""
    return loudness * vowel(lambda t: (130 + 30 * t) * 2 ** (semitones / 12))


@pytest.mark.parametrize(("asked", "done"), [(6, 2.5), (-6, -3.0), (-6, 0.0), (3, 4.0), (4, -1.0)])
def test_what_a_model_leaves_of_the_pitch_is_made_up_for(asked, done):
    plain, found = voice(0), voice(done, 0.8)
    wave = made_up(found, plain, RATE, DURATIONS, Manner(asked))
    by = moved(wave, plain)[10:-10]
    assert np.nanmax(np.abs(by - asked)) < 0.3 and np.isfinite(by).mean() > 0.9
    assert rms(wave) == pytest.approx(rms(plain), rel=0.03)  # no louder than it was, either


def test_what_a_model_does_by_itself_is_left_to_it():
    """Not one sample of another pitch; the level alone is moved, and that slowly."""
    plain, found = voice(0), voice(5.0, 0.7)
    wave = made_up(found, plain, RATE, None, Manner(5.0))
    assert np.abs(np.diff(wave / found)).max() < 2e-3
    assert rms(wave) == pytest.approx(rms(plain), rel=0.03)


@pytest.mark.parametrize(("asked", "done"), [(2.0, 1.17), (0.5, 0.9), (2.0, 2.0), (0.0, 0.5)])
def test_loudness_is_what_was_asked_for(asked, done):
    plain = voice(0)
    wave = made_up(done * plain, plain, RATE, DURATIONS, Manner(loudness=asked))
    assert rms(wave) == pytest.approx(asked * rms(plain), rel=0.02)


def test_each_token_by_itself():
    """The second of three is higher and softer; the others stay, though the model let them go with it."""
    plain, found = voice(0), voice(1.5, 0.8)
    manner = Manner([0.0, 4.0, 0.0], [1.0, 0.5, 1.0])
    wave = made_up(found, plain, RATE, DURATIONS, manner)
    by = moved(wave, plain)  # 0.8 s for 50 frames: the token lasts from 0.16 s to 0.48 s
    assert np.nanmax(np.abs(by[40:88] - 4)) < 0.4
    assert np.nanmax(np.abs(by[8:26])) < 0.3 and np.nanmax(np.abs(by[104:150])) < 0.3
    inside, after = slice(3200, 7200), slice(8400, 12800)
    assert rms(wave[inside]) == pytest.approx(0.5 * rms(plain[inside]), rel=0.05)
    assert rms(wave[after]) == pytest.approx(rms(plain[after]), rel=0.05)


def test_a_model_that_loses_its_voice_is_not_followed():
    plain = voice(0)
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(plain))
    for found in (noise, plain[:-100]):  # or another timing
        wave = made_up(found, plain, RATE, DURATIONS, Manner(4.0))
        assert abs(np.nanmedian(moved(wave, plain)) - 4) < 0.1


def test_a_sentence_by_a_model_without_controls():
    plain, rate = sentence()
    speech = Speech(plain, rate, None, None)
    (high,) = as_asked(lambda options: [speech], {"alpha": 1.0}, Manner(-4.0, 0.5))
    assert abs(np.nanmedian(moved(high.wave, plain, rate)) + 4) < 0.1
    assert rms(high.wave) == pytest.approx(0.5 * rms(plain), rel=0.03)


@pytest.mark.parametrize(
    ("controls", "told"),
    [("both", [(2.0, 1.5), (0, 1)]), ("model", [(2.0, 1.5)]), ("wave", [(0, 1)])],
)
def test_what_the_model_is_told(controls, told):
    speech, calls = Speech(voice(0), RATE, None, None), []

    def say(options):
        calls.append((options["pitch_shift"], options["energy_factor"]))
        return [speech]

    options = {"alpha": 1.0, "pitch_shift": 2.0, "energy_factor": 1.5}
    as_asked(say, options, Manner(2.0, 1.5), controls)
    assert calls == told


def test_nothing_asked_costs_nothing():
    speech, calls = Speech(voice(0), RATE, None, None), []
    options = {"pitch_shift": 0.0, "energy_factor": 1.0}
    found = as_asked(lambda o: calls.append(o) or [speech], options, Manner())
    assert found == [speech] and len(calls) == 1


@pytest.mark.parametrize(
    ("manner", "durations", "words"),
    [
        ({"semitones": [1.0, 2.0]}, DURATIONS, "pitch_shift: found 2 values, .* each of 4 tokens"),
        ({"loudness": [1.0, 2.0]}, None, "energy_factor: found 2 values, but this model does not"),
        ({"semitones": float("nan")}, None, "pitch_shift: found nan, expected -48 to 48"),
        ({"loudness": [1.0, -1.0]}, None, "energy_factor: found -1, expected 0 to 100"),
    ],
)
def test_wrong_values_are_said(manner, durations, words):
    wave = np.zeros(800, np.float32)
    with pytest.raises(UserError, match=words):
        made_up(wave, wave, RATE, durations, Manner(**manner))


@pytest.mark.parametrize("samples", [0, 1, 100, 4000])
def test_silence_and_next_to_nothing(samples):
    wave = np.zeros(samples, np.float32)
    found = made_up(wave, wave.copy(), RATE, np.array([3, 0, 1]), Manner(3.0, 2.0))
    assert found.shape == wave.shape and not found.any()


@given(st.floats(0.1, 20), st.integers(0, 5))
@settings(deadline=None, max_examples=20)
def test_the_limiter_cuts_nothing_off(gain, seed):
    """Within full scale, what is quiet stays as it is, and no sample changes its sign or its place."""
    random = np.random.default_rng(seed)
    wave = 0.05 * random.standard_normal(3000)
    wave[1200:1500] *= gain
    found = limited(wave, RATE)
    assert np.abs(found).max() <= 1 and found.dtype == np.float32
    assert np.allclose(found[:1100], wave[:1100], atol=1e-6) and np.allclose(
        found[1600:], wave[1600:], atol=1e-6
    )
    assert (np.abs(found) <= np.abs(wave) + 1e-6).all() and (found * wave >= 0).all()


def test_a_short_neighbour_keeps_its_pitch():
    """F0 of the short word is not sure; what the model left of the next word's is no reason to move it."""
    short, pause = vowel(140, 0.06), np.zeros(800)

    def say(semitones):
        long = vowel(140 * 2 ** (semitones / 12), 0.5)
        return np.concatenate((pause, short, pause, long))

    durations, manner = np.array([160, 1, 500]), Manner([0.0, -4.0])
    wave = made_up(say(-1.5), say(0), RATE, durations, manner)
    part = slice(800, 800 + len(short))
    assert np.abs(wave[part] - short).max() < 0.02 * np.abs(short).max()
    assert np.nanmedian(moved(wave, say(0))[40:-10]) == pytest.approx(-4, abs=0.2)


def test_within_a_token_the_level_is_kept_too():
    """A model that lets a neighbour set in sooner, at the level that it has on the whole."""
    sound = vowel(140)
    slope = np.linspace(0.05, 1, len(sound))
    plain, found = slope * sound, np.sqrt(np.mean(slope**2)) * sound
    wave = made_up(found, plain, RATE, np.array([1]), Manner(loudness=2.0))
    quarter = slice(400, len(sound) // 4)
    assert rms(wave[quarter]) == pytest.approx(2 * rms(plain[quarter]), rel=0.05)
