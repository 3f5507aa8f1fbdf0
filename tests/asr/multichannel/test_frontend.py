"""The front end as a recogniser uses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from espnet_ext.asr.multichannel.channels import OneChannel
from espnet_ext.asr.multichannel.frontend import BeamformingFrontend
from espnet_ext.asr.multichannel.masks import MaskEstimator, ideal_masks, log_level
from espnet_ext.asr.multichannel.pretrain import FRONTEND, Pretraining, learn, mask_loss
from espnet_ext.bridge.choices import find_class
from espnet_ext.errors import UserError

SMALL = {"n_fft": 128, "hop_length": 64, "n_mels": 10, "window": 128, "hop": 64, "mask_width": 6}


def front_end(**conf: object) -> BeamformingFrontend:
    torch.manual_seed(0)
    return BeamformingFrontend(**{**SMALL, **conf})


def batch(channels: int = 3, longest: int = 2500) -> tuple[torch.Tensor, torch.Tensor]:
    """Two utterances of noise, the second one shorter and followed by zeros."""
    lengths = torch.tensor([longest, longest - 700])
    samples = 0.1 * torch.randn(2, longest, channels, generator=torch.Generator().manual_seed(1))
    samples[1, longest - 700 :] = 0
    return samples, lengths


@pytest.mark.parametrize(
    "conf",
    [
        {},
        {"beamformer": "gev"},
        {"wpe_taps": 2},
        {"reference": 1},
        {"mask_channels": 1},
    ],
    ids=str,
)
def test_every_part_learns(conf: dict[str, object]):
    frontend = front_end(**conf).train()
    feats, lengths = frontend(*batch())
    assert feats.shape == (2, 40, 10) and lengths.tolist() == [40, 29]
    feats.square().sum().backward()
    grads = [p.grad for p in frontend.parameters()]
    assert all(g is not None and torch.isfinite(g).all() and g.abs().max() > 0 for g in grads)


@pytest.mark.parametrize("conf", [{}, {"beamformer": "gev"}, {"wpe_taps": 2}], ids=str)
def test_an_utterance_sounds_the_same_alone_and_in_a_batch(conf: dict[str, object]):
    frontend = front_end(**conf).eval()
    samples, lengths = batch()
    with torch.no_grad():
        together = frontend.beamformed(samples, lengths)
        alone = frontend.beamformed(samples[1:, :1800], lengths[1:])
    assert torch.allclose(together[1, :1800], alone[0], atol=1e-5)
    assert not together[1, 1800:].any()


def test_the_order_of_microphones_does_not_matter():
    frontend, (samples, lengths) = front_end().eval(), batch()
    with torch.no_grad():
        found = [frontend.beamformed(s, lengths) for s in (samples, samples.flip(2))]
    assert torch.allclose(*found, atol=1e-5)


def test_one_channel_has_stock_espnets_features():
    stock = find_class("asr", "frontend", "default")(n_fft=128, hop_length=64, n_mels=10)
    samples, lengths = batch(1)
    wanted = stock(samples[..., 0], lengths)[0]
    for given in (samples, samples[..., 0]):
        assert torch.equal(front_end()(given, lengths)[0], wanted)


def test_a_batch_that_passes_by_is_one_microphone_of_each():
    frontend, (samples, lengths) = front_end(bypass=0.99).train(), batch()
    heard = frontend.one_channel(samples, lengths)
    for row, utterance in zip(heard, samples, strict=True):
        assert any(torch.equal(row, utterance[:, c]) for c in range(3))
    assert not torch.equal(frontend.eval().one_channel(samples, lengths), heard)


@pytest.mark.parametrize(
    ("conf", "said"),
    [({"beamformer": "music"}, "music"), ({"hop": 100}, "hop 100"), ({"bypass": 1.0}, "bypass")],
)
def test_what_there_is_not(conf: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        front_end(**conf)


def test_a_reference_that_is_not_there():
    with pytest.raises(ValueError, match="found 3 channels, expected more than reference 5"):
        front_end(reference=5)(*batch())


# -- masks ----------------------------------------------------------------------------------------------------------


def test_masks_do_not_hear_how_loud_a_microphone_is():
    masks, lengths = MaskEstimator(5, 4), torch.tensor([20, 12])
    spectra = torch.randn(2, 3, 5, 20, dtype=torch.complex64)
    gains = torch.tensor([0.1, 1.0, 10.0])[:, None, None]
    found = [masks(x, lengths)[0] for x in (spectra, spectra * gains)]
    assert torch.allclose(*found, atol=1e-4)
    assert not found[0][1, :, 12:].any() and found[0][0].min() > 0 and found[0].max() < 1
    assert torch.allclose(log_level(spectra, lengths)[0].mean(-1), torch.zeros(3, 5), atol=1e-5)


def test_ideal_masks_are_shares_of_the_power():
    speech, noise = torch.randn(2, 1, 2, 3, 4, dtype=torch.complex64)
    share = ideal_masks(speech, noise)
    assert share.shape == (2, 6, 4)
    assert torch.allclose(share[:, :3] + share[:, 3:], torch.ones(2, 3, 4))
    powers = speech[0, 1].abs() ** 2, noise[0, 1].abs() ** 2
    assert torch.allclose(share[1, :3], powers[0] / (powers[0] + powers[1]))


def test_masks_learn_to_tell_tones_from_hiss():
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(4):
        times = np.arange(1000)[:, None]
        tone = np.sin(0.3 * times) * (random.random((4, 1)).repeat(250, 0) > 0.3)
        both = np.stack([tone.repeat(2, 1), 0.3 * random.standard_normal((1000, 2))])
        pairs.append(torch.from_numpy(both.astype(np.float32)))
    window = torch.hann_window(64)
    torch.manual_seed(0)
    masks = MaskEstimator(33, 8)
    losses = learn(masks, window, 32, pairs, Pretraining(updates=40, batch=3, lr=0.03))
    assert losses[-1] < 0.6 * losses[0]
    assert mask_loss(masks, window, 32, pairs[:2]).item() < 0.5


# -- training on one microphone -------------------------------------------------------------------------------------


def test_one_microphone_by_lot():
    speech = np.arange(6, dtype=np.float32)[None].repeat(50, 0)
    one = OneChannel(True, channels=[0, 2, 5])
    heard = {float(one("a", {"speech": speech})["speech"][0]) for _ in range(60)}
    assert heard == {0.0, 2.0, 5.0}
    valid = OneChannel(False, channels=[4, 2])
    assert {float(valid("a", {"speech": speech})["speech"][0]) for _ in range(9)} == {4.0}
    mono = OneChannel(True)("a", {"speech": speech[:, 3]})["speech"]
    assert np.array_equal(mono, speech[:, 3])


def test_channels_that_are_not_there():
    with pytest.raises(UserError, match="utterance a: found 6 channels, expected channel 7"):
        OneChannel(True, channels=[7])("a", {"speech": np.zeros((9, 6), np.float32)})
    with pytest.raises(UserError, match="expected a list such as"):
        OneChannel(True, channels=[])


def test_the_same_microphones_after_a_resume(tmp_path: Path):
    import soundfile

    from espnet_ext.train.data import Utterances

    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(size=(400, 6)) * 0.1, 8000)
    ids = [f"u{i}" for i in range(12)]

    def heard(epoch: int) -> list[np.ndarray]:
        tokens = [np.ones(1, np.int64)] * 12
        data = Utterances(ids, tokens, dict.fromkeys(ids, str(path)), preprocessor=OneChannel(True))
        data.seed = (0, epoch)
        return [data[i][1]["speech"] for i in range(12)]

    first, again, other = heard(1), heard(1), heard(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


# -- in a recogniser ------------------------------------------------------------------------------------------------


def test_a_recogniser_of_six_microphones(tiny, tmp_path: Path):
    """Trained for an epoch on six channels, it decodes six and one; stock ESPnet's model class holds it."""
    import soundfile

    from espnet_ext.datadir.edit import read_all, write_all
    from espnet_ext.inference.speech2text import Speech2Text
    from espnet_ext.train.run import train_model

    folders = {}
    for name, data in (("train", tiny.train), ("valid", tiny.valid)):
        tables = read_all(data)
        for utt, path in tables["wav.scp"].items():
            wave, rate = soundfile.read(path)
            many = np.stack([np.roll(wave, c) for c in range(6)], 1)
            tables["wav.scp"][utt] = str(tmp_path / f"{utt}.wav")
            soundfile.write(tmp_path / f"{utt}.wav", many, rate)
        write_all(tmp_path / name, tables)
        folders[name] = [tmp_path / name]
    conf = {"fs": 8000, "n_fft": 256, "hop_length": 80, "n_mels": 20, "window": 256, "hop": 128}
    changes = {"frontend": FRONTEND, "frontend_conf": {**conf, "mask_width": 8}, "max_epoch": 1}
    changes |= {"normalize": "utterance_mvn", "num_att_plot": 0}
    train_model("asr", tiny.places("asr", tmp_path / "exp", changes, **folders), "cpu")
    recogniser = Speech2Text.from_dir(tmp_path / "exp")
    wave, _ = soundfile.read(tmp_path / "valid-00.wav")
    assert np.isfinite(recogniser(wave.astype(np.float32), 8000)[0].score)
    heard = []
    recogniser.model.frontend.features.register_forward_hook(
        lambda _, given, __: heard.append(given[0])
    )
    for channels in (wave, wave[:, 0], wave.mean(1)):
        recogniser(channels.astype(np.float32), 8000)
    assert all(x.shape == (1, len(wave)) for x in heard)
    assert torch.allclose(heard[1][0], torch.from_numpy(wave[:, 0]).float())
    assert not any(torch.allclose(heard[0], x, atol=1e-3) for x in heard[1:])
