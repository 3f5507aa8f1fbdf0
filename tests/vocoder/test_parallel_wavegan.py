"""Parallel WaveGAN: ESPnet's weights and noise give ESPnet's waveform."""

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.vocoder.norm import remove_weight_norm
from espnet_ext.vocoder.parallel_wavegan import ParallelWaveGAN

SIZES = {"layers": 4, "stacks": 2, "residual_channels": 8, "gate_channels": 12, "skip_channels": 6}


def test_espnets_weights_give_espnets_waveform():
    module = pytest.importorskip("espnet2.gan_tts.parallel_wavegan.parallel_wavegan")
    torch.manual_seed(0)
    theirs = module.ParallelWaveGANGenerator(
        aux_channels=10, upsample_params={"upsample_scales": [4, 2]}, **SIZES
    ).eval()
    ours = ParallelWaveGAN(10, 8, upsample_scales=[4, 2], **SIZES).eval()
    ours.load_state_dict(theirs.state_dict())
    mel, noise = torch.randn(2, 10, 9), torch.randn(2, 1, 72)
    with torch.inference_mode():
        expected, found = theirs(mel, noise), ours(mel, noise=noise)
        assert expected.std() > 1e-3 and torch.allclose(found, expected, atol=1e-6)
        remove_weight_norm(ours)
        assert torch.allclose(ours(mel, noise=noise), expected, atol=1e-5)
        assert torch.equal(ours(mel), ours(mel)) and not torch.equal(ours(mel), expected)


def test_a_batch_is_what_each_is_alone():
    ours, mel = (
        ParallelWaveGAN(10, 8, upsample_scales=[4, 2], **SIZES).eval(),
        torch.randn(3, 10, 9),
    )
    with torch.inference_mode():
        together, alone = ours(mel), torch.cat([ours(one[None]) for one in mel])
    assert torch.allclose(together, alone, atol=1e-5)


def test_sizes_that_do_not_fit_are_said():
    with pytest.raises(UserError, match="product hop_length = 256"):
        ParallelWaveGAN(10, 256, upsample_scales=[4, 2])
