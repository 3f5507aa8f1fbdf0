"""Discriminators and losses: ESPnet's verdicts for ESPnet's weights, and figures that can be worked out by hand."""

import pytest
import torch

from espnet_ext.audio.features import Features
from espnet_ext.errors import UserError
from espnet_ext.vocoder.discriminators import Discriminators, MultiPeriod, MultiScale
from espnet_ext.vocoder.losses import (
    SpectrumLoss,
    check_kind,
    discriminator_loss,
    feature_loss,
    generator_loss,
)
from espnet_ext.vocoder.model import Losses, WaveLosses


def same_layers(ours, theirs, wave):
    """Whether both see the same in every layer."""
    with torch.no_grad():
        found, expected = ours(wave), theirs(wave)
    assert len(found) == len(expected)
    for mine, other in zip(found, expected, strict=True):
        assert len(mine) == len(other)
        for a, b in zip(mine, other, strict=True):
            assert torch.allclose(a.flatten(), b.flatten(), atol=1e-6)


def test_periods_are_espnets():
    module = pytest.importorskip("espnet2.gan_tts.hifigan.hifigan")
    torch.manual_seed(0)
    params = {"channels": 4, "max_downsample_channels": 16}
    theirs = module.HiFiGANMultiPeriodDiscriminator(periods=[2, 3], discriminator_params=params)
    ours = MultiPeriod((2, 3), 4, 16)
    ours.load_state_dict(theirs.state_dict())
    same_layers(ours, theirs, torch.randn(2, 1, 601))


def test_scales_are_espnets_with_spectral_normalisation_on_the_first():
    module = pytest.importorskip("espnet2.gan_tts.hifigan.hifigan")
    torch.manual_seed(0)
    params = {
        "kernel_sizes": [15, 41, 5, 3],
        "channels": 16,
        "max_downsample_channels": 32,
        "downsample_scales": [2, 2, 4, 4, 1],
    }
    theirs = module.HiFiGANMultiScaleDiscriminator(
        scales=2, discriminator_params=params, follow_official_norm=True
    ).eval()
    ours = MultiScale(2, 16, 32).eval()
    ours.load_state_dict(theirs.state_dict())
    assert "discriminators.0.layers.0.0.weight_u" in ours.state_dict()
    same_layers(ours, theirs, torch.randn(2, 1, 900))


def test_all_kinds_together_and_their_gradients():
    torch.manual_seed(0)
    sizes = {
        "mpd": {"channels": 2, "largest": 4},
        "msd": {"scales": 2, "channels": 16, "largest": 16},
    }
    judge = Discriminators({**sizes, "mrd": {"channels": 2, "resolutions": [[64, 16], [128, 32]]}})
    wave = torch.randn(2, 1, 1000, requires_grad=True)
    judged = judge(wave)
    assert len(judged) == 5 + 2 + 2
    generator_loss(judged).backward()
    assert wave.grad.abs().sum() > 0
    assert all(p.grad is not None for p in judge.parameters())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_spectral_normalisation_everywhere(precision):
    """All weights have it where it is asked for: the largest singular value becomes 1 within some updates."""
    torch.manual_seed(0)
    sizes = {
        "mpd": {"periods": [2], "channels": 4, "largest": 8},
        "msd": {"scales": 2, "channels": 16, "largest": 16},
        "mrd": {"channels": 4, "resolutions": [[64, 16]]},
    }
    judge = Discriminators({kind: {**own, "spectral": True} for kind, own in sizes.items()}).train()
    convs = [m for m in judge.modules() if isinstance(m, (torch.nn.Conv1d, torch.nn.Conv2d))]
    for update in range(100):
        judge.begin_update(update)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        judged = judge(torch.randn(2, 1, 1000))
    generator_loss(judged).backward()
    for conv in convs:
        assert conv.weight_orig.grad is not None and conv.weight_orig.grad.isfinite().all()
        largest = torch.linalg.matrix_norm(conv.weight.detach().flatten(1).float(), 2)
        assert float(largest) == pytest.approx(1, rel=0.05)


def test_losses_by_hand():
    real = [[torch.tensor([1.0, 3.0]), torch.tensor([0.5])]]
    fake = [[torch.tensor([0.0, 1.0]), torch.tensor([-0.5])]]
    assert generator_loss(fake) == pytest.approx(1.5**2)
    assert generator_loss(fake, "hinge") == pytest.approx(0.5)
    assert [float(x) for x in discriminator_loss(real, fake)] == pytest.approx([0.25, 0.25])
    assert [float(x) for x in discriminator_loss(real, fake, "hinge")] == pytest.approx([0.5, 0.5])
    assert feature_loss(real, fake) == pytest.approx(1.5)
    with pytest.raises(UserError, match="mse or hinge"):
        check_kind("wgan")


def test_losses_are_espnets():
    """Of least squares and hinge, the features of all layers, and the mel spectrogram over all frequencies."""
    stock = pytest.importorskip("espnet2.gan_tts.hifigan.loss")
    torch.manual_seed(0)
    real, fake = (
        [[torch.randn(2, 3, 5), torch.randn(2, 7), torch.randn(2, 4)] for _ in range(3)]
        for _ in range(2)
    )
    for kind in ("mse", "hinge"):
        params = {"average_by_discriminators": False, "loss_type": kind}
        assert generator_loss(fake, kind) == pytest.approx(
            float(stock.GeneratorAdversarialLoss(**params)(fake))
        )
        expected = stock.DiscriminatorAdversarialLoss(**params)(fake, real)
        assert [float(x) for x in discriminator_loss(real, fake, kind)] == pytest.approx(
            [float(x) for x in expected]
        )
    params = {"average_by_layers": False, "average_by_discriminators": False}
    expected = stock.FeatureMatchLoss(include_final_outputs=False, **params)(fake, real)
    assert feature_loss(real, fake) == pytest.approx(float(expected))
    sizes = {"fs": 8000, "n_fft": 256, "hop_length": 80, "n_mels": 20}
    pays = WaveLosses(Features(**sizes), Losses())
    wave, made = 0.1 * torch.randn(2, 2, 1, 1600)
    theirs = stock.MelSpectrogramLoss(**sizes, win_length=256, fmin=0, fmax=4000, log_base=None)
    _, terms = pays.generator(made, wave, None)
    assert float(terms["mel"]) == pytest.approx(float(theirs(made, wave)), rel=1e-4)


def test_spectra_of_the_same_speech_cost_nothing_and_a_gain_what_it_must():
    loss = SpectrumLoss([(256, 64, 200), (128, 32, 100)])
    wave = torch.randn(2, 2000, generator=torch.Generator().manual_seed(0))
    assert loss(wave, wave) == 0
    # half the amplitude: spectral convergence 0.5, log amplitude ln 2
    assert loss(0.5 * wave, wave) == pytest.approx(0.5 + 0.6931, abs=1e-3)


@pytest.mark.parametrize(
    ("wanted", "words"), [({"mbd": {}}, "mpd, msd, mrd"), ({"mpd": {"chanels": 1}}, "chanels")]
)
def test_unknown_kinds_and_options_are_said(wanted, words):
    with pytest.raises(UserError, match=words):
        Discriminators(wanted)
