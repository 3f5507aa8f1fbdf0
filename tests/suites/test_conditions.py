"""Conditions measured: the ratio, band, loss, level, length that their names promise; the same sound every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from espnet_ext.audio.effects import power
from espnet_ext.audio.rooms import rt60, simulated
from espnet_ext.audio.write import write
from espnet_ext.errors import UserError
from espnet_ext.suites import sounds
from espnet_ext.suites.conditions import KINDS, STANDARD, Surroundings, condition, spoil

RATE = 16000


def voice(seed, seconds=2.0):
    """Noise in syllables: something of speech's spectrum and rhythm."""
    random = np.random.default_rng(seed)
    wave = np.cumsum(random.standard_normal(round(seconds * RATE)))
    wave -= np.convolve(wave, np.ones(200) / 200, "same")
    rhythm = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(len(wave)) / RATE + seed)
    return (0.3 * wave * rhythm / np.abs(wave).max()).astype(np.float32)


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    voices = {}
    for k in range(6):
        path = folder / f"u{k}.wav"
        write(path, (32767 * voice(k)).astype(np.int16), RATE)
        voices[f"u{k}"] = (f"s{k % 3}", str(path), 0.0, None)
    return Surroundings(0, (), voices)


def under(name, around, utt="u0", samples=None):
    given = voice(0) if samples is None else samples
    return spoil(given[:, None], RATE, utt, condition(name), around)[:, 0]


@pytest.mark.parametrize("name", STANDARD)
def test_every_condition_is_reproducible_and_fits_16_bits(name, around):
    first, again = under(name, around), under(name, around)
    assert (first == again).all() and first.dtype == np.float32
    assert np.isfinite(first).all() and np.abs(first).max() <= 1
    if name != "joined_30s":
        changed = len(first) != len(voice(0)) or np.abs(first - voice(0)).max() > 1e-3
        assert changed


@pytest.mark.parametrize("kind", ["noise", "babble", "talker"])
@pytest.mark.parametrize("snr", [20, 5, 0])
def test_the_signal_to_noise_ratio_is_that_of_the_name(kind, snr, around):
    clean = 0.1 * voice(0)
    noise = under(f"{kind}_{snr}db", around, samples=clean) - clean
    assert 10 * np.log10(power(clean) / power(noise)) == pytest.approx(snr, abs=0.05)


def test_louder_noise_is_the_same_noise_and_other_utterances_have_another(around):
    clean = 0.05 * voice(0)
    mild, hard = (under(f"noise_{snr}db", around, samples=clean) - clean for snr in (20, 0))
    np.testing.assert_allclose(hard, 10 * mild, atol=1e-5)
    other = under("noise_0db", around, "u1", clean) - clean
    assert abs(np.corrcoef(hard, other)[0, 1]) < 0.3
    seeded = Surroundings(1, (), around.voices)
    assert abs(np.corrcoef(hard, under("noise_0db", seeded, samples=clean) - clean)[0, 1]) < 0.3


def test_babble_is_of_other_speakers(around):
    """u0 and u3 are one speaker: their voices are not in u0's babble, the others' are."""
    clean = 0.01 * voice(0)
    noise = under("talker_0db", around, samples=clean) - clean
    likeness = {}
    for k in range(6):
        spectrum = np.fft.rfft(noise, 1 << 17) * np.conj(np.fft.rfft(voice(k), 1 << 17))
        likeness[k] = (
            np.abs(np.fft.irfft(spectrum)).max() / np.linalg.norm(noise) / np.linalg.norm(voice(k))
        )
    assert max(likeness, key=likeness.get) in (1, 2, 4, 5) and max(likeness.values()) > 0.4
    alone = Surroundings(0, (), {"u0": around.voices["u0"]})
    assert np.isfinite(under("babble_0db", alone)).all()  # nobody else: noise


def test_recorded_noises_are_used(around, tmp_path):
    tone = (0.2 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE) * 32767).astype(np.int16)
    write(tmp_path / "tone.wav", tone, RATE)
    given = Surroundings(0, (str(tmp_path / "tone.wav"),), around.voices)
    clean = 0.1 * voice(0)
    noise = under("noise_10db", given, samples=clean) - clean
    spectrum = np.abs(np.fft.rfft(noise))
    assert spectrum.argmax() * RATE / len(noise) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("seconds", [0.3, 0.6])
