"""The beamformer against mixtures whose parts are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.beamform import beamform, beamform_files, choose_microphones
from espnet_ext.errors import UserError

RATE = 16000


def ratio(estimate: np.ndarray, speech: np.ndarray) -> float:
    """Scale-invariant signal to distortion ratio in dB."""
    part = speech * (estimate @ speech) / (speech @ speech)
    return float(10 * np.log10((part @ part) / np.sum((estimate - part) ** 2)))


def scene(failed: int | None = None, snr: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Noise bursts as speech with pauses, delayed by 0 to 8 samples to 5 microphones, in noise.

    Returns:
        the mixture and the speech in it, (5, 48000) both.
    """
    random = np.random.default_rng(3)
    count = 3 * RATE
    envelope = np.repeat(random.random(30) > 0.4, count // 30) * 1.0
    source = np.convolve(random.normal(size=count + 8), [1, 0.9, 0.5, 0.2], "same")
    speech = np.stack([source[d : d + count] * envelope for d in (0, 2, 4, 6, 8)])
    steady = random.normal(
        size=count + 8
    )  # one noise source from the other side, and a little hiss
    noise = np.stack([steady[d : d + count] for d in (8, 5, 3, 2, 0)])
    noise = noise + 0.1 * random.normal(size=noise.shape)
    mixture = speech + noise * np.sqrt((speech**2).sum() / (noise**2).sum() / 10 ** (snr / 10))
    if failed is not None:
        mixture[failed] = 20 * random.normal(size=count)
    return 0.05 * mixture, 0.05 * speech


@pytest.mark.parametrize("snr", [0.0, 10.0])
def test_speech_is_clearer_than_at_any_microphone(snr: float):
    mixture, speech = scene(snr=snr)
    made = beamform(mixture)
    best = max(max(ratio(x, s) for x in mixture) for s in speech)
    assert max(ratio(made, s) for s in speech) > best + 6
    assert made.shape == (3 * RATE,) and made.dtype == np.float32


def test_a_failed_microphone_is_left_out():
    import torch

    mixture, speech = scene(failed=2)
    working, reference = choose_microphones(torch.from_numpy(mixture).float())
    assert working == [0, 1, 3, 4] and reference != 2
    assert max(ratio(beamform(mixture), s) for s in speech) > 6


def test_one_microphone_stays_as_it_is():
    mixture, _ = scene()
    assert np.array_equal(beamform(mixture[:1]), mixture[0].astype("float32"))


def test_silence_gives_silence():
    assert np.abs(beamform(np.zeros((4, RATE)))).max() < 1e-6


def test_files_are_made_once(tmp_path: Path):
    mixture, _ = scene()
    paths = [str(tmp_path / f"{index}.wav") for index in range(2)]
    for path, samples in zip(paths, mixture, strict=False):
        soundfile.write(path, samples, RATE)
    target = tmp_path / "out/a.wav"
    beamform_files([(target, paths)], "beamform", 1)
    made = target.stat().st_mtime_ns
    beamform_files([(target, paths)], "beamform", 1)
    assert target.stat().st_mtime_ns == made and soundfile.info(target).frames == 3 * RATE
    soundfile.write(paths[1], mixture[1][:RATE], RATE)
    with pytest.raises(UserError, match="expected the same of all microphones"):
        beamform_files([(tmp_path / "b.wav", paths)], "beamform", 1)


def test_real_speech_in_real_noise(realdata: Path):
    """Recorded speech and noise at four microphones, mixed here at 0 dB."""
    folder = realdata / "multichannel"
    speech, noise = (
        soundfile.read(next(folder.glob(pattern)))[0][: 6 * RATE].T
        for pattern in ("sb_speech_-0.98*.flac", "sb_noise_diffuse.flac")
    )
    mixture = speech + noise * np.sqrt((speech**2).sum() / (noise**2).sum())
    gain = ratio(beamform(mixture), speech[0]) - ratio(mixture[0], speech[0])
    assert gain > 6
