"""Models that a real training left, stock's and ours, packed and unpacked by the other side.

With the tokens that the recipes use: BPE for the recogniser, espeak-ng's phonemes for the synthesiser.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.export.archive import unpack
from espnet_ext.export.pack import pack
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.text.vocabulary import VocabularyConfig, train_tokens
from espnet_ext.train.run import train_model
from tests.conftest import ASR, LM, TTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]
TEXTS = ["abca", "dd", "bcdabc"]
TOKENS = {
    "asr": VocabularyConfig(token_type="bpe", nbpe=9),
    "lm": VocabularyConfig(token_type="bpe", nbpe=9),
    "tts": VocabularyConfig(token_type="phn", g2p="espeak_ng_english_us_vits"),
}
LATE = {"specaug": "espnet_ext.asr.specaug:LateSpecAug", "normalize": "global_mvn"}
CHANGES = {
    "asr": {**LATE, "specaug_conf": {**ASR["specaug_conf"], "begin": 1}},
    "lm": {},
    "tts": {},
}
BASE = {"asr": ASR, "lm": LM, "tts": TTS}


@pytest.fixture(scope="module")
def both(tiny, repo, tmp_path_factory):
    """The folder of both sides' models, the waveforms, and stock's answers."""
    work = tmp_path_factory.mktemp("trained")
    zips, config = {}, {}
    for kind, vocabulary in TOKENS.items():
        tokens = work / f"{kind}_tokens"
        train_tokens([str(tiny.train / "text")], tokens, vocabulary)
        config[kind] = _stock_config(kind, tokens, vocabulary)
        train_model(kind, tiny.places(kind, work / kind, CHANGES[kind], tokens=tokens), "cpu")
    weights = "valid.loss.ave.pth"
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # as in a recipe's directory: names in the archive are relative to it
        patch.chdir(work)
        for kind, more in (("asr", {"lm_dir": "lm", "lm_model": weights}), ("tts", {})):
            zips[kind] = str(work / f"ours_{kind}.zip")
            pack(kind, kind, zips[kind], weights, **more)
    waves = [soundfile.read(p, dtype="float32")[0] for p in sorted((tiny.valid / "wav").iterdir())]
    np.savez(work / "waves.npz", *waves)
    data = {"train": str(tiny.train), "valid": str(tiny.valid)}
    asked = {**data, "config": config, "zips": zips, "texts": TEXTS}
    (work / "asked.json").write_text(json.dumps(asked))
    _run_stock(repo, work)
    return work, waves, torch.load(work / "answers.pt", weights_only=False)


def _stock_config(kind, tokens: Path, vocabulary: VocabularyConfig) -> dict:
    """Our configuration and the text options that stock's template passes on the command line."""
    found = {**BASE[kind], **CHANGES[kind], "token_list": str(tokens / "tokens.txt")}
    found["token_type"] = vocabulary.token_type
    if vocabulary.token_type == "bpe":
        found["bpemodel"] = f"{tokens.name}/bpe.model"  # from where stock runs
    else:
        found["g2p"] = vocabulary.g2p
    for name in ("normalize", "pitch_normalize", "energy_normalize"):  # named after the statistics
        found.pop(name, None)
    return found


def _run_stock(repo: Path, work: Path) -> None:
    script = Path(__file__).with_name("stock_trains.py")
    done = subprocess.run(
        [sys.executable, str(script), str(work)],
        capture_output=True,
        text=True,
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(repo)},
    )
    assert done.returncode == 0, done.stderr[-4000:]


def _recognise(files: dict[str, str], waves: list) -> list:
    names = ("asr_train_config", "asr_model_file", "lm_train_config", "lm_file")
    options = DecodeOptions(beam_size=3, ctc_weight=0.4, lm_weight=0.3, nbest=2)
    engine = Speech2Text(*(files[name] for name in names), options=options)
    return [[(h.text, list(h.tokens), h.score) for h in engine(wave)] for wave in waves]


def _without_end(text: str, tokens: list[str]) -> tuple[str, list[str]]:
    """Stock leaves a second end of sentence standing when a hypothesis reached the length limit."""
    return text.replace("<sos/eos>", ""), [t for t in tokens if t != "<sos/eos>"]


@pytest.mark.parametrize("whose", ["stock", "ours"])
def test_a_packed_recogniser_hears_the_same_on_both_sides(both, whose, tmp_path):
    work, waves, answers = both
    found = _recognise(unpack(work / f"{whose}_asr.zip", tmp_path), waves)
    expected = answers[f"{whose}_asr"]
    assert any(tokens for utterance in expected for _, tokens, _ in utterance)
    for mine, stock in zip(found, expected, strict=True):
        assert [h[:2] for h in mine] == [_without_end(*h[:2]) for h in stock]
        assert [h[2] for h in mine] == pytest.approx([h[2] for h in stock], abs=1e-4)


@pytest.mark.parametrize("whose", ["stock", "ours"])
def test_a_packed_synthesiser_says_the_same_on_both_sides(both, whose, tmp_path):
    work, _, answers = both
    files = unpack(work / f"{whose}_tts.zip", tmp_path)
    options = SynthesisOptions(griffin_lim_iters=1, seed=777)
    engine = Text2Speech(files["train_config"], files["model_file"], options=options)
    for text, expected in zip(TEXTS, answers[f"{whose}_tts"], strict=True):
        torch.manual_seed(777)
        ids = torch.tensor(engine.pipeline.ids(text))
        with torch.no_grad():
            found = engine.model.inference(text=ids, use_teacher_forcing=False)["feat_gen"]
        assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-5)