def test_rooms_reverberate_as_long_as_the_name_says(seconds):
    found = [rt60(simulated(n, RATE, seconds, seconds), RATE) for n in range(3)]
    assert np.median(found) == pytest.approx(seconds, rel=0.35)


def test_far_rooms_have_less_of_the_direct_sound():
    def direct(apart):
        shares = []
        for n in range(3):
            response = simulated(n, RATE, 0.6, 0.6, apart)
            at = int(np.abs(response).argmax())
            shares.append(
                power(response[: at + 40]) * (at + 40) / (power(response) * len(response))
            )
        return np.mean(shares)

    assert direct(2.0) < direct(0.3)


@pytest.mark.parametrize("name", ["telephone", "telephone_gsm"])
def test_a_telephone_has_a_narrow_band(name, around):
    noise = (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)
    found = under(name, around, samples=noise)
    hertz, density = welch(found, RATE, nperseg=1024)
    inside = density[(hertz > 500) & (hertz < 3000)].mean()
    assert density[hertz > 4200].mean() < inside / 1000
    assert density[hertz < 100].mean() < inside / 10
    assert len(found) == len(noise)


@pytest.mark.parametrize("percent", [5, 20, 90])
def test_packets_are_lost_in_bursts_as_often_as_asked(percent):
    wave = np.ones(600 * RATE // 10, np.float32)  # 60 s: 3000 packets
    found = sounds.lose_packets(wave, RATE, percent / 100, np.random.default_rng(0))
    lost = found[:: RATE // 50] == 0
    assert lost.mean() == pytest.approx(percent / 100, rel=0.25)
    bursts = np.diff(np.concatenate([[0], lost.astype(int), [0]])).tolist().count(1)
    assert lost.sum() / bursts == pytest.approx(2.0 if percent < 50 else 9.0, rel=0.2)


def test_clipping_levels_lengths_and_offsets(around):
    clean = voice(0)
    assert (np.abs(under("clipping_10pc", around)) > 0.9999).mean() == pytest.approx(0.1, abs=0.01)
    assert 10 * np.log10(power(under("level_-40db", around))) == pytest.approx(-40, abs=0.01)
    assert len(under("speed_0.8", around)) == pytest.approx(len(clean) / 0.8, abs=2)
    assert len(under("tempo_1.25", around)) == pytest.approx(len(clean) / 1.25, abs=2)
    padded = under("padding_2s", around)
    assert len(padded) == len(clean) + 4 * RATE and np.abs(padded[: 2 * RATE]).max() < 0.003
    np.testing.assert_array_equal(padded[2 * RATE : -2 * RATE], clean)
    assert under("offset_10pc", around).mean() == pytest.approx(0.1 + clean.mean(), abs=1e-3)


def test_channels_share_the_room_and_not_the_noise(around):
    clean = 0.1 * np.stack([voice(0), voice(0)], axis=1)
    both = spoil(clean, RATE, "u0", condition("reverb_0.3s"), around)
    np.testing.assert_array_equal(both[:, 0], both[:, 1])
    noisy = spoil(clean, RATE, "u0", condition("noise_0db"), around)
    assert abs(np.corrcoef((noisy - clean).T)[0, 1]) < 0.3


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 700),
    st.sampled_from([n for n in STANDARD if "reverb" not in n and "far" not in n]),
)
def test_very_short_and_silent_sounds_come_through(length, name):
    alone = Surroundings(0, (), {"u0": ("s", "none.wav", 0.0, None)})
    for wave in (voice(0)[:length], np.zeros(length, np.float32)):
        found = under(name, alone, samples=wave)
        assert np.isfinite(found).all() and np.abs(found).max(initial=0) <= 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("noize_10db", "found no condition"), ("noise_10", "found no condition"), ("noise_99db", "expected -20 to 60"),
     ("telephone_3", "found no condition"), ("speed_9", "expected 0.3 to 3")],
)  # fmt: skip
def test_names_that_mean_nothing_are_refused(name, said):
    with pytest.raises(UserError, match=said):
        condition(name)


def test_every_kind_says_what_it_is():
    assert all(condition(name).what for name in STANDARD)
    assert {condition(name).kind for name in STANDARD} == set(KINDS)
