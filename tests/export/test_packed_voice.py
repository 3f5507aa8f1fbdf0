"""A synthesiser from its recipe to somebody else's folder: packed, unpacked, and speaking."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.bridge.load import read_model_config
from espnet_ext.errors import UserError
from espnet_ext.export.archive import extract, unpack
from espnet_ext.export.onnx_model import _text
from espnet_ext.export.pack import pack
from espnet_ext.inference.griffin_lim import GriffinLim
from espnet_ext.inference.onnx_text import text_of
from espnet_ext.inference.text2speech import Text2Speech
from espnet_ext.inference.vocoder import Vocoder
from espnet_ext.vocoder.build import DEFAULTS, build
from tests.inference.small_voices import OPTIONS, train

LEXICON = "data/token_list/phn/lexicon.txt"


def train_vocoder(recipe: Path, front: dict) -> Path:
    """A vocoder with made-up weights in a recipe of its own, which names its statistics as recipes do."""
    folder, stats = recipe / "exp/voc_x", recipe / "exp/stats/train/feats_stats.npz"
    for path in (folder, stats.parent):
        path.mkdir(parents=True)
    np.savez(stats, count=1, sum=np.zeros(12), sum_square=np.ones(12))
    config = {
        **DEFAULTS,
        "feats_extract_conf": front,
        "generator": "vocos",
        "generator_conf": {"width": 8, "inner": 8, "blocks": 1},
        "discriminators": {},
    }
    torch.manual_seed(1)
    model = build({**config, "normalize_conf": {"stats_file": str(stats)}})
    torch.save(model.state_dict(), folder / "valid.nll.best.pth")
    config["normalize_conf"] = {"stats_file": str(stats.relative_to(recipe))}
    config["best_model_criterion"] = [["valid", "nll", "min"]]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    """corpus/tts1, which reads phonemes by a lexicon, and corpus/voc1."""
    root = tmp_path_factory.mktemp("corpus")
    voice = train(root / "tts1/exp/tts_x", "aligned")
    config = yaml.safe_load((voice / "config.yaml").read_text())
    config |= {"token_type": "phn", "g2p": LEXICON}
    stats = Path("exp/stats/train/feats_stats.npz")  # of the name of the vocoder's
    (root / "tts1" / stats).parent.mkdir(parents=True)
    shutil.move(voice / "stats.npz", root / "tts1" / stats)
    config["normalize_conf"] = {"stats_file": str(stats)}
    (voice / "config.yaml").write_text(yaml.safe_dump(config))
    (root / "tts1" / LEXICON).parent.mkdir(parents=True)
    (root / "tts1" / LEXICON).write_text("# g2p: espeak:en-us\nabc\ta b c\ndef\td e f\n")
    train_vocoder(root / "voc1", config["feats_extract_conf"])
    return root


@pytest.fixture
def packed(recipes, tmp_path, monkeypatch):
    """Packed as the recipe does it, and all that it was made of gone from here."""
    monkeypatch.chdir(recipes / "tts1")
    archive = tmp_path / "voice.zip"
    pack("tts", "exp/tts_x", archive, vocoder_dir="../voc1/exp/voc_x", licence="cc-by-4.0")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return archive


needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng")


@needs_espeak
def test_it_speaks_with_its_vocoder_and_its_lexicon_anywhere(recipes, packed, tmp_path, caplog):
    """Past bug: the packed vocoder was not looked for, and Griffin-Lim spoke; the lexicon was not found."""
    extract(packed, tmp_path / "out")
    front = recipes / "tts1/exp/tts_x"
    vocoder = Vocoder.from_dir(recipes / "voc1/exp/voc_x")
    expected = Text2Speech.from_dir(front, options=OPTIONS, vocoder=vocoder)("abc def abc")
    assert len(expected.wave) > 1000
    for name in (packed, tmp_path / "out"):
        speaker = Text2Speech.from_pretrained(name, cache=tmp_path / "cache", options=OPTIONS)
        assert isinstance(speaker.vocoder, Vocoder)
        assert np.array_equal(speaker("abc def abc").wave, expected.wave)
        assert speaker.pipeline.tokens("abc") == ["a", "b", "c"]
    assert "Griffin-Lim" not in caplog.text


def test_another_vocoder_may_be_asked_for(recipes, packed, tmp_path):
    other = shutil.copytree(recipes / "voc1/exp/voc_x", tmp_path / "other")
    speaker = Text2Speech.from_pretrained(packed, vocoder=other, cache=tmp_path, options=OPTIONS)
    assert (
        isinstance(speaker.vocoder, Vocoder) and speaker.vocoder.files[0] == other / "config.yaml"
    )


def test_a_lexicon_is_found_in_the_archive(packed, tmp_path, monkeypatch):
    extract(packed, tmp_path / "out")
    (tmp_path / "elsewhere" / LEXICON).parent.mkdir(parents=True)
    (tmp_path / "elsewhere" / LEXICON).write_text("# g2p: espeak:de\nabc\tx\n")  # another recipe's
    (config,) = (tmp_path / "out").rglob("tts_x/config.yaml")
    found = Path(read_model_config("tts", config)["g2p"])
    assert found == tmp_path / "out" / LEXICON and "espeak:en-us" in found.read_text()
    found.unlink()
    (tmp_path / "elsewhere" / LEXICON).unlink()
    with pytest.raises(UserError, match=r"names data/token_list/phn/lexicon\.txt, which is n"):
        read_model_config("tts", config)


def test_what_is_not_a_file_stays_a_name(recipes, tmp_path):
    config = yaml.safe_load((recipes / "tts1/exp/tts_x/config.yaml").read_text())
    for g2p in ("espeak:en-us", "g2p_en", None):
        (tmp_path / "config.yaml").write_text(
            yaml.safe_dump({**config, "g2p": g2p, "normalize_conf": {}})
        )
        assert read_model_config("tts", tmp_path / "config.yaml")["g2p"] == g2p


def test_packing_finds_files_from_anywhere(recipes, packed, tmp_path, monkeypatch):
    """Past bug: the vocoder's statistics, named relative to its own recipe, were not found; both are called alike."""
    monkeypatch.chdir(tmp_path)
    tts, voc = recipes / "tts1/exp/tts_x", recipes / "voc1/exp/voc_x"
    pack("tts", tts, "far.zip", vocoder_dir=voc)
    for archive in (packed, tmp_path / "far.zip"):
        found = unpack(archive, tmp_path / archive.stem, own=True)
        lexicon = yaml.safe_load(Path(found["train_config"]).read_text())["g2p"]
        assert Path(lexicon).read_text().startswith("# g2p: espeak:en-us")
        stats = sorted((tmp_path / archive.stem).rglob("feats_stats.npz"))
        assert len(stats) == 2 and len({path.read_bytes() for path in stats}) == 2
        assert Path(found["vocoder_weights"]).name == "valid.nll.best.pth"


