"""What ESPnet writes, we read; what we write, ESPnet reads; with the same result to the last token and score."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.bridge.load import load_model
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from tests.train.test_gan import VITS
from tests.tts.conftest import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOKENS = ["<blank>", "<unk>", "<space>", "a", "b", "c", "d", "<sos/eos>"]
TEXTS = ["abca", "dd", "bcdabc"]
COMMON = {"token_list": TOKENS, "token_type": "char"}
FEATS = {"fs": 8000, "n_fft": 256, "hop_length": 80, "n_mels": 20}
SPEECH = {
    **COMMON,
    "feats_extract_conf": {**FEATS, "win_length": 256, "fmin": 60, "fmax": 3800},
    "normalize": None,
}
TRANSFORMER = {"attention_heads": 2, "linear_units": 16, "num_blocks": 1}
#: what stock ESPnet builds and saves
BUILD = {
    "asr": [
        "asr",
        {
            **COMMON,
            "frontend_conf": FEATS,
            "normalize": "utterance_mvn",
            "encoder": "conformer",
            "encoder_conf": {**TRANSFORMER, "output_size": 16, "input_layer": "conv2d"},
            "decoder": "transformer",
            "decoder_conf": TRANSFORMER,
            "model_conf": {"ctc_weight": 0.4},
        },
    ],
    "lm": ["lm", {**COMMON, "lm": "seq_rnn", "lm_conf": {"unit": 8, "nlayers": 1}}],
    "fastspeech2": [
        "tts",
        {
            **SPEECH,
            "tts": "fastspeech2",
            "tts_conf": {"adim": 8, "aheads": 2, "elayers": 1, "eunits": 8, "dlayers": 1, "dunits": 8},
        },
    ],
    "tacotron2": [
        "tts",
        {
            **SPEECH,
            "tts": "tacotron2",
            "tts_conf": {
                "embed_dim": 8, "eunits": 8, "econv_chans": 8, "dunits": 8, "prenet_units": 8,
                "postnet_chans": 8, "adim": 8, "aconv_chans": 4, "reduction_factor": 2,
            },
        },
    ],
    "vits": ["gan_tts", {**COMMON, "normalize": None, **VITS}],
    "jets": [
        "gan_tts",
        {
            **SPEECH,
            "feats_extract": "fbank",
            "tts": "jets",
            "tts_conf": {
                "sampling_rate": 8000,
                "generator_params": {
                    "adim": 8, "aheads": 2, "elayers": 1, "eunits": 8, "dlayers": 1, "dunits": 8,
                    "duration_predictor_chans": 8, "energy_predictor_chans": 8, "pitch_predictor_chans": 8,
                    "generator_channels": 16, "generator_upsample_scales": [8, 10],
                    "generator_upsample_kernel_sizes": [16, 20], "generator_resblock_kernel_sizes": [3],
                    "generator_resblock_dilations": [[1]],
                },
                "discriminator_type": VITS["tts_conf"]["discriminator_type"],
                "discriminator_params": VITS["tts_conf"]["discriminator_params"],
            },
        },
    ],
    "joint": [
        "gan_tts",
        {
            **SPEECH,
            "feats_extract": "fbank",
            "tts": "espnet_ext.tts.joint:JointModel",
            "tts_conf": {
                "features": {**FEATS, "fmin": 60, "fmax": 3800},
                "acoustic": SMALL,
                "generator": "istftnet",
                "generator_conf": {"version": "v3", "channels": 16, "upsample_scales": [5, 4]},
                "discriminators": {"mpd": {"periods": [2], "channels": 2, "largest": 4}},
            },
        },
    ],
}  # fmt: skip


def _files(folder: Path, weights: str) -> list[str]:
    return [str(folder / "config.yaml"), str(folder / weights)]


@pytest.fixture(scope="module")
def both(tiny, repo, tmp_path_factory):
    """The folder of both sides' models, the waveforms, and stock's answers."""
    work = tmp_path_factory.mktemp("stock")
    waves = [soundfile.read(p, dtype="float32")[0] for p in sorted((tiny.valid / "wav").iterdir())]
    np.savez(work / "waves.npz", *waves)
    ours = {task: _files(tiny.model(task), "valid.loss.ave.pth") for task in ("asr", "lm", "tts")}
    (work / "asked.json").write_text(json.dumps({"build": BUILD, "ours": ours, "texts": TEXTS}))
    script = Path(__file__).with_name("stock_side.py")
    environment = {**os.environ, "PYTHONPATH": str(repo)}
    done = subprocess.run(
        [sys.executable, str(script), str(work)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return work, waves, torch.load(work / "answers.pt", weights_only=False)


def _recognise(asr, lm, waves):
    options = DecodeOptions(beam_size=3, ctc_weight=0.4, lm_weight=0.3, penalty=0.1, nbest=2)
    engine = Speech2Text(*asr, *lm, options=options)
    return [[(h.text, list(h.tokens), h.score) for h in engine(wave)] for wave in waves]


def _same(found, expected):
    assert len(found) == len(expected) > 0
    for mine, stock in zip(found, expected, strict=True):
        assert [h[:2] for h in mine] == [h[:2] for h in stock]
        assert [h[2] for h in mine] == pytest.approx([h[2] for h in stock], abs=1e-4)


def test_stock_recognises_with_our_model_what_we_recognise(tiny, both):
    _, waves, answers = both
    found = _recognise(*(_files(tiny.model(t), "valid.loss.ave.pth") for t in ("asr", "lm")), waves)
    _same(found, answers["ours"])


def test_we_recognise_with_stocks_model_what_stock_recognises(both):
    work, waves, answers = both
    found = _recognise(*(_files(work / f"stock_{t}", "model.pth") for t in ("asr", "lm")), waves)
    _same(found, answers["stock"])
    assert any(h[1] for utterance in found for h in utterance)


def test_the_encoder_gives_the_same_numbers(tiny, both):
    _, waves, answers = both
    model, _ = load_model("asr", *_files(tiny.model("asr"), "valid.loss.ave.pth"))
    with torch.no_grad():
        found = model.encode(torch.from_numpy(waves[0])[None], torch.tensor([len(waves[0])]))[0]
    assert torch.allclose(found, answers["ours_encoded"], atol=1e-5)


@pytest.mark.parametrize("name", ["ours", "fastspeech2", "tacotron2"])
def test_the_same_mel(tiny, both, name):
    work, _, answers = both
    ours = name == "ours"
    files = (
        _files(tiny.model("tts"), "valid.loss.ave.pth")
        if ours
        else _files(work / f"stock_{name}", "model.pth")
    )
    engine = Text2Speech(*files, options=SynthesisOptions(griffin_lim_iters=1))
    for text, expected in zip(TEXTS, answers["ours_speech" if ours else name], strict=True):
        torch.manual_seed(777)
        ids = torch.tensor(engine.pipeline.ids(text))
        with torch.no_grad():
            found = engine.model.inference(text=ids, use_teacher_forcing=False)["feat_gen"]
        # oneDNN adds in another order than stock's MKL
        assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-5)
        assert len(engine(text).wave) > 0


@pytest.mark.parametrize("name", ["vits", "jets", "joint"])
def test_the_same_waveform(both, name):
    work, _, answers = both
    options = SynthesisOptions(seed=777)
    engine = Text2Speech(*_files(work / f"stock_{name}", "model.pth"), "gan_tts", options)
    for text, expected in zip(TEXTS, answers[name], strict=True):
        found = torch.from_numpy(engine(text).wave)
        assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-6)
        assert found.abs().max() > 0


def test_stocks_parser_knows_paths_and_still_refuses_mistakes(both):
    path = "espnet_ext.asr.encoder:CnnConformerEncoder"
    assert both[2]["parser"] == {"conformer": "conformer", path: path, "conformr": "exit 2"}
