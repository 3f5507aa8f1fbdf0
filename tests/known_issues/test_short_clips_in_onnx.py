"""Clips that are too short for an encoder: its graph failed in a convolution, and the whole batch with it."""

import numpy as np
import pytest

from espnet_ext.export.onnx_model import export_onnx
from espnet_ext.inference.onnx_speech2text import OnnxSpeech2Text
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from tests.export.test_onnx_asr import saved

pytest.importorskip("onnx", reason="the extra espnet_ext[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra espnet_ext[onnx] is not installed")

TOKENS = ["<blank>", "<unk>", *"abcdefg", "<sos/eos>"]
SIZES = {"output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 1}
CONFIG = {
    "token_list": TOKENS,
    "token_type": "char",
    "frontend": "default",
    "frontend_conf": {"fs": 8000, "n_fft": 256, "win_length": 200, "hop_length": 80, "n_mels": 20},
    "normalize": "utterance_mvn",
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 16, "num_blocks": 1},
    "model_conf": {"ctc_weight": 0.3},
}


@pytest.mark.parametrize(
    ("encoder", "more", "shortest"),
    [
        ("conformer", {"cnn_module_kernel": 3}, 7),
        ("transformer", {"input_layer": "conv2d6"}, 11),
        ("e_branchformer", {"cgmlp_linear_units": 16, "cgmlp_conv_kernel": 3}, 7),
    ],
)
def test_a_short_clip_says_nothing_and_the_others_are_heard(encoder, more, shortest, tmp_path):
    config = {**CONFIG, "encoder": encoder, "encoder_conf": {**SIZES, **more}}
    export_onnx("asr", saved(tmp_path, config), tmp_path / "graphs", int8=False)
    options = DecodeOptions(beam_size=2, lm_weight=0.0, maxlenratio=0.5)
    engine = OnnxSpeech2Text(tmp_path / "graphs", options, threads=1)
    assert engine.model.shortest == shortest
    random = np.random.default_rng(0)
    lengths = (8000, 400, 80 * (shortest - 1) - 1, 80 * (shortest - 1), 80 * shortest, 4000)
    given = [0.1 * random.standard_normal(n).astype(np.float32) for n in lengths]
    found = engine.many(given)
    expected = Speech2Text.from_dir(tmp_path, options=options).many(given)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.text == theirs.text and ours[0].tokens == theirs[0].tokens
        assert ours[0].score == pytest.approx(theirs[0].score, abs=1e-3)
    assert found[0].text and found[5].text and not found[2].text
