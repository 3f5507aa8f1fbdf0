"""Stretches: the samples and frames of the whole utterance, drawn from (seed, epoch, utterance) alone."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.audio.features import Features, extract
from espnet_ext.errors import UserError
from espnet_ext.vocoder.data import read_segments
from espnet_ext.vocoder.mel import LogMel

FRONT = Features(fs=8000, n_fft=256, hop_length=64, n_mels=20, power=1, log_base=10, fmin=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three utterances of noise, one of them shorter than a stretch."""
    import kaldiio

    made = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    tables = {"wav.scp": "", "utt2dur": ""}
    mels = {}
    for utt, samples in (("a", 5000), ("b", 3217), ("c", 700)):
        wave = 0.1 * random.standard_normal(samples).astype(np.float32)
        soundfile.write(made / f"{utt}.wav", wave, 8000, subtype="FLOAT")
        tables["wav.scp"] += f"{utt} {made}/{utt}.wav\n"
        tables["utt2dur"] += f"{utt} {samples / 8000}\n"
        mels[utt] = extract([wave], FRONT)[0]
    for name, text in tables.items():
        (made / name).write_text(text)
    kaldiio.save_ark(str(made / "mels.ark"), mels, scp=str(made / "mels.scp"))
    return made


def test_a_stretch_has_the_frames_of_its_utterance(folder):
    """The whole utterance's own frames, so that a synthesiser's spectrograms fit; given ones are cut alike."""
    data = read_segments(folder, FRONT, frames=16, each=8, mels=True)
    layer, seen = LogMel(FRONT), set()
    for index in range(16):  # eight of a, eight of b
        name, item = data[index]
        utt = name[0]
        wave, _ = soundfile.read(folder / f"{utt}.wav", dtype="float32")
        found = layer(torch.from_numpy(item["speech"])[None])[0, :, :16].T.numpy()
        whole = extract([wave], FRONT)[0]
        (first,) = [
            i for i in range(len(whole) - 15) if np.allclose(whole[i : i + 16], found, atol=1e-3)
        ]
        assert np.array_equal(item["mel"], whole[first : first + 16])
        target = item["speech"][128:-128]
        assert np.array_equal(target, wave[first * 64 : first * 64 + 16 * 64])
        seen.add((utt, first))
    assert len(seen) > 10  # not the same place again and again


def test_what_is_drawn_follows_from_seed_epoch_and_utterance(folder):
    data, again = (read_segments(folder, FRONT, frames=16) for _ in range(2))
    data.seed = again.seed = (3, 5)
    assert np.array_equal(data[0][1]["speech"], again[0][1]["speech"])
    different = []
    for seed in ((3, 6), (4, 5), (7, 8)):
        again.seed = seed
        different.append(not np.array_equal(data[0][1]["speech"], again[0][1]["speech"]))
    assert any(different)


def test_an_utterance_that_is_too_short_ends_in_silence(folder):
    data = read_segments(folder, FRONT, frames=16, mels=True)
    _, item = data[2]
    wave, _ = soundfile.read(folder / "c.wav", dtype="float32")
    assert item["speech"].shape == (256 + 16 * 64,) and item["mel"].shape == (16, 20)
    target = item["speech"][128:-128]
    assert np.array_equal(target[:700], wave) and not target[700:].any()


def test_problems_are_said(folder, tmp_path):
    with pytest.raises(UserError, match="segment_frames: found 2"):
        read_segments(folder, FRONT, frames=2)
    with pytest.raises(UserError, match="found audio at 8000 Hz, expected 16000"):
        read_segments(folder, Features(fs=16000), frames=16)[0]
    for name, text in (("wav.scp", "a x.wav\nb y.wav\n"), ("utt2dur", "a 1\n")):
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match="utt2dur lacks utterance b"):
        read_segments(tmp_path, FRONT, frames=16)


@pytest.mark.parametrize(
    "front",
    [
        FRONT,
        Features(fs=8000, n_fft=256, win_length=200, window="hamming", hop_length=80, htk=True),
    ],
)
def test_the_layer_is_the_front_end(front):
    wave = 0.1 * np.random.default_rng(1).standard_normal(3000).astype(np.float32)
    found = LogMel(front).centred(torch.from_numpy(wave)[None])[0].T.numpy()
    assert np.allclose(found, extract([wave], front)[0], atol=2e-4)


def test_the_layer_is_espnets():
    module = pytest.importorskip("espnet2.tts.feats_extract.log_mel_fbank")
    theirs = module.LogMelFbank(
        fs=8000, n_fft=256, hop_length=64, win_length=256, fmin=60, fmax=4000, n_mels=20
    )
    wave = 0.1 * torch.randn(1, 3000, generator=torch.Generator().manual_seed(0))
    expected, _ = theirs(wave, torch.tensor([3000]))
    assert torch.allclose(LogMel(FRONT).centred(wave)[0].T, expected[0], atol=1e-3)
