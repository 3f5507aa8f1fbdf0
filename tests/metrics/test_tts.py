"""Mel-cepstra, time warping and the distances between synthesised and recorded speech."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from espnet_ext.errors import UserError
from espnet_ext.metrics.dtw import distances, dtw_path
from espnet_ext.metrics.durations import Durations
from espnet_ext.metrics.melcep import mc2sp, parameters, sp2mc, warping
from espnet_ext.metrics.tts import analyse, compare, compare_f0, f0_deviation, ideal
from tests.metrics.voices import RATE, sentence, voice


def freqt(cepstrum, order, alpha):
    """The recursion of SPTK, one coefficient at a time from the highest down."""
    g = np.zeros(order + 1)
    for c in cepstrum[::-1]:
        old = g.copy()
        g[0] = c + alpha * old[0]
        g[1] = (1 - alpha**2) * old[0] + alpha * old[1]
        for m in range(2, order + 1):
            g[m] = old[m - 1] + alpha * (old[m] - g[m - 1])
    return g


@settings(deadline=None)
@given(arrays(np.float64, 12, elements=st.floats(-2, 2)), st.sampled_from([0.0, 0.3, 0.42, 0.55]))
def test_the_matrix_is_the_recursion(cepstrum, alpha):
    np.testing.assert_allclose(
        warping(7, alpha, 12) @ cepstrum, freqt(cepstrum, 7, alpha), atol=1e-9
    )


@pytest.mark.parametrize("alpha", [0.0, 0.42])
def test_a_long_mel_cepstrum_gives_the_spectrum_back(alpha):
    w = np.linspace(0, np.pi, 129)
    power = np.exp(0.7 + np.cos(w) - 0.5 * np.cos(2 * w) + 0.1 * np.cos(5 * w))[None]
    np.testing.assert_allclose(mc2sp(sp2mc(power, 60, alpha), alpha, 129), power, rtol=1e-6)


def test_without_warping_it_is_the_cepstrum():
    w = np.linspace(0, np.pi, 65)
    log_amplitude = 0.3 + 0.8 * np.cos(w) - 0.2 * np.cos(3 * w)
    np.testing.assert_allclose(
        sp2mc(np.exp(2 * log_amplitude)[None], 4, 0.0)[0], [0.3, 0.8, 0, -0.2, 0], atol=1e-12
    )


def test_gain_moves_only_the_first_coefficient():
    power = np.exp(np.random.default_rng(0).normal(size=(3, 65)))
    difference = sp2mc(power * 4.0, 20, 0.42) - sp2mc(power, 20, 0.42)
    np.testing.assert_allclose(difference[:, 0], np.log(4.0) / 2)
    np.testing.assert_allclose(difference[:, 1:], 0.0, atol=1e-12)


def test_order_and_warping_follow_the_rate():
    assert parameters(16000) == (23, 0.42) and parameters(22050) == (34, 0.45)
    assert parameters(8000) == (23, 0.42)


def cheapest(cost):
    """The textbook recursion: least sum from the start to every cell."""
    total = np.full(cost.shape, np.inf)
    for i, j in itertools.product(*map(range, cost.shape)):
        before = [total[i - a, j - b] for a, b in ((1, 1), (1, 0), (0, 1)) if i >= a and j >= b]
        total[i, j] = cost[i, j] + (min(before) if before else 0.0)
    return total[-1, -1]


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
def test_the_path_is_the_cheapest(n, m, seed):
    cost = np.random.default_rng(seed).integers(0, 4, (n, m)).astype(float)
    path = dtw_path(cost)
    assert path[0].tolist() == [0, 0] and path[-1].tolist() == [n - 1, m - 1]
    steps = np.diff(path, axis=0)
    assert set(map(tuple, steps.tolist())) <= {(1, 1), (1, 0), (0, 1)}
    assert cost[path[:, 0], path[:, 1]].sum() == pytest.approx(cheapest(cost))


def test_the_path_follows_a_slower_copy():
    a = np.arange(10.0)[:, None]
    i, j = dtw_path(distances(a, np.repeat(a, 3, axis=0))).T
    assert (i == j // 3).all()


def test_distances_are_euclidean():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 3))
    expected = np.linalg.norm(a[:, None] - b[None], axis=-1)
    np.testing.assert_allclose(distances(a, b), expected, atol=1e-12)


def test_speech_against_itself_is_perfect():
    pytest.importorskip("pyworld")
    score = compare(voice(), voice(), RATE)
    assert score.mcd < 1e-3 and score.log_f0_rmse == 0.0 and score.voicing_error == 0.0
    assert (score.duration_ratio, score.duration_error, score.energy_error) == (1.0, 0.0, 0.0)
    assert score.lsd == 0.0 and score.f0_deviation == 0.0
    assert (score.mel_correlation, score.band_correlation) == pytest.approx((1.0, 1.0))
    assert score.pesq is None or score.pesq > 4.5
    assert score.stoi is None or score.stoi > 0.999
    assert score.token_mcd is None and score.token_duration_error is None
    best = ideal(RATE).as_dict()
    assert {k: v for k, v in best.items() if v is not None} == pytest.approx(
        {k: getattr(score, k) for k, v in best.items() if v is not None}, abs=2e-3
    )


def test_half_as_loud_is_six_decibels_and_nothing_else():
    pytest.importorskip("pyworld")
    score = compare(sentence() * 0.5, sentence(), RATE)
    decibels = 20 * np.log10(2)
    assert score.energy_error == pytest.approx(decibels, abs=0.2)
    assert 1.0 < score.lsd < decibels + 0.1  # what lies at the floor is not as far
    assert score.mel_correlation > 0.999 and score.f0_deviation < 0.5
    assert score.stoi is None or score.stoi > 0.99


@pytest.mark.parametrize("factor", [0.9, 1.15])
def test_worlds_own_pitch_shift_is_the_deviation(factor):
    world = pytest.importorskip("pyworld")
    wave = voice(0.8)
    f0, times = world.harvest(wave, RATE)
    envelope, noise = world.cheaptrick(wave, f0, times, RATE), world.d4c(wave, f0, times, RATE)
    same, moved = (world.synthesize(f0 * x, envelope, noise, RATE) for x in (1.0, factor))
    score = compare(moved, same, RATE)
    assert score.f0_deviation == pytest.approx(100 * abs(factor - 1), abs=1.0)
    assert score.mel_correlation > 0.8 and score.duration_error == 0.0


def test_a_slower_sentence_is_the_same_but_for_its_length():
    pytest.importorskip("pyworld")
    score = compare(sentence(1.5), sentence(1.2), RATE)
    other = compare(sentence(1.5)[::-1].copy(), sentence(1.2), RATE)
    assert score.duration_error == pytest.approx(25.0)
    assert score.mel_correlation > 0.95 > other.mel_correlation
    assert score.lsd < other.lsd and score.mcd < other.mcd
    if score.stoi is not None:
        assert score.stoi > max(0.8, other.stoi)


def test_durations_align_as_well():
    pytest.importorskip("pyworld")
    made, real = sentence(1.2), sentence(1.0)
    halves = compare(made, real, RATE, Durations((30, 30), (50, 50)))
    # each half is said at its own place, 0.1 s longer than the recording's
    assert halves.token_duration_error == pytest.approx(20.0)
    assert halves.token_mel_correlation > 0.95
    assert halves.token_energy_error < 6.0 and halves.token_f0_deviation < 3.0
    wrong = compare(made, real, RATE, Durations((10, 50), (50, 50)))
    assert wrong.token_mel_correlation < halves.token_mel_correlation
    assert wrong.token_mcd > halves.token_mcd > halves.mcd
    assert wrong.token_energy_error > halves.token_energy_error
    assert compare(made, real, RATE, Durations((1,), (1, 1))).token_mcd is None


def test_louder_is_not_a_distortion_but_another_pitch_is_an_f0_error():
    pytest.importorskip("pyworld")
    assert compare(voice() * 0.5, voice(), RATE).mcd < 0.2
    score = compare(voice(f0=150.0), voice(f0=120.0), RATE)
    assert score.log_f0_rmse == pytest.approx(np.log(150 / 120), abs=0.02)


def test_slower_speech_changes_the_duration_and_follows_the_pitch():
    pytest.importorskip("pyworld")
    score = compare(voice(1.5, glide=40.0), voice(1.0, glide=60.0), RATE)
    assert score.duration_ratio == 1.5
    assert score.f0_correlation > 0.6


@pytest.mark.parametrize("rate", [22050, 24000])
def test_a_deep_voice_keeps_its_envelope(rate):
    """Past bug: below 64.8 (22.05 kHz) or 70.5 Hz (24 kHz) it was that of a voice of 500 Hz, 12 dB off."""
    pytest.importorskip("pyworld")
    low, high = (analyse(voice(1.0, f0, rate=rate), rate) for f0 in (62.0, 90.0))
    assert np.median(low[0][low[0] > 0]) == pytest.approx(62.0, rel=0.01)
    means = [cepstra[40:160, 1:].mean(0) for _, cepstra in (low, high)]
    assert 10 / np.log(10) * np.sqrt(2) * np.linalg.norm(means[0] - means[1]) < 8.0


def test_figures_are_those_that_are_computed_apart():
    """Mel-cepstra by integrals over the warped axis, correlations by scipy."""
    world = pytest.importorskip("pyworld")
    interpolate, stats = (
        pytest.importorskip("scipy.interpolate"),
        pytest.importorskip("scipy.stats"),
    )
    pair = sentence(1.0), sentence(1.2, f0=140.0, seed=1)
    contours, cepstra = [], []
    for wave in pair:
        rough, times = world.dio(wave, RATE, 60.0, 600.0, frame_period=5.0)
        f0 = world.stonemask(wave, rough, times, RATE)
        power = world.cheaptrick(wave, f0, times, RATE)
        w = (np.arange(2048) + 0.5) * np.pi / 2048
        places = w - 2 * np.arctan2(0.42 * np.sin(w), 1 + 0.42 * np.cos(w))
        known = np.linspace(0, np.pi, power.shape[1])
        logs = interpolate.CubicSpline(known, np.log(power) / 2, axis=1)(places)
        cepstra.append(2 / len(w) * logs @ np.cos(np.outer(w, np.arange(1, 24))))
        contours.append(f0)
    i, j = dtw_path(distances(*cepstra)).T
    score = compare(*pair, RATE)
    distance = np.linalg.norm(cepstra[0][i] - cepstra[1][j], axis=1).mean()
    assert score.mcd == pytest.approx(10 / np.log(10) * np.sqrt(2) * distance, rel=2e-3)
    a, b = contours[0][i], contours[1][j]
    both = (a > 0) & (b > 0)
    assert score.f0_correlation == pytest.approx(
        stats.pearsonr(np.log(a[both]), np.log(b[both])).statistic, abs=0.01
    )
    assert score.log_f0_rmse == pytest.approx(
        np.sqrt(np.mean(np.log(a[both] / b[both]) ** 2)), rel=0.01
    )
    assert score.voicing_error == pytest.approx(100 * np.mean((a > 0) != (b > 0)), abs=0.5)


def test_world_finds_the_pitch():
    pytest.importorskip("pyworld")
    f0, mel_cepstrum = analyse(voice(f0=200.0), RATE)
    assert np.median(f0[f0 > 0]) == pytest.approx(200.0, rel=0.01)
    assert mel_cepstrum.shape == (len(f0), 24)


def test_noise_has_no_f0_to_compare():
    pytest.importorskip("pyworld")
    noise = np.random.default_rng(0).normal(0, 0.1, RATE // 2)
    score = compare(noise, voice(0.5), RATE)
    assert score.voicing_error > 50.0


def test_contours_by_hand():
    hyp, ref = np.array([100.0, 0, 200, 0]), np.array([110.0, 120, 220, 0])
    rmse, correlation, voicing = compare_f0(hyp, ref)
    assert rmse == pytest.approx(np.log(1.1)) and correlation == pytest.approx(1.0)
    assert voicing == 25.0
    assert compare_f0(np.zeros(3), ref[:3]) == (None, None, 100.0)
    assert compare_f0(hyp[:1], ref[:1])[1] is None
    assert f0_deviation(hyp, ref) == pytest.approx(100 / 11)
    assert f0_deviation(np.zeros(3), ref[:3]) is None


def test_too_short_for_an_analysis():
    with pytest.raises(UserError, match="at least 0\\.05 s"):
        analyse(np.zeros(100), RATE)
