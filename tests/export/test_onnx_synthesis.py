"""Graphs of AcousticModel, of JointModel and of ESPnet's VITS and JETS speak as torch does, at any speed and pitch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.bridge.load import load_model
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.export.onnx_model import export_onnx
from espnet_ext.export.onnx_stock_tts import spline
from espnet_ext.inference.onnx_text2speech import OnnxText2Speech
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.inference.voices import task_of

pytest.importorskip("onnx", reason="the extra espnet_ext[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra espnet_ext[onnx] is not installed")

TOKENS = ["<blank>", "<unk>", "<space>", *"abcdefg", "<sos/eos>"]
FRONT = {"fs": 8000, "n_fft": 256, "hop_length": 80, "n_mels": 12, "fmin": 60, "fmax": 3800}
OPTIONS = SynthesisOptions(griffin_lim_iters=1, controls="model")
ENCODER = {"blocks": 1, "inner": 16, "kernel": 3}
SIZES = {
    "width": 16,
    "encoder": ENCODER,
    "decoder": {"blocks": 1, "inner": 16, "postnet": 2, "postnet_width": 8},
    "pitch": {"layers": 1, "bins": 16},
    "energy": {"layers": 1, "bins": 16},
}
WAVES = {
    "channels": 8,
    "upsample_scales": [10, 8],
    "upsample_kernel_sizes": [20, 16],
    "resblock_kernel_sizes": [3],
    "resblock_dilations": [[1, 3]],
}


def folder_of(folder, tts, conf, **more):
    """A folder as training leaves it, with weights that nobody trained but that do something."""
    random = np.random.default_rng(0)
    sums = random.standard_normal(12), 20 + random.random(12)
    np.savez(folder / "stats.npz", count=10, sum=10 * sums[0], sum_square=10 * sums[1])
    found = {
        "token_list": TOKENS,
        "token_type": "char",
        "tts": tts,
        "tts_conf": conf,
        "feats_extract": "fbank",
        "feats_extract_conf": FRONT,
        "normalize": "global_mvn",
        "normalize_conf": {"stats_file": str(folder / "stats.npz")},
        **more,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(found))
    torch.manual_seed(0)
    task = TASKS[task_of(folder / "config.yaml")]
    model = TASKS[task.speaks_as or task.name].build({**task.defaults, **found})
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not bool(weight.any()):  # zero at first: it would hide what stands behind it
                weight.normal_(0, 0.3 if "duration_predictor" in name else 0.05)
            if name.endswith("duration_predictor.flows.0.m"):
                weight.fill_(-3.0)  # some frames a token
            if "generator.g" in name or name.endswith("weight_g"):
                weight.fill_(1.0)
    torch.save(model.state_dict(), folder / "valid.loss.ave.pth")
    return folder


def engines(folder, options=OPTIONS):
    """Torch's and that of the graphs."""
    written = export_onnx("tts", folder, folder / "graphs", int8=False)
    assert all(one.difference <= 1e-4 for one in written)
    files = folder / "config.yaml", folder / "valid.loss.ave.pth"
    expected = Text2Speech(*files, task=task_of(files[0]), options=options)
    return expected, OnnxText2Speech.from_dir(folder / "graphs", options=options, threads=1)


def assert_alike(one, other):
    assert one.durations.tolist() == other.durations.tolist() and one.rate == other.rate
    assert one.wave.shape == other.wave.shape and len(one.wave) > 0
    if other.mel is not None:
        assert np.allclose(one.mel, other.mel, atol=1e-4)
        assert other.mel.std() > 0.1
    return float(np.abs(one.wave - other.wave).max())


VOICES = {"sids": torch.tensor([2]), "lids": torch.tensor([1]), "spembs": torch.tensor([0.3, -1.0])}


