"""VITS, tiny: two turns a batch, and a waveform in the end."""

import json

import numpy as np
import pytest
import torch

from espnet_ext.inference.text2speech import Text2Speech
from espnet_ext.train.run import train_model

VITS = {
    "feats_extract_conf": {"n_fft": 256, "hop_length": 64, "win_length": 256},
    "tts": "vits",
    "tts_conf": {
        "sampling_rate": 8000,
        "generator_params": {
            "hidden_channels": 8,
            "text_encoder_attention_heads": 2,
            "text_encoder_ffn_expand": 1,
            "text_encoder_blocks": 1,
            "text_encoder_conformer_kernel_size": 3,
            "use_conformer_conv_in_text_encoder": False,
            "decoder_channels": 16,
            "decoder_upsample_scales": [8, 8],
            "decoder_upsample_kernel_sizes": [16, 16],
            "decoder_resblock_kernel_sizes": [3],
            "decoder_resblock_dilations": [[1]],
            "posterior_encoder_layers": 1,
            "posterior_encoder_kernel_size": 3,
            "flow_flows": 2,
            "flow_layers": 1,
            "stochastic_duration_predictor_flows": 2,
            "stochastic_duration_predictor_dds_conv_layers": 1,
            "aux_channels": 129,
            "segment_size": 16,
        },
        "discriminator_type": "hifigan_multi_period_discriminator",
        "discriminator_params": {
            "periods": [2],
            "discriminator_params": {
                "channels": 4,
                "max_downsample_channels": 8,
                "downsample_scales": [3, 1],
            },
        },
        "generator_adv_loss_params": {"average_by_discriminators": False, "loss_type": "mse"},
        "discriminator_adv_loss_params": {"average_by_discriminators": False, "loss_type": "mse"},
        "feat_match_loss_params": {"average_by_discriminators": False, "average_by_layers": False},
        "mel_loss_params": {
            "fs": 8000,
            "n_fft": 256,
            "hop_length": 64,
            "win_length": 256,
            "n_mels": 20,
        },
    },
    "batch_size": 4,
    "max_epoch": 2,
    "num_workers": 0,
    "grad_clip": -1,
    "scheduler": "exponentiallr",
    "scheduler_conf": {"gamma": 0.9},
}


@pytest.fixture(scope="module")
def vits(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vits")
    tiny.base["gan_tts"] = VITS
    train_model("gan_tts", tiny.places("gan_tts", folder, stats_dir=None), "cpu")
    return folder


@pytest.mark.slow
def test_both_sides_learn(vits):
    history = [json.loads(line) for line in (vits / "metrics.jsonl").read_text().splitlines()]
    names = {"loss", "generator_loss", "discriminator_loss", "generator_mel_loss"}
    assert len(history) == 4 and all(names <= set(line) for line in history)
    assert all(line["loss"] == line["generator_loss"] for line in history)
    one, two = (torch.load(vits / f"{epoch}epoch.pth") for epoch in (1, 2))
    for part in ("tts.generator.", "tts.discriminator."):
        assert any(not torch.equal(one[n], two[n]) for n in one if n.startswith(part))
    assert history[2]["lr"] == pytest.approx(0.9 * history[0]["lr"])


@pytest.mark.slow
def test_it_speaks(vits):
    speaker = Text2Speech.from_dir(vits, task="gan_tts")
    found = speaker("abca")
    assert found.rate == 8000 and len(found.wave) % 64 == 0 and len(found.wave) > 0
    assert np.isfinite(found.wave).all() and np.array_equal(found.wave, speaker("abca").wave)


@pytest.mark.slow
def test_it_goes_on(tiny, vits, capsys):
    train_model("gan_tts", tiny.places("gan_tts", vits, {"max_epoch": 3}, stats_dir=None), "cpu")
    assert "resuming at epoch 3" in capsys.readouterr().out and (vits / "3epoch.pth").is_file()
