"""Beamformers against definitions written out in numpy, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.asr.multichannel import spatial
from espnet_ext.asr.multichannel.wpe import wpe


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


def scene(channels: int = 4, frames: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A source that several microphones hear with a steering vector a frequency, and noise; (C, F, T) each."""
    source, steering = draw(3, frames, seed=seed), draw(channels, 3, seed=seed + 1)
    noise = np.einsum(
        "fcd,dft->cft", draw(3, channels, channels, seed=seed + 2), draw(channels, 3, frames)
    )
    return steering[:, :, None] * source, noise


def covariance_of(x: np.ndarray) -> torch.Tensor:
    """(1, F, C, C)."""
    return torch.from_numpy(np.einsum("cft,dft->fcd", x, x.conj()) / x.shape[-1])[None]


def one_hot(channel: int, channels: int) -> torch.Tensor:
    return torch.eye(channels, dtype=torch.float64)[channel][None]


def test_spectra_come_back_as_sound():
    samples = torch.randn(2, 5000, 3)
    window = torch.hann_window(512)
    spectra = spatial.to_spectra(samples, window, 256)
    assert spectra.shape[-1] == int(spatial.frames_of(torch.tensor(5000), window, 256))
    back = spatial.to_samples(spectra[:, 1], window, 256, 5000)
    assert torch.allclose(back, samples[..., 1], atol=1e-5)


@given(st.integers(1, 3000), st.integers(0, 900))
@settings(max_examples=30, deadline=None)
def test_zeros_behind_an_utterance_change_no_frame_of_it(length: int, more: int):
    samples = torch.randn(1, length, 2, generator=torch.Generator().manual_seed(length))
    window = torch.hann_window(128)
    alone = spatial.to_spectra(samples, window, 64)
    padded = spatial.to_spectra(torch.nn.functional.pad(samples, (0, 0, 0, more)), window, 64)
    frames = int(spatial.frames_of(torch.tensor(length), window, 64))
    assert alone.shape[-1] == frames
    assert torch.allclose(padded[..., :frames], alone, atol=1e-5)
    assert padded[..., frames:].abs().max() < 1e-6 if more > 128 else True


def test_covariances_are_weighted_means():
    x, mask = draw(2, 3, 4, 50), np.random.default_rng(1).random((2, 4, 50))
    found = spatial.covariances(torch.from_numpy(x), torch.from_numpy(mask))
    for b in range(2):
        for f in range(4):
            frames = [
                m * np.outer(v, v.conj()) for m, v in zip(mask[b, f], x[b, :, f].T, strict=True)
            ]
            assert np.allclose(found[b, f], sum(frames) / mask[b, f].sum())