@pytest.mark.parametrize(
    ("more", "voices"),
    [
        ({}, {}),
        ({"pitch": {"level": "frame", "layers": 1, "bins": 16}, "energy": {"level": "none"}}, {}),
        (
            {
                "decoder": {"kind": "flow", "blocks": 1, "inner": 16, "steps": 2, "width": 24},
                "duration": {"kind": "flow", "steps": 2},
            },
            {},
        ),
        (
            {
                **{"spks": 3, "langs": 2, "spk_embed_dim": 2},
                "encoder": {**ENCODER, "positions": "rotary", "prosody": "boundary emphasis"},
            },
            VOICES,
        ),
        ({"adapters": {"voices": 2, "width": 4}}, {"sids": torch.tensor([1])}),
    ],
    ids=["tokens", "frames", "flows", "voices", "adapters"],
)
def test_an_acoustic_model_speaks_as_in_torch(more, voices, tmp_path):
    tts = "espnet_ext.tts.acoustic:AcousticModel"
    expected, engine = engines(folder_of(tmp_path, tts, {**SIZES, **more}))
    assert engine.has_speed and engine.has_words and engine.has_word_rates
    for text in ("abc", "a", "gfed *cba* aa"):
        assert_alike(engine(text, **voices), expected(text, **voices))
    ids = engine.pipeline.ids("abc d")
    own = {"semitones": [0.0, 4.0, -3.0, 0.0, 2.0], "loudness": [1.0, 0.5, 2.0, 1.0, 1.0]}
    for rate in (2.0, [0.5, 1.0, 1.0, 2.0, 1.0]):
        given = ids, "abc d", rate, voices
        moved, plain = engine.speak(*given, **own), engine.speak(*given)
        assert_alike(moved, expected.speak(*given, **own))
        if "pitch" not in more:  # that by frame finds no voice anywhere before it is trained
            assert not np.allclose(moved.mel, plain.mel, atol=1e-2)


def test_what_an_acoustic_engine_refuses(tmp_path):
    tts = "espnet_ext.tts.acoustic:AcousticModel"
    _, engine = engines(folder_of(tmp_path, tts, {**SIZES, "spks": 3, "longest": 6}))
    with pytest.raises(UserError, match="sids: found none, expected numbers from 0 to 2"):
        engine("abc")
    with pytest.raises(UserError, match="sids: found 3, expected numbers from 0 to 2"):
        engine("abc", sids=torch.tensor([3]))
    with pytest.raises(UserError, match=r"alpha: found 0.01, expected 0.05 to 20"):
        engine.speak(engine.pipeline.ids("abc"), "abc", 100.0, VOICES | {"sids": torch.tensor([0])})
    tokens = torch.tensor([3, 4])
    with pytest.raises(UserError, match="use_teacher_forcing: found true, expected false"):
        engine.model.inference(tokens, sids=torch.tensor([0]), use_teacher_forcing=True)
    with pytest.raises(UserError, match="found token 11, expected numbers from 0 to 10"):
        engine.model.inference(torch.tensor([11]), sids=torch.tensor([0]))


@pytest.mark.parametrize("reads", ["hidden", "mel"])
def test_a_joint_model_speaks_as_in_torch(reads, tmp_path):
    conf = {
        "features": FRONT,
        "acoustic": SIZES,
        "reads": reads,
        "generator_conf": WAVES,
        "discriminators": None,
    }
    folder = folder_of(tmp_path, "espnet_ext.tts.joint:JointModel", conf)
    expected, engine = engines(folder)
    assert engine.vocoder is None
    for text in ("abc", "gfedcba aa bcd"):
        one, other = engine(text), expected(text)
        assert np.abs(other.wave).max() > 1e-3
        assert assert_alike(one, other) <= 1e-4 * max(1.0, float(np.abs(other.wave).max()))