def test_a_lexicon_that_is_gone_is_said_when_packing(recipes, tmp_path, monkeypatch):
    lost = shutil.copytree(recipes / "tts1", tmp_path / "tts1")
    (lost / LEXICON).unlink()
    monkeypatch.chdir(lost)
    with pytest.raises(UserError, match=rf"g2p: {LEXICON} named in exp/tts_x/config.yaml"):
        pack("tts", "exp/tts_x", "voice.zip")


def test_stocks_archive_speaks_by_griffin_lim_and_says_so(tmp_path, monkeypatch, caplog):
    stock = pytest.importorskip("espnet2.main_funcs.pack_funcs")
    config = train(tmp_path / "recipe/exp/tts", "aligned") / "config.yaml"
    config.write_text(config.read_text().replace(f"{tmp_path}/recipe/", ""))
    monkeypatch.chdir(tmp_path / "recipe")
    stock.pack(
        files={"model_file": "exp/tts/valid.loss.ave.pth"},
        yaml_files={"train_config": "exp/tts/config.yaml"},
        option=["exp/tts/stats.npz"],
        outpath=tmp_path / "stock.zip",
    )
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "recipe")
    with caplog.at_level(logging.WARNING):
        speaker = Text2Speech.from_pretrained("stock.zip", cache=tmp_path, options=OPTIONS)
    assert "stock.zip comes without a vocoder: Griffin-Lim" in caplog.text
    assert isinstance(speaker.vocoder, GriffinLim) and len(speaker("abc").wave) > 100


def test_a_vocoder_as_stock_names_it(recipes, tmp_path):
    """Stock's Text2Speech takes vocoder_config and vocoder_file."""
    train(tmp_path / "m", "aligned")
    shutil.copytree(recipes / "voc1/exp/voc_x", tmp_path / "m/voc")
    meta = {
        "files": {"model_file": "valid.loss.ave.pth", "vocoder_file": "voc/valid.nll.best.pth"},
        "yaml_files": {"train_config": "config.yaml", "vocoder_config": "voc/config.yaml"},
    }
    (tmp_path / "m/meta.yaml").write_text(yaml.safe_dump(meta))
    assert isinstance(Text2Speech.from_pretrained(tmp_path / "m").vocoder, Vocoder)


def test_anothers_vocoder_is_packed_as_it_is(recipes, tmp_path, monkeypatch):
    """ParallelWaveGAN's three files stay beside each other."""
    theirs = tmp_path / "pwg"
    theirs.mkdir()
    for name in ("config.yml", "checkpoint-10steps.pkl", "checkpoint-9steps.pkl", "stats.npy"):
        (theirs / name).write_text(name)
    monkeypatch.chdir(recipes / "tts1")
    names = pack("tts", "exp/tts_x", tmp_path / "voice.zip", vocoder_dir=theirs)
    found = unpack(tmp_path / "voice.zip", tmp_path / "out", own=True)
    weights = Path(found["vocoder_weights"])
    assert weights.name == "checkpoint-10steps.pkl" and Path(found["vocoder_config"]).is_file()
    assert (weights.parent / "stats.npy").read_text() == "stats.npy"
    assert not any("9steps" in name for name in names)


@needs_espeak
def test_an_onnx_folder_has_its_lexicon_beside_it(recipes, tmp_path, monkeypatch):
    """Past bug: its manifest named the lexicon of the recipe."""
    monkeypatch.chdir(recipes / "tts1")
    facts, files = _text(read_model_config("tts", Path("exp/tts_x/config.yaml")))
    for name, path in files.items():
        shutil.copy(path, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert facts["g2p"] == "lexicon.txt"
    assert text_of(facts, tmp_path).tokens("abc") == ["a", "b", "c"]
