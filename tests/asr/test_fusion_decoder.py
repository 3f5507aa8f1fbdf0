"""Deep and cold fusion: the same step by step as at once, trained from a YAML, alone in the end."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.asr.fusion_decoder import ColdFusionDecoder, DeepFusionDecoder
from espnet_ext.errors import UserError

V, D = 9, 16
CLASSES = {"deep": DeepFusionDecoder, "cold": ColdFusionDecoder}
DECODERS = {
    "ours": {"decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 2}},
    "stock": {
        "decoder": "transformer",
        "decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 2},
    },
}
LMS = {
    "ours": {
        "lm": "espnet_ext.lm.transformer:TransformerLM",
        "lm_conf": {"width": 12, "heads": 2, "layers": 1},
    },
    "lstm": {"lm": "espnet_ext.lm.lstm:LstmLM", "lm_conf": {"width": 12, "layers": 1}},
    "transformer": {
        "lm": "transformer",
        "lm_conf": {"embed_unit": 4, "att_unit": 12, "head": 2, "unit": 8, "layer": 1},
    },
    "seq_rnn": {"lm": "seq_rnn", "lm_conf": {"unit": 12, "nlayers": 1}},
}


def decoder(kind, inside="ours", lm="ours", **more):
    torch.manual_seed(0)
    return CLASSES[kind](V, D, **DECODERS[inside], **LMS[lm], **more)


def given(number=3, length=6):
    generator = torch.Generator().manual_seed(1)
    heard = torch.randn(1, 7, D, generator=generator).expand(number, -1, -1)
    texts = torch.randint(1, V - 1, (number, length), generator=generator)
    texts[:, 0] = V - 1
    return heard, torch.full((number,), 7), texts, torch.full((number,), length)


def awaken(model):
    """Weights that begin at 0 get others."""
    for name, weight in model.named_parameters():
        if "from_lm" in name:
            torch.nn.init.normal_(weight)
    return model.eval()


@pytest.mark.parametrize("lm", sorted(LMS))
@pytest.mark.parametrize("inside", sorted(DECODERS))
@pytest.mark.parametrize("kind", sorted(CLASSES))
@torch.no_grad()
def test_stocks_search_scores_as_training_does(kind, inside, lm):
    model = awaken(decoder(kind, inside, lm))
    heard, lengths, texts, ends = given()
    (whole, hidden), _ = model(heard, lengths, texts, ends, return_hs=True)
    states, alone = [None] * 3, None
    for end in range(1, 7):
        (found, at), states = model.batch_score(texts[:, :end], states, heard, return_hs=True)
        assert torch.allclose(found, whole[:, end - 1].log_softmax(-1), atol=1e-5)
        assert torch.allclose(at, hidden[:, end - 1], atol=1e-5)
        one, alone = model.score(texts[1, :end], alone, heard[1])
        assert torch.allclose(one, found[1], atol=1e-5)


@pytest.mark.parametrize("kind", sorted(CLASSES))
@torch.no_grad()
def test_start_step_reorder(kind):
    model = awaken(decoder(kind))
    heard, lengths, texts, ends = given()
    whole = model(heard, lengths, texts, ends)[0].log_softmax(-1)
    state = model.reorder(model.start(heard[:1]), torch.zeros(3, dtype=torch.int64))
    order = torch.tensor([2, 0, 1])
    for place in range(3):
        found, state = model.step(texts[:, place], state)
        assert torch.allclose(found, whole[:, place], atol=1e-5)
    state = model.reorder(state, order)
    for place in range(3, 6):
        found, state = model.step(texts[order, place], state)
        assert torch.allclose(found, whole[order, place], atol=1e-5)


@pytest.mark.parametrize("kind", sorted(CLASSES))
@torch.no_grad()
def test_the_language_model_is_listened_to(kind):
    model = awaken(decoder(kind))
    before = model(*given())[0]
    for weight in model.lm.parameters():
        torch.nn.init.normal_(weight)
    assert not torch.allclose(model(*given())[0], before, atol=1e-2)


def test_deep_fusion_begins_as_the_recogniser_was():
    model = decoder("deep").eval()
    plain, _ = model.decoder(*given())
    assert torch.equal(model(*given())[0], plain)


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_what_learns(kind, freeze):
    model = decoder(kind, freeze_lm=freeze)
    if kind == "deep":
        torch.nn.init.normal_(model.from_lm.weight)
    model.train()
    assert model.decoder.training and model.lm.training == (not freeze)
    model(*given())[0].square().sum().backward()
    silent = {name for name, weight in model.named_parameters() if weight.grad is None}
    output = (
        {"lm.decoder.weight", "lm.decoder.bias"} if kind == "deep" else set()
    )  # its hidden state is what counts
    of_lm = {name for name, _ in model.named_parameters() if name.startswith("lm.")}
    assert silent == of_lm if freeze else silent <= output


def test_it_says_what_it_needs(tmp_path):
    for cls in CLASSES.values():
        with pytest.raises(ValueError, match="found neither lm_dir nor lm"):
            cls(V, D)
        with pytest.raises(UserError, match="no such file, named in decoder_conf"):
            cls.complete_conf({"lm_dir": str(tmp_path)})


# -- trained ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny):
    """A recogniser of each kind on the corpus of tones; the folder of its language model is gone."""
    from espnet_ext.train.run import train_model

    folder = tiny.root / "exp/lm_to_be_lost"
    shutil.copytree(tiny.model("lm"), folder)
    found = {}
    for kind, cls in CLASSES.items():
        conf = {
            "lm_dir": str(folder),
            "decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 1},
        }
        changes = {
            "decoder": f"espnet_ext.asr.fusion_decoder:{cls.__name__}",
            "decoder_conf": conf,
            "max_epoch": 1,
        }
        if kind == "deep":  # a trained recogniser is joined with the language model
            weights = str(tiny.model("asr") / "valid.acc.ave.pth")
            changes["decoder_conf"] = {**conf, "decoder": "transformer", "init_param": weights}
            changes["init_param"] = [f"{weights}:encoder", f"{weights}:ctc"]
        found[kind] = tiny.root / "exp" / f"asr_{kind}"
        train_model("asr", tiny.places("asr", found[kind], changes), "cpu")
    shutil.rmtree(folder)
    return found


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_trained_it_needs_nothing_else(tiny, trained, kind, tmp_path, monkeypatch):
    from espnet_ext.bridge.weights import read_weights
    from espnet_ext.export.archive import unpack
    from espnet_ext.export.pack import pack
    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

    lm = read_weights(tiny.model("lm") / "valid.loss.ave.pth")
    state = read_weights(trained[kind] / "valid.acc.ave.pth")
    for name, weight in lm.items():  # frozen: as it was trained
        assert torch.equal(state[f"decoder.{name}"], weight)
    conf = yaml.safe_load((trained[kind] / "config.yaml").read_text())["decoder_conf"]
    assert conf["lm"] == "transformer" and conf["lm_conf"]["att_unit"] == 16
    monkeypatch.chdir(tiny.root)
    names = pack("asr", trained[kind], tmp_path / "x.zip")
    assert not [name for name in names if "lm_to_be_lost" in name or "exp/asr/" in name]
    files = unpack(tmp_path / "x.zip", tmp_path / "out")
    wave = 0.1 * np.sin(np.arange(8000) * 0.5).astype(np.float32)
    options = DecodeOptions(beam_size=3, ilm_weight=0.2)
    found = [
        Speech2Text(*where, options=options)(wave)
        for where in (
            (files["asr_train_config"], files["asr_model_file"]),
            (trained[kind] / "config.yaml", trained[kind] / "valid.acc.ave.pth"),
        )
    ]
    assert found[0] == found[1] and np.isfinite(found[0][0].score)


def test_a_language_model_over_other_tokens_is_refused(tiny, tmp_path):
    conf = {"lm_dir": str(tiny.model("lm"))}
    with pytest.raises(UserError, match=r"over other tokens \(8\) than the recogniser's \(2\)"):
        ColdFusionDecoder.complete_conf(conf, ["<blank>", "<sos/eos>"])


STOCK = """
import sys, numpy, espnet_ext
from espnet2.bin.asr_inference import Speech2Text
wave = 0.1 * numpy.sin(numpy.arange(8000) * 0.5).astype("float32")
for asr, lm in zip(sys.argv[1::2], sys.argv[2::2]):
    files = [f"{asr}/config.yaml", f"{asr}/valid.acc.ave.pth", None, f"{lm}/config.yaml", f"{lm}/valid.loss.ave.pth"]
    names = ["asr_train_config", "asr_model_file", "transducer_conf", "lm_train_config", "lm_file"]
    engine = Speech2Text(**dict(zip(names, files)), beam_size=3, ctc_weight=0.5, lm_weight=0.5)
    text, tokens, _, hyp = engine(wave)[0]
    print(float(hyp.score))
"""


@pytest.mark.slow
def test_stock_espnet_decodes_with_them(tiny, trained):
    """And with our language models beside them."""
    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
    from espnet_ext.train.run import train_model

    pairs = []
    for kind, lm in (("deep", "ours"), ("cold", "lstm")):
        folder = tiny.root / "exp" / f"lm_for_stock_{lm}"
        train_model("lm", tiny.places("lm", folder, {**LMS[lm], "max_epoch": 1}), "cpu")
        pairs.append((trained[kind], folder))
    arguments = [str(path) for pair in pairs for path in pair]
    done = subprocess.run([sys.executable, "-c", STOCK, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    wave = 0.1 * np.sin(np.arange(8000) * 0.5).astype(np.float32)
    for (asr, lm), line in zip(pairs, done.stdout.split()[-2:], strict=True):
        options = DecodeOptions(beam_size=3, lm_weight=0.5)
        engine = Speech2Text.from_dir(asr, lm_dir=lm, options=options)
        assert engine(wave)[0].score == pytest.approx(float(line), abs=1e-3)
