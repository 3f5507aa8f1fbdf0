"""Distances of spectra: figures that can be worked out, and those of scipy and librosa."""

import math

import numpy as np
import pytest

from espnet_ext.metrics.spectra import (
    band_correlation,
    energy_error,
    log_spectral_distance,
    mel_correlation,
    power,
    power_every,
)
from tests.metrics.voices import RATE, sentence


def random_spectra(seed, frames=20):
    return np.random.default_rng(seed).uniform(0.5, 1.0, (frames, 513))


def test_a_gain_moves_the_distances_by_its_decibels_and_no_correlation():
    spectra, decibels = random_spectra(1), 10 * math.log10(4)
    assert log_spectral_distance(spectra * 4, spectra) == pytest.approx(decibels)
    assert energy_error(spectra * 4, spectra) == pytest.approx(decibels)
    assert mel_correlation(spectra * 4, spectra, RATE) == pytest.approx(1)
    assert abs(mel_correlation(random_spectra(2), spectra, RATE)) < 0.9
    assert band_correlation(spectra * 4, spectra, RATE) == pytest.approx(1)


def test_the_average_spectrum_is_a_correlation_but_no_band_correlation():
    """All speech is louder below: what moves tells more."""
    tilt, random = np.exp(-np.arange(513) / 100), np.random.default_rng(0)
    one, two = (tilt * random.uniform(0.5, 2, (40, 1)) for _ in range(2))
    assert mel_correlation(one, two, RATE) > 0.9 > 0.5 > abs(band_correlation(one, two, RATE))
    assert band_correlation(np.ones((3, 513)), np.ones((3, 513)), RATE) == 0.0  # nothing moves


def test_energies_differ_by_the_root_of_the_mean_square():
    spectra = random_spectra(3, 4)
    louder = spectra * np.array([1.0, 10.0, 1.0, 0.1])[:, None]
    assert energy_error(louder, spectra) == pytest.approx(math.sqrt((100 + 100) / 4))


def test_the_spectrum_is_scipys():
    signal = pytest.importorskip("scipy.signal")
    wave = sentence()
    _, _, theirs = signal.stft(
        wave, window="hann", nperseg=1024, noverlap=768, boundary=None, padded=False
    )
    expected = (np.abs(theirs) * np.hanning(1025)[:-1].sum()).T ** 2
    np.testing.assert_allclose(power(wave), expected, rtol=1e-6, atol=1e-9)


def test_frames_are_centred_where_worlds_are():
    wave = np.zeros(RATE)
    wave[400] = 1.0  # 25 ms: frame 5
    found = power_every(wave, RATE, 0.005)
    assert len(found) == 201 and found[:, 0].argmax() == 5
    np.testing.assert_allclose(
        power_every(sentence(), RATE, 0.016)[2:50], power(sentence())[:48], rtol=1e-9
    )


def test_the_correlation_is_scipys_of_librosas_spectrograms():
    librosa, stats = pytest.importorskip("librosa"), pytest.importorskip("scipy.stats")
    noise = 3e-3 * np.random.default_rng(0).standard_normal(RATE)
    one, two = sentence() + noise, sentence(f0=140) + noise[::-1]
    filters = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=80)
    logs = []
    for wave in (one, two):
        spectra = np.abs(librosa.stft(wave, n_fft=1024, hop_length=256, center=False)) ** 2
        logs.append(np.log(filters @ np.maximum(spectra, 1e-6 * spectra.max())))
    pairs = [stats.pearsonr(a, b).statistic for a, b in zip(*logs, strict=True) if b.std() > 1e-6]
    found = band_correlation(power(one), power(two), RATE)
    assert found == pytest.approx(np.nan_to_num(pairs).mean(), abs=1e-4)
    found = mel_correlation(power(one), power(two), RATE)
    assert found == pytest.approx(stats.pearsonr(*map(np.ravel, logs)).statistic, abs=1e-4)