def test_mvdr_is_what_a_known_direction_gives():
    """For speech of one direction d: conj-filter = Phi_N^-1 d / (d^H Phi_N^-1 d) * conj(d_ref)."""
    speech, noise = scene()
    found = spatial.mvdr_weights(covariance_of(speech), covariance_of(noise), one_hot(2, 4))[0]
    for f in range(3):
        d = speech[:, f, 0] / speech[0, f, 0]
        phi = np.asarray(covariance_of(noise)[0, f])
        inverse = np.linalg.inv(phi)
        expected = inverse @ d / (d.conj() @ inverse @ d) * d[2].conj()
        assert np.allclose(found[f], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("weights", [spatial.mvdr_weights, spatial.gev_weights])
def test_mvdr_does_not_change_the_speech_and_gev_no_phase(weights):
    speech, noise = scene(seed=5)
    filters = weights(covariance_of(speech), covariance_of(noise), one_hot(1, 4))
    made = spatial.filtered(torch.from_numpy(speech)[None], filters)[0].numpy()
    if weights is spatial.mvdr_weights:
        assert np.allclose(made, speech[1], rtol=1e-3, atol=1e-3)
    phase = np.angle(made * speech[1].conj())
    assert np.abs(phase).max() < 1e-3


def test_gev_is_the_principal_generalised_eigenvector():
    speech, noise = scene(seed=3)
    speech = speech + 0.3 * draw(*speech.shape, seed=9)  # not of one direction alone
    both = covariance_of(speech), covariance_of(noise)
    found = spatial.gev_weights(*both, one_hot(0, 4))[0].numpy()
    for f in range(3):
        s, n = both[0][0, f].numpy(), spatial.loaded(both[1])[0, f].numpy()
        _, vectors = scipy.linalg.eigh(s, n)
        best = vectors[:, -1]
        cosine = abs(best.conj() @ found[f]) / np.linalg.norm(best) / np.linalg.norm(found[f])
        assert cosine > 1 - 1e-4
        gain = np.sqrt(found[f].conj() @ n @ n @ found[f] / 4) / (found[f].conj() @ n @ found[f])
        assert np.isclose(abs(gain), 1.0, rtol=1e-3)  # normalised already: blind analytic, once


def test_both_beamformers_raise_the_ratio_of_speech_to_noise():
    speech, noise = scene(channels=6, frames=200, seed=7)
    pair = covariance_of(speech), covariance_of(noise)
    before = (np.abs(speech[0]) ** 2).mean() / (np.abs(noise[0]) ** 2).mean()
    for weights in (spatial.mvdr_weights, spatial.gev_weights):
        filters = weights(*pair, one_hot(0, 6))
        parts = [
            spatial.filtered(torch.from_numpy(x)[None], filters).abs().square().mean()
            for x in (speech, noise)
        ]
        assert parts[0] / parts[1] > 4 * before


@pytest.mark.parametrize("weights", [spatial.mvdr_weights, spatial.gev_weights])
@pytest.mark.parametrize("kind", ["silence", "one microphone dead", "no noise", "rank one"])
def test_nothing_explodes(weights, kind: str):
    speech, noise = (torch.from_numpy(x)[None].clone() for x in scene())
    if kind == "silence":
        speech, noise = speech * 0, noise * 0
    elif kind == "one microphone dead":
        speech[:, 1] = noise[:, 1] = 0
    elif kind == "no noise":
        noise = noise * 0
    else:
        noise = speech * 0.5
    mixture = (speech + noise).requires_grad_()
    mask = torch.full((1, 3, mixture.shape[-1]), 0.5)
    pair = spatial.covariances(mixture, mask), spatial.covariances(noise, 1 - mask)
    reference = spatial.best_reference(*pair)
    made = spatial.filtered(mixture, weights(*pair, reference))
    made.abs().square().sum().backward()
    assert torch.isfinite(made.abs()).all() and torch.isfinite(mixture.grad.abs()).all()
    assert made.abs().max() < 1e3


@pytest.mark.parametrize("weights", [spatial.mvdr_weights, spatial.gev_weights])
def test_gradients_are_right(weights):
    """From the masks to the sound, by finite differences."""
    spectra = torch.from_numpy(draw(1, 3, 2, 9))
    masks = torch.rand(2, 1, 2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def sound(speech_mask, noise_mask, sharpness):
        pair = spatial.covariances(spectra, speech_mask), spatial.covariances(spectra, noise_mask)
        made = spatial.filtered(spectra, weights(*pair, spatial.best_reference(*pair, sharpness)))
        return torch.view_as_real(made)

    given_masks = [m.clone().requires_grad_() for m in masks]
    sharpness = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sound, (*given_masks, sharpness), atol=1e-5, rtol=1e-3)


def test_the_reference_is_the_clearest_microphone():
    speech, noise = scene(seed=11)
    noise = noise * np.array([1.0, 1.0, 0.05, 1.0])[:, None, None]
    found = spatial.best_reference(covariance_of(speech), covariance_of(noise), 2.0)
    assert found.argmax() == 2 and torch.isclose(found.sum(), torch.tensor(1.0).double())
    alike = spatial.best_reference(covariance_of(speech), covariance_of(noise), 0.0)
    assert torch.allclose(alike, torch.full((1, 4), 0.25).double())


# -- weighted prediction error ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("taps", "delay", "iterations"), [(5, 3, 2), (3, 2, 1), (4, 3, 3)])
def test_wpe_is_nara_wpes(taps: int, delay: int, iterations: int):
    nara = pytest.importorskip("nara_wpe.wpe")
    y = draw(3, 5, 80)
    expected = nara.wpe(
        y.transpose(1, 0, 2), taps, delay, iterations, statistics_mode="full"
    ).transpose(1, 0, 2)
    whole = torch.ones(1, 80, dtype=torch.bool)
    found = wpe(torch.from_numpy(y)[None], whole, taps, delay, iterations)[0]
    assert np.allclose(found, expected, atol=1e-6)
    assert not np.allclose(found, y, atol=0.1)


def test_wpe_of_an_utterance_is_the_same_in_a_batch():
    y = torch.from_numpy(draw(2, 3, 5, 90))
    y[1, ..., 60:] = 0
    speech = torch.arange(90) < torch.tensor([[90], [60]])
    together = wpe(y, speech)
    alone = wpe(y[1:, ..., :60], speech[1:, :60])
    assert torch.allclose(together[1, ..., :60], alone[0]) and not together[1, ..., 60:].any()


def test_wpe_takes_reverberation_off():
    """What comes again every four frames, ever softer, is predicted and taken away; silence stays silence."""
    loud = np.exp(np.random.default_rng(0).normal(size=(1, 4, 300)))
    dry = draw(2, 4, 300, seed=4) * 0.1 + draw(1, 4, 300) * loud
    wet = dry.copy()
    for frame in range(4, 300):
        wet[..., frame] += 0.7 * wet[..., frame - 4]
    found = wpe(torch.from_numpy(wet)[None], torch.ones(1, 300, dtype=torch.bool), 4, 3, 3)[0]
    error = [np.square(np.abs(x - dry)).mean() for x in (wet, found.numpy())]
    assert error[1] < 0.2 * error[0]
    silent = wpe(
        torch.zeros(1, 2, 3, 20, dtype=torch.complex64), torch.ones(1, 20, dtype=torch.bool)
    )
    assert not silent.any()


def test_gradients_of_wpe_are_right():
    spectra = torch.from_numpy(draw(1, 2, 2, 12)).requires_grad_()
    whole = torch.ones(1, 12, dtype=torch.bool)
    assert torch.autograd.gradcheck(
        lambda x: torch.view_as_real(wpe(x, whole, 1, 2, 1)), (spectra,), atol=1e-4, rtol=1e-2
    )
