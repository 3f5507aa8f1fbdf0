"""Generators: the public layout gives the public waveform; shapes; what does not fit is said."""

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.vocoder.harmonic import HarmonicVocos
from espnet_ext.vocoder.hifigan import VERSIONS, HiFiGAN, ISTFTNet
from espnet_ext.vocoder.norm import remove_weight_norm
from espnet_ext.vocoder.vocos import Vocos

SMALL = {"channels": 32}


def stock(**given):
    """ESPnet's own generator."""
    module = pytest.importorskip("espnet2.gan_tts.hifigan.hifigan")
    return module.HiFiGANGenerator(**given).eval()


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_espnets_weights_give_espnets_waveform(version):
    torch.manual_seed(0)
    sizes = {**VERSIONS[version], **SMALL}
    theirs = stock(in_channels=20, **sizes)
    ours = HiFiGAN(20, version=version, **SMALL).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for parameter in theirs.parameters():  # so that the waveform is not next to nothing
        parameter.data.normal_(0.0, 0.3)
    ours.load_state_dict(theirs.state_dict())
    mel = torch.randn(2, 20, 9)
    with torch.no_grad():
        expected, found = theirs(mel), ours(mel)
        assert expected.abs().mean() > 1e-3 and torch.equal(found, expected)
        remove_weight_norm(ours)
        assert torch.allclose(ours(mel), expected, atol=1e-5)
    assert not any(name.endswith(("weight_g", "weight_v")) for name in ours.state_dict())


def test_a_speakers_vector_is_espnets_too():
    torch.manual_seed(0)
    given = {"channels": 16, "upsample_scales": [5, 2], "upsample_kernel_sizes": [10, 4]}
    theirs = stock(in_channels=8, global_channels=3, **given)
    ours = HiFiGAN(8, 10, global_channels=3, **given).eval()
    ours.load_state_dict(theirs.state_dict())
    mel, speaker = torch.randn(2, 8, 5), torch.randn(2, 3, 1)
    with torch.no_grad():
        assert torch.equal(ours(mel, speaker), theirs(mel, speaker))
        assert not torch.equal(ours(mel, speaker), ours(mel))


@pytest.mark.parametrize("hop", [256, 300, 512])
def test_a_frame_is_a_hop(hop):
    scales = {256: (8, 8, 2, 2), 300: (5, 5, 4, 3), 512: (8, 8, 2, 2, 2)}[hop]
    made = [
        HiFiGAN(20, hop, upsample_scales=scales, channels=32),
        Vocos(20, hop, n_fft=4 * hop, width=16, inner=32, blocks=1),
    ]
    if hop == 256:
        made.append(ISTFTNet(20, hop, channels=32))
    for generator in made:
        assert generator(torch.randn(2, 20, 7)).shape == (2, 1, 7 * hop)


@pytest.mark.parametrize("n_fft", [32, 64])
def test_the_inverse_transform_gives_back_what_was_transformed(n_fft):
    from espnet_ext.vocoder.istft import InverseSTFT

    wave = torch.randn(2, 16 * 12)
    spectrum = torch.stft(wave, n_fft, 16, window=torch.hann_window(n_fft), return_complex=True)
    spectrum = spectrum[..., :12]
    found = InverseSTFT(n_fft, 16)(spectrum.abs().log(), spectrum.angle())
    # torch's own inverse; behind the last frame's centre both have less to go by
    expected = torch.istft(spectrum, n_fft, 16, window=torch.hann_window(n_fft))
    assert found.shape == wave.shape
    assert torch.allclose(found[:, : expected.shape[1]], expected, atol=1e-4)
    inner = 16 * 12 - n_fft // 2
    assert torch.allclose(found[:, :inner], wave[:, :inner], atol=1e-4)


def test_phases_of_harmonics_are_those_of_a_spectrum():
    """A buzz of 200 Hz whose harmonics begin with phase 0, against its Fourier transform at their bins."""
    generator = HarmonicVocos(8, 128, rate=16000, n_fft=512, width=8, inner=8, blocks=1)
    time = torch.arange(16000) / 16000
    buzz = sum(torch.cos(2 * torch.pi * 200 * k * time) for k in range(1, 20))
    spectrum = torch.stft(buzz, 512, 128, window=torch.hann_window(512), return_complex=True)
    found = generator.phases(torch.full((1, spectrum.shape[1]), 200.0))[0]
    bins = torch.round(torch.arange(1, 15) * 200 / 16000 * 512).long()
    difference = torch.polar(torch.ones_like(found), found) * spectrum.conj()
    inner = difference[bins, 4:-4]
    assert inner.angle().abs().max() < 0.1


def test_voiced_frames_have_the_pitch_that_is_given():
    generator = HarmonicVocos(8, 128, rate=16000, n_fft=512, width=8, inner=8, blocks=1).eval()
    mel = torch.zeros(1, 8, 60)
    with torch.inference_mode():
        for layer in (generator.out,):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.bias[-257:] = -20.0  # no noise
        wave = generator(mel, f0=torch.full((1, 60), 160.0))[0, 0]
        again = generator(mel, f0=torch.full((1, 60), 160.0))[0, 0]
    middle = wave[2000:-2000] - wave[2000:-2000].mean()
    lag = 100  # samples of a period
    same = (middle[lag:] * middle[:-lag]).sum() / middle.square().sum()
    half = (middle[lag // 2 :] * middle[: -(lag // 2)]).sum() / middle.square().sum()
    assert same > 0.9 and half < 0.5 and torch.equal(wave, again)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HiFiGAN(20, 255), "product 256"),
        (lambda: HiFiGAN(20, version="v4"), "v1, v2 or v3"),
        (lambda: HiFiGAN(20, chanels=3), "chanels"),
        (lambda: HiFiGAN(20, channels=30), "multiple of 16"),
        (lambda: HiFiGAN(20, upsample_kernel_sizes=[3, 3, 3, 3]), "twice"),
        (lambda: ISTFTNet(20, 250), "divides"),
        (lambda: Vocos(20, 256, n_fft=256), "at least twice"),
        (lambda: HarmonicVocos(20, 256, n_fft=256), "at least twice"),
    ],
)
def test_sizes_that_do_not_fit_are_said(make, words):
    with pytest.raises(UserError, match=words):
        make()
