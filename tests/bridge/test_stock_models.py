"""Models of stock ESPnet from config.yaml and .pth: our search finds what stock's finds, many or one at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

RATE = 8000
TOKENS = ["<blank>", "<unk>", "<space>", *"abcdefgh", "<sos/eos>"]
SMALL = {"output_size": 16, "attention_heads": 2, "num_blocks": 2}
ENCODERS = {
    "transformer": {**SMALL, "linear_units": 24},
    "conformer": {
        **SMALL,
        "linear_units": 24,
        "cnn_module_kernel": 5,
        "pos_enc_layer_type": "rel_pos",
        "selfattention_layer_type": "rel_selfattn",
    },
    "branchformer": {**SMALL, "cgmlp_linear_units": 24, "cgmlp_conv_kernel": 5},
    "e_branchformer": {
        **SMALL,
        "cgmlp_linear_units": 24,
        "cgmlp_conv_kernel": 5,
        "linear_units": 24,
    },
}
LMS = {
    "transformer": {"embed_unit": 8, "att_unit": 16, "head": 2, "unit": 24, "layer": 2},
    "seq_rnn": {"unit": 8, "nlayers": 2},
}


def saved(task, config, folder, seed):
    """A model with drawn weights as stock's training leaves it."""
    folder.mkdir(parents=True)
    config = {**TASKS[task].defaults, **config, "token_list": TOKENS, "token_type": "char"}
    torch.manual_seed(seed)
    model = TASKS[task].build(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    torch.save(model.state_dict(), folder / "weights.pth")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def speeches():
    random = np.random.default_rng(0)
    return [random.standard_normal(n).astype(np.float32) * 0.1 for n in (4000, 9000, 2500, 6000)]


@pytest.mark.parametrize(
    ("encoder", "lm"), [*((e, "transformer") for e in ENCODERS), ("e_branchformer", "seq_rnn")]
)
@pytest.mark.parametrize("beam", [3, 8])
def test_the_same_as_stocks_search(tmp_path, encoder, lm, beam):
    asr = {
        "frontend_conf": {"fs": RATE, "n_fft": 256, "hop_length": 80, "n_mels": 20},
        "normalize": "utterance_mvn",
        "encoder": encoder,
        "encoder_conf": ENCODERS[encoder],
        "decoder": "transformer",
        "decoder_conf": {"attention_heads": 2, "linear_units": 24, "num_blocks": 2},
        "model_conf": {"ctc_weight": 0.3, "report_cer": False, "report_wer": False},
    }
    model = saved("asr", asr, tmp_path / "asr", 1)
    language = saved("lm", {"lm": lm, "lm_conf": LMS[lm]}, tmp_path / "lm", 2)
    found = {}
    for search in ("batch", "stock"):
        options = DecodeOptions(
            beam_size=beam, ctc_weight=0.3, lm_weight=0.4, search=search, maxlenratio=0.6
        )
        engine = Speech2Text(
            model / "config.yaml",
            model / "weights.pth",
            language / "config.yaml",
            language / "weights.pth",
            options=options,
        )
        assert (engine.batched is None) == (search == "stock")
        found[search] = engine.many(speeches())
        if search == "batch":
            alone = [engine(speech) for speech in speeches()]
    compared = 0
    for ours, stocks, one in zip(found["batch"], found["stock"], alone, strict=True):
        assert ours[0].token_ids == one[0].token_ids
        if -1e6 < stocks[0].score < 0:  # else stock went on from what CTC says cannot be
            assert ours[0].token_ids == stocks[0].token_ids
            assert ours[0].score == pytest.approx(stocks[0].score, abs=1e-3)
            compared += 1
    assert compared >= 2
