"""Waveforms from spectrograms."""

import shutil
import subprocess

import numpy as np
import pytest
import torch

from espnet_ext.inference.griffin_lim import GriffinLim

N_FFT, HOP, RATE = 512, 128, 16000


def vocoder(**changes):
    import librosa

    mel = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=80).T)
    return mel, GriffinLim(mel, N_FFT, HOP, **changes)


@pytest.fixture(scope="module")
def wave(tmp_path_factory):
    """A spoken sentence, 16 kHz; harmonics with a moving pitch where espeak-ng is not installed."""
    import librosa

    if shutil.which("espeak-ng") is None:
        time = np.arange(2 * RATE) / RATE
        phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(3 * time)) / RATE
        return sum(np.sin(k * phase) / k for k in range(1, 20)).astype(np.float32) * 0.1
    path = tmp_path_factory.mktemp("espeak") / "a.wav"
    subprocess.run(
        ["espeak-ng", "-w", str(path), "the quick brown fox jumps over the lazy dog"], check=True
    )
    return librosa.load(path, sr=RATE)[0]


def analyse(samples):
    window = torch.hann_window(N_FFT)
    return torch.stft(
        torch.as_tensor(samples), N_FFT, HOP, N_FFT, window, return_complex=True
    ).abs()


def convergence(magnitude, samples):
    """|| |STFT(x)| - S || / || S ||."""
    found = analyse(samples)
    frames = min(found.shape[1], magnitude.shape[1])
    return float((found[:, :frames] - magnitude[:, :frames]).norm() / magnitude[:, :frames].norm())


def test_the_spectrogram_comes_back(wave):
    mel, engine = vocoder(iterations=60)
    log_mel = (analyse(wave).T @ mel).clamp(min=1e-10).log10()
    found = engine(log_mel)
    assert len(found) == (len(log_mel) - 1) * HOP and torch.isfinite(found).all()
    assert convergence(engine.magnitude(log_mel), found) < 0.2
    again = (analyse(found).T @ mel).clamp(min=1e-10).log10()
    loud = log_mel > log_mel.max() - 2
    assert float((again - log_mel)[loud].abs().mean()) < 0.1


def test_more_iterations_come_closer(wave):
    mel, _ = vocoder()
    log_mel = (analyse(wave).T @ mel).clamp(min=1e-10).log10()
    errors = []
    for iterations in (0, 4, 60):
        engine = vocoder(iterations=iterations)[1]
        errors.append(convergence(engine.magnitude(log_mel), engine(log_mel)))
    assert errors[0] > errors[1] > errors[2]


def test_not_worse_than_librosa(wave):
    import librosa

    mel, engine = vocoder(iterations=32)
    log_mel = (analyse(wave).T @ mel).clamp(min=1e-10).log10()
    magnitude = engine.magnitude(log_mel)
    peer = librosa.griffinlim(
        magnitude.numpy(), n_iter=32, hop_length=HOP, n_fft=N_FFT, random_state=0
    )
    assert convergence(magnitude, engine(log_mel)) < 1.1 * convergence(magnitude, peer)


def test_the_same_every_time_whatever_the_seed(wave):
    mel, engine = vocoder(iterations=3)
    log_mel = (analyse(wave).T @ mel).clamp(min=1e-10).log10()
    torch.manual_seed(1)
    one, state = engine(log_mel), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(engine(log_mel), one)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6])
def test_a_few_frames(frames):
    found = vocoder(iterations=2)[1](torch.zeros(frames, 80))
    assert found.shape == ((frames - 1) * HOP,) and torch.isfinite(found).all()


def test_other_logarithms_and_windows(wave):
    mel, ten = vocoder()
    power = (analyse(wave).T @ mel).clamp(min=1e-10)
    natural = vocoder(log_base=None)[1]
    assert torch.allclose(
        ten.magnitude(power.log10()), natural.magnitude(power.log()), rtol=1e-3, atol=1e-5
    )
    assert torch.equal(vocoder(window="hamming")[1].window, torch.hamming_window(N_FFT))