VITS = {
    "hidden_channels": 8,
    "segment_size": 2,
    "text_encoder_attention_heads": 2,
    "text_encoder_ffn_expand": 2,
    "text_encoder_blocks": 1,
    "posterior_encoder_layers": 1,
    "flow_flows": 2,
    "flow_layers": 1,
    "stochastic_duration_predictor_flows": 2,
    **{f"decoder_{name}": value for name, value in WAVES.items()},
}
JETS = {
    **{"adim": 8, "aheads": 2, "elayers": 1, "eunits": 8, "dlayers": 1, "dunits": 8},
    "encoder_type": "transformer",
    "decoder_type": "transformer",
    **{f"generator_{name}": value for name, value in WAVES.items()},
    "segment_size": 2,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tts", "more", "voices"),
    [
        ("vits", {}, {}),
        ("vits", {"spks": 3, "langs": 2, "spk_embed_dim": 2, "global_channels": 4}, VOICES),
        ("jets", {}, {}),
        ("jets", {"spks": 3, "langs": 2, "spk_embed_dim": 2}, VOICES),
        ("jets", {"encoder_type": "conformer", "decoder_type": "conformer"}, {}),
    ],
)
def test_espnets_models_speak_as_in_torch(tts, more, voices, tmp_path):
    sizes, own = (VITS, "generator_params") if tts == "vits" else (JETS, "generator_params")
    conf = {own: {**sizes, **more}, "sampling_rate": 8000}
    front = {"feats_extract": "linear_spectrogram", "feats_extract_conf": {"n_fft": 256}}
    front = {**front, "normalize": None} if tts == "vits" else {}
    still = replace(OPTIONS, noise_scale=0.0, noise_scale_dur=0.0)
    expected, engine = engines(folder_of(tmp_path, tts, conf, **front), still)
    assert engine.has_words and engine.has_speed == (tts == "vits")
    for text in ("abc", "gfedcba aa bcd"):
        one, other = engine(text, **voices), expected(text, **voices)
        assert np.abs(other.wave).max() > 1e-3
        assert assert_alike(one, other) <= 1e-4 * max(1.0, float(np.abs(other.wave).max()))
    if tts == "vits":
        slow = OnnxText2Speech(tmp_path / "graphs", replace(still, speed_control_alpha=2.0))
        assert len(slow("abcdef", **voices).wave) > 1.4 * len(engine("abcdef", **voices).wave)
        lively, again = (OnnxText2Speech(tmp_path / "graphs", OPTIONS) for _ in range(2))
        one, other = lively("abc", **voices), again("abc", **voices)
        assert np.array_equal(one.wave, other.wave)
        louder = replace(OPTIONS, seed=OPTIONS.seed + 1)
        third = OnnxText2Speech(tmp_path / "graphs", louder)("abc", **voices)
        assert not np.array_equal(third.wave, one.wave)


def test_a_spline_is_espnets():
    stock = pytest.importorskip("espnet2.gan_tts.vits.transform")
    torch.manual_seed(0)
    x = torch.cat(
        (3 * torch.randn(2, 1, 50), torch.tensor([-5.0, 5, 5.1, -9, 0]).expand(2, 1, 5)), 2
    )
    widths, heights, slopes = (2 * torch.randn(2, 1, 55, n) for n in (10, 10, 9))
    how = {"inverse": True, "tails": "linear", "tail_bound": 5.0}
    expected, _ = stock.piecewise_rational_quadratic_transform(x, widths, heights, slopes, **how)
    assert torch.allclose(spline(x, widths, heights, slopes, 5.0), expected, atol=1e-5)


def test_what_is_not_written_says_what_is(tmp_path):
    tts = "espnet_ext.tts.acoustic:AcousticModel"
    folder = folder_of(tmp_path, tts, {**SIZES, "use_gst": True})
    with pytest.raises(UserError, match="found use_gst, which is not written as ONNX, expected a"):
        export_onnx("tts", folder, tmp_path / "graphs")
    model, _ = load_model("tts", folder / "config.yaml", folder / "valid.loss.ave.pth")
    model.tts.__class__ = type("Tacotron2", (torch.nn.Module,), {"require_vocoder": True})
    from espnet_ext.export.onnx_tts import tts_graphs

    with pytest.raises(UserError, match=r"found Tacotron2, .*AcousticModel.* vits or jets; keep"):
        tts_graphs(model)
