"""WaveNet and WaveGlow: likelihoods that are right, sampling that says what the network says."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from espnet_ext.errors import UserError
from espnet_ext.vocoder.distributions import Gaussian, Logistics, MuLaw
from espnet_ext.vocoder.norm import remove_weight_norm
from espnet_ext.vocoder.waveglow import Mix, WaveGlow
from espnet_ext.vocoder.wavenet import WaveNet

SMALL = {"layers": 6, "stacks": 2, "residual_channels": 8, "gate_channels": 12, "skip_channels": 6}
GLOW = {"group": 8, "flows": 6, "early_every": 2, "layers": 2, "channels": 6}


def wavenet(output: str = "mixture") -> WaveNet:
    torch.manual_seed(0)
    made = WaveNet(5, 8, output, upsample_scales=[4, 2], mixtures=3, classes=32, **SMALL)
    return made.double().eval()


def waveglow() -> WaveGlow:
    """With weights that change something."""
    torch.manual_seed(0)
    made = WaveGlow(5, 12, **GLOW).double().eval()
    for coupling in made.couplings:
        coupling.end.weight.data.normal_(0.0, 0.2)
        coupling.end.bias.data.normal_(0.0, 0.2)
    for mix in made.mixes:
        mix.weight.data += 0.1 * torch.randn_like(mix.weight)
    return made


# -- what is said of a sample ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [-9.0, -5.0, 0.0])
def test_shares_of_all_steps_add_up_to_one(scale):
    torch.manual_seed(1)
    steps = 2 * torch.arange(65536) / 65535 - 1
    out = torch.randn(1, 9, 1)
    out[:, 6:] += scale
    found = Logistics(3).log_p(out.expand(-1, -1, 65536), steps[None])
    assert found.shape == (1, 65536) and found.exp().sum() == pytest.approx(1.0, abs=2e-3)


def test_a_gaussian_is_torchs():
    torch.manual_seed(0)
    out, wave = torch.randn(2, 2, 9), torch.randn(2, 9)
    expected = torch.distributions.Normal(out[:, 0], out[:, 1].exp()).log_prob(wave)
    assert torch.allclose(Gaussian().log_p(out, wave), expected, atol=1e-5)


def test_a_mu_law_is_finest_around_zero():
    law, wave = MuLaw(256), torch.linspace(-1, 1, 4001)
    error = (law.waveform(law.heard(wave)) - wave).abs()
    assert error[1990:2011].max() < 2e-4 and error.max() < 0.03 and error[0] == 0
    assert torch.allclose(law.heard(law.waveform(law.heard(wave))), law.heard(wave), atol=1e-6)
    out = torch.randn(1, 256, 4001)
    classes = torch.round((law.heard(wave) + 1) / 2 * 255).long()[None]
    expected = -torch.nn.functional.cross_entropy(out, classes, reduction="none")
    assert torch.allclose(law.log_p(out, law.heard(wave)[None]), expected, atol=1e-5)


@pytest.mark.parametrize("law", [MuLaw(16), Logistics(3), Gaussian()], ids=["mu", "logistics", "gauss"])  # fmt: skip
def test_draws_have_the_distribution_that_is_said(law):
    """Shares of many draws below some places, against the sum of likelihoods below them."""
    torch.manual_seed(0)
    out = torch.randn(1, law.size, 1)
    if law.size == 2:
        out[:, 1] = -1.5
    drawn = law.draw(out[..., 0].expand(20000, -1), torch.rand(20000, 2))
    if isinstance(law, MuLaw):
        grid = 2 * torch.arange(16) / 15 - 1
        mass = law.log_p(out.expand(-1, -1, 16), grid[None])[0].exp()
    else:
        grid = torch.linspace(-1, 1, 65536)
        mass = law.log_p(out.expand(-1, -1, 65536), grid[None])[0].exp()
        mass = mass * (2 / 65535 if isinstance(law, Gaussian) else 1)
    for place in (-0.45, 0.02, 0.6):
        below = float(mass[grid <= place].sum())
        if isinstance(law, Gaussian):  # what lies outside of the range comes to its edges
            normal = torch.distributions.Normal(out[0, 0, 0], out[0, 1, 0].exp())
            below = float(normal.cdf(torch.tensor(place)))
        assert float((drawn <= place).float().mean()) == pytest.approx(below, abs=0.015)


# -- WaveNet --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["mixture", "softmax", "gaussian"])
def test_the_fast_way_draws_what_the_network_says(output, monkeypatch):
    """Sample after sample from the whole network, with the same numbers to draw with."""
    monkeypatch.setattr("espnet_ext.vocoder.wavenet._CHUNK", 17)
    model = wavenet(output)
    mel, uniform = torch.randn(2, 5, 5).double(), torch.rand(2, 40, 2).double()
    with torch.no_grad():
        given, heard = model.upsample_net(mel), torch.zeros(2, 40).double()
        for place in range(40):
            out = model.outputs(heard, given)[..., place]
            heard[:, place] = model.distribution.draw(out, uniform[:, place])
        expected = model.distribution.waveform(heard)
        found = model(mel, uniform=uniform)
    assert found.shape == (2, 1, 40) and expected.std() > 1e-3
    assert torch.allclose(found[:, 0], expected, atol=1e-9)
    remove_weight_norm(model)
    assert torch.allclose(model(mel, uniform=uniform)[:, 0], expected, atol=1e-9)
    assert torch.equal(model(mel), model(mel))


def test_a_sample_is_told_from_those_before_it_alone():
    model = wavenet()
    assert model.receptive_field == 1 + 2 * (1 + 2 + 4)
    wave = torch.rand(1, 40, dtype=torch.float64, requires_grad=True)
    model.outputs(wave, torch.zeros(1, 5, 40).double())[0, :, 30].sum().backward()
    seen = wave.grad[0].abs() > 0
    assert seen[30 - 15 : 30].any() and seen[29] and not seen[30:].any() and not seen[:15].any()


def test_a_mean_over_samples_is_learnt():
    model = wavenet("gaussian").float()
    wave = 0.3 * torch.sin(torch.arange(160) * 0.4)[None].expand(2, -1)
    mel = torch.zeros(2, 5, 20)
    optimiser, losses = torch.optim.Adam(model.parameters(), 0.01), []
    for _ in range(30):
        optimiser.zero_grad()
        losses.append(model.loss(mel, wave))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < losses[0] - 0.5


# -- WaveGlow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [4, 3])  # 48 samples are 6 groups; 36 are 4 and a half
def test_there_and_back(frames):
    model = waveglow()
    mel, wave = torch.randn(2, 5, frames).double(), torch.randn(2, 12 * frames).double()
    with torch.no_grad():
        z, _ = model.encode(mel, wave)
        found = model.decode(mel, z)
    whole = 12 * frames // 8 * 8
    assert z.shape == (2, 8, whole // 8)
    assert not torch.allclose(z.transpose(1, 2).flatten(1), wave[:, :whole], atol=0.1)
    assert torch.allclose(found, wave[:, :whole], atol=1e-9)
    spoken = model(mel, noise=torch.randn(2, 8, -(-12 * frames // 8)).double())
    assert spoken.shape == (2, 1, 12 * frames) and torch.equal(model(mel), model(mel))


def test_the_jacobian_is_that_of_autograd():
    model = waveglow()
    mel, wave = torch.randn(1, 5, 2).double(), torch.randn(1, 24).double()
    found = model.encode(mel, wave)[1]
    matrix = jacobian(lambda x: model.encode(mel, x)[0].flatten(), wave)[:, 0]
    assert matrix.shape == (24, 24)
    assert torch.allclose(found, torch.linalg.slogdet(matrix).logabsdet, atol=1e-9)
    z = model.encode(mel, wave)[0]
    density = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum() + found[0]
    assert float(model.loss(mel, wave).detach()) == pytest.approx(
        -float(density.detach()) / 24, rel=1e-9
    )


def test_a_new_one_only_turns():
    mix = Mix(6)
    turned, log_det = mix(torch.eye(6)[None])
    assert abs(float(log_det)) < 1e-5 and torch.det(mix.weight) > 0
    assert torch.allclose(turned[0] @ turned[0].T, torch.eye(6), atol=1e-5)
    model = WaveGlow(5, 16, sigma=0.5, **GLOW)
    wave = torch.randn(2, 64)
    expected = 0.5 * (wave / 0.5).square().mean() + math.log(0.5 * math.sqrt(2 * math.pi))
    assert torch.allclose(model.loss(torch.randn(2, 5, 4), wave), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: WaveNet(20, 255), "product hop_length = 255"),
        (lambda: WaveNet(20, output="laplace"), "softmax, mixture or gaussian"),
        (lambda: WaveGlow(20, early_size=4), "2 channels or more"),
        (lambda: WaveGlow(20, kernel=2), "odd kernel"),
    ],
)
def test_sizes_that_do_not_fit_are_said(make, words):
    with pytest.raises(UserError, match=words):
        make()
