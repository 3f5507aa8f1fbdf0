"""An acoustic model's ONNX graphs, and the engine around them, speak as torch does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.export.onnx_model import export_onnx
from espnet_ext.inference.onnx_text2speech import OnnxText2Speech
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech

pytest.importorskip("onnx", reason="the extra espnet_ext[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra espnet_ext[onnx] is not installed")

TOKENS = ["<blank>", "<unk>", "<space>", *"abcdefg", "<sos/eos>"]
OPTIONS = SynthesisOptions(griffin_lim_iters=2)
VOICES = {"sids": torch.tensor([2]), "spembs": torch.tensor([0.3, -1.0, 0.5])}


def config(folder, **more):
    random = np.random.default_rng(0)
    sums = random.standard_normal(12), 20 + random.random(12)
    np.savez(folder / "stats.npz", count=10, sum=10 * sums[0], sum_square=10 * sums[1])
    return {
        "token_list": TOKENS,
        "token_type": "char",
        "tts": "espnet_ext.tts.aligned_fastspeech:AlignedFastSpeech",
        "tts_conf": {
            "width": 16,
            "encoder_blocks": 1,
            "decoder_blocks": 1,
            "encoder_inner": 16,
            "decoder_inner": 16,
            **more,
        },
        "feats_extract": "fbank",
        "feats_extract_conf": {
            "fs": 8000,
            "n_fft": 256,
            "hop_length": 80,
            "win_length": 256,
            "n_mels": 12,
            "fmin": 60,
            "fmax": 3800,
        },
        "normalize": "global_mvn",
        "normalize_conf": {"stats_file": str(folder / "stats.npz")},
    }


def made(folder, **more):
    """A folder as training leaves it, and its graphs."""
    torch.manual_seed(0)
    found = config(folder, **more)
    model = TASKS["tts"].build({**TASKS["tts"].defaults, **found})
    with torch.no_grad():
        model.tts.duration.out.bias.fill_(1.5)  # some frames a token
        model.tts.duration.out.weight *= 1.3
    (folder / "config.yaml").write_text(yaml.safe_dump(found))
    torch.save(model.state_dict(), folder / "valid.loss.ave.pth")
    return export_onnx("tts", folder, folder / "graphs")


@pytest.mark.parametrize(
    ("more", "voices"),
    [
        ({}, {}),
        ({"spks": 4, "spk_embed_dim": 3, "use_energy": False}, VOICES),
    ],
)
def test_the_engine_speaks_as_torch(more, voices, tmp_path):
    written = made(tmp_path, **more)
    assert [one.name for one in written] == ["text", "mel"]
    assert all(one.difference <= 1e-4 and one.int8 for one in written)
    expected = Text2Speech.from_dir(tmp_path, options=OPTIONS)
    engine = OnnxText2Speech.from_dir(tmp_path / "graphs", options=OPTIONS, threads=1)
    for text in ("abc", "a", "gfedcba aa"):
        one, other = engine(text, **voices), expected(text, **voices)
        assert one.durations.tolist() == other.durations.tolist()
        assert len(set(other.durations.tolist())) > 1 or text == "a"
        assert one.rate == other.rate and np.allclose(one.mel, other.mel, atol=1e-4)
        assert one.wave.shape == other.wave.shape
    slower = replace(OPTIONS, speed_control_alpha=2.0)
    slow = OnnxText2Speech(tmp_path / "graphs", slower, threads=1)
    assert len(slow("abc", **voices).mel) > 1.5 * len(engine("abc", **voices).mel)
    if voices:
        with pytest.raises(UserError, match="found no sids"):
            engine("abc")
    rough = OnnxText2Speech(tmp_path / "graphs", OPTIONS, precision="int8", threads=1)
    assert rough("abc", **voices).mel.shape[1] == 12
