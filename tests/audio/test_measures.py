"""Figures of a recording: each against sound of which the answer is known."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import signal, stats

from espnet_ext.audio.measures import Meter, measure, measure_samples
from espnet_ext.audio.read import CutOff, NoSamples, NotFinite

RATE = 16000


def speechlike(seconds=6.0, seed=0):
    """Syllables of filtered noise with pauses between, gamma-like amplitudes as speech has."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    amplitude = np.repeat(random.gamma(0.4, 1.0, count // 1600 + 1), 1600)[:count]
    pauses = np.repeat(np.arange(count // 4800 + 1) % 4 > 0, 4800)[:count]
    voice = signal.lfilter([1], [1, -0.9], random.standard_normal(count)) * amplitude * pauses
    return (0.2 * voice / np.abs(voice).max()).astype(np.float32)


def measured(samples, rate=RATE):
    return measure_samples(np.asarray(samples, np.float32).reshape(len(samples), -1), rate)


def test_levels_of_a_sine():
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    found = measured(wave + 0.01)
    assert found.level == pytest.approx(20 * np.log10(0.5 / 2**0.5), abs=0.05)
    assert found.peak == pytest.approx(20 * np.log10(0.51), abs=0.01)
    assert found.dc == pytest.approx(0.01, abs=1e-4)
    assert found.seconds == 1.0 and found.clipped == 0 and found.speech == 0


@pytest.mark.parametrize("count", [1, 100, 400, RATE * 32 // 1000 - 1, RATE])
def test_what_is_shorter_than_a_frame_has_the_level_of_its_samples(count):
    wave = np.full(count, 0.5)
    wave[::2] = -0.5
    found = measured(wave)
    assert found.level == pytest.approx(-6.02, abs=0.01) and found.snr == -10


@pytest.mark.parametrize("wanted", [0, 5, 10, 15, 20, 25])
def test_both_estimates_of_noise_that_was_added(wanted):
    clean = speechlike()
    noise = np.random.default_rng(1).standard_normal(len(clean))
    noisy = clean + noise * np.sqrt(np.mean(clean**2) / 10 ** (wanted / 10))
    assert measured(noisy).snr == pytest.approx(wanted, abs=1.0)


@pytest.mark.parametrize("wanted", [-10, 0, 10, 20, 40])
def test_wada_on_the_distribution_it_assumes(wanted):
    random = np.random.default_rng(0)
    speech = stats.gamma.rvs(0.4, size=200_000, random_state=random) * random.choice(
        [-1, 1], 200_000
    )
    noise = random.standard_normal(200_000) * np.sqrt(np.mean(speech**2) / 10 ** (wanted / 10))
    both = speech + noise
    assert measured(both / np.abs(both).max()).wada == pytest.approx(wanted, abs=1.5)


def test_real_speech_in_noise(realdata):
    paths = sorted((realdata / "LJSpeech-1.1/wavs").glob("*.wav"))[:8]
    for path in paths:
        clean, rate = soundfile.read(path, dtype="float32")
        before = measured(clean, rate)
        assert before.snr > 17 and before.speech > 0.5 and before.bandwidth > 0.9 * rate / 2
        noise = np.random.default_rng(0).standard_normal(len(clean))
        noise *= np.sqrt(np.mean(clean**2) / 10)
        assert measured(clean + noise, rate).snr == pytest.approx(10, abs=1)


@pytest.mark.parametrize("low", [6000, 8000, 11025])
def test_speech_that_was_resampled_is_found(realdata, low):
    import soxr

    for path in sorted((realdata / "LJSpeech-1.1/wavs").glob("*.wav"))[:5]:
        wave, rate = soundfile.read(path, dtype="float32")
        again = soxr.resample(soxr.resample(wave, rate, low), low, rate)
        coarse = np.round(again * 32768).clip(-32768, 32767).astype(np.int16)
        found = measure_samples(coarse[:, None], rate)
        assert found.bandwidth == pytest.approx(low / 2, abs=375)


def test_clipping_counts_flat_tops_but_no_peaks():
    wave = 1.4 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    share = 2 * np.arccos(1 / 1.4) / np.pi
    full = measured(np.clip(wave, -1, 1))
    assert full.clipped == pytest.approx(share, abs=0.01) and full.clip_run > 30
    assert measured(0.5 * np.clip(wave, -1, 1)).clipped == pytest.approx(share, abs=0.01)
    assert measured(wave / 1.4).clipped < 0.001
    two = np.stack([np.zeros(RATE), np.clip(wave, -1, 1)], axis=1)
    assert measured(two).clipped == pytest.approx(share / 2, abs=0.01)


def test_digital_silence_says_nothing_of_the_noise():
    clean = speechlike()
    noisy = clean + 0.003 * np.random.default_rng(0).standard_normal(len(clean))
    padded = np.concatenate([noisy, np.zeros(len(noisy))])
    assert measured(padded).noise == pytest.approx(measured(noisy).noise, abs=0.5)
    silent = measured(np.zeros(RATE))
    assert (silent.level, silent.peak, silent.noise, silent.speech) == (-120, -120, -120, 0)


def test_speech_ratio_counts_the_pauses():
    random = np.random.default_rng(0)
    wave = 0.001 * random.standard_normal(4 * RATE)
    wave[RATE : 2 * RATE] += 0.2 * random.standard_normal(RATE)
    assert measured(wave).speech == pytest.approx(0.25, abs=0.02)


def test_blocks_make_no_difference():
    wave = (speechlike(5.0) * 32768).astype(np.int16)[:, None]
    whole, meter = measure_samples(wave, RATE), Meter(RATE, 1)
    for at in range(0, len(wave), 7001):
        meter.add(wave[at : at + 7001])
    parts = meter.result()
    assert parts.digest == whole.digest and parts.noise == whole.noise
    assert parts.snr == pytest.approx(whole.snr) and parts.wada == pytest.approx(whole.wada)


def test_the_digest_is_of_the_samples_not_of_the_file(tmp_path):
    wave = (speechlike(1.0) * 32768).astype(np.int16)
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, wave, RATE)
    soundfile.write(tmp_path / "b.wav", wave[1:], RATE)
    one, same, other = (measure(str(tmp_path / n))[0] for n in ("a.wav", "a.flac", "b.wav"))
    assert one == same and one.digest != other.digest
    assert one.packed() == same.packed()


def test_a_stretch(tmp_path):
    wave = (speechlike(2.0) * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", wave, RATE)
    found, samples = measure(str(tmp_path / "a.wav"), start=0.5, end=1.5)
    assert samples == RATE
    assert found == measure_samples(wave[RATE // 2 : 3 * RATE // 2, None], RATE)


@settings(deadline=None, max_examples=40)
@given(
    arrays.arrays(np.int16, st.tuples(st.integers(1, 1500), st.integers(1, 3))),
    st.sampled_from([1, 4000, 8000, 44100, 192000]),
)
def test_any_samples_give_finite_figures(samples, rate):
    found = measure_samples(samples, rate)
    values = [v for v in vars(found).values() if not isinstance(v, str)]
    assert np.isfinite(values).all()
    assert 0 <= found.clipped <= 1 and 0 <= found.speech <= 1 and -120 <= found.noise <= 10
    assert 0 <= found.bandwidth <= rate / 2
    assert len(found.packed().split(",")) == len(vars(found))


def test_ten_hours_take_no_more_memory_than_one(tmp_path):
    peaks = {}
    for hours in (1, 10):
        path = tmp_path / f"{hours}.wav"
        with soundfile.SoundFile(path, "w", 1000, 1, "PCM_16") as stream:
            second = (3000 * np.sin(np.arange(600_000) / 3)).astype(np.int16)
            for _ in range(6 * hours):
                stream.write(second)
        tracemalloc.start()
        found, _ = measure(str(path))
        peaks[hours] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.seconds == 3600 * hours
    assert peaks[10] < 1.05 * peaks[1] + 100_000 and peaks[10] < 50_000_000


def test_damage_has_a_name(tmp_path):
    wave = np.random.default_rng(0).integers(-9000, 9000, 3 * RATE, np.int16)
    soundfile.write(tmp_path / "a.flac", wave, RATE)
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CutOff, match="damaged or cut off"):
        measure(str(tmp_path / "a.flac"), "utt1")
    soundfile.write(tmp_path / "b.wav", np.full(10, np.nan), RATE, subtype="FLOAT")
    with pytest.raises(NotFinite, match="sample 0"):
        measure(str(tmp_path / "b.wav"))
    soundfile.write(tmp_path / "c.wav", wave[:0], RATE)
    with pytest.raises(NoSamples):
        measure(str(tmp_path / "c.wav"))
