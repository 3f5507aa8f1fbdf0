"""The n-gram's command, and what decodes and packs its model."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.bin import asr_decode, ngram_train, pack
from espnet_ext.bin.command import call
from espnet_ext.bridge.external import NgramScorer
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.export.archive import unpack
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.lm.ngram import NgramLookup, load_ngram
from espnet_ext.text.tokens import TextPipeline


@pytest.fixture(scope="module")
def ngram(tiny):
    folder = tiny.root / "exp/ngram"
    text = str(tiny.train / "text")
    options = ["--tokens", str(tiny.tokens), "--text", text, "--order", "3", "--valid", text]
    options += ["--arpa", str(folder / "x.arpa.gz"), "--output-dir", str(folder)]
    assert call(ngram_train.main, options) == 0
    return folder


def test_the_model_and_its_perplexity(tiny, ngram):
    found = json.loads((ngram / "perplexity.json").read_text())
    pipeline = TextPipeline.from_dir(tiny.tokens)
    lookup = NgramLookup(load_ngram(ngram, pipeline.token_list))
    texts = read_table(tiny.train / "text").values()
    nll = 0.0
    for text in texts:
        ids = pipeline.ids(text)
        nll += float(lookup.nll(torch.tensor([ids]), torch.tensor([len(ids)])).sum())
    tokens = sum(len(text) + 1 for text in texts)
    assert found["tokens"] == tokens and found["utterances"] == 12
    assert found["nll"] == pytest.approx(nll, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(nll / tokens), rel=1e-5)
    again = load_ngram(ngram / "x.arpa.gz", pipeline.token_list)
    assert again.sizes == load_ngram(ngram).sizes


def test_a_missing_text_is_one_line(tiny, tmp_path, capsys):
    options = ["--tokens", str(tiny.tokens), "--text", "none", "--output_dir", str(tmp_path / "x")]
    assert call(ngram_train.main, options) == 1
    assert capsys.readouterr().err.startswith("ngram_train: error: none")
    assert not (tmp_path / "x").exists()


def test_decoding_listens_to_it(tiny, ngram, tmp_path):
    config = tmp_path / "decode.yaml"
    config.write_text("{beam_size: 3, lm_weight: 0.1, ngram_weight: 0.4, penalty: 0.1, nbest: 2}")
    options = ["--model_dir", str(tiny.model("asr")), "--lm_dir", str(tiny.model("lm"))]
    options += ["--ngram", str(ngram), "--config", str(config), "--output_dir", str(tmp_path / "d")]
    assert call(asr_decode.main, [str(tiny.valid.parent), "valid", *options]) == 0
    lists = read_table(tmp_path / "d/valid/nbest")
    weights = {"decoder": 0.5, "ctc": 0.5, "lm": 0.1, "ngram": 0.4, "length_bonus": 0.1}
    lookup = NgramLookup(load_ngram(ngram))
    for utt, text in read_table(tmp_path / "d/valid/text", empty=True).items():
        found = json.loads(lists[utt])
        assert found[0]["text"] == text and len(found) == 2
        for hypothesis in found:
            scores = hypothesis["scores"]
            assert set(scores) == set(weights)
            total = sum(weights[name] * score for name, score in scores.items())
            assert total == pytest.approx(hypothesis["score"], abs=1e-4)
            ids = torch.tensor([hypothesis["token_ids"]], dtype=torch.int64)
            assert scores["ngram"] == pytest.approx(
                -float(lookup.nll(ids, torch.tensor([ids.shape[1]])).sum()), abs=1e-4
            )


def test_one_hypothesis_at_a_time_hears_the_same(ngram):
    scorer = NgramScorer(NgramLookup(load_ngram(ngram)))
    end = scorer.lookup.size - 1
    ys = torch.tensor([[end, 3], [end, 4]])
    first, states = scorer.batch_score(ys[:, :1], [None, None], ys)
    second, _ = scorer.batch_score(ys, states, ys)
    for y, one, two in zip(ys, first, second, strict=True):
        score, state = scorer.score(y[:1], None, y)
        assert torch.equal(score, one)
        assert torch.equal(scorer.score(y, state, y)[0], two)


def test_the_language_of_the_training_is_taken_away(tiny, ngram):
    samples, _ = soundfile.read(tiny.valid / "wav/valid-01.wav")
    options = DecodeOptions(beam_size=3, ilm_weight=0.5, nbest=3)
    for ilm in (None, ngram, tiny.model("lm")):
        found = Speech2Text.from_dir(tiny.model("asr"), ilm=ilm, options=options)(samples)
        for hypothesis in found:
            scores = hypothesis.scores
            total = 0.5 * scores["decoder"] + 0.5 * scores["ctc"] - 0.5 * scores["ilm"]
            assert hypothesis.score == pytest.approx(total, abs=1e-4)
        assert found[0].scores["ilm"] < 0


def test_the_language_in_the_decoder_is_deaf(tiny):
    """Whatever is heard, the scores are those of a memory of zeros, however long."""
    engine = Speech2Text.from_dir(tiny.model("asr"), options=DecodeOptions(ilm_weight=0.3))
    alone, decoder = engine.search.full_scorers["ilm"], engine.model.decoder
    torch.manual_seed(0)
    ys, heard = torch.tensor([[7, 3, 4], [7, 5, 5]]), torch.randn(2, 9, 16)
    found, _ = alone.batch_score(ys, [None, None], heard)
    other, _ = alone.batch_score(ys, [None, None], torch.randn(2, 3, 16))
    expected, _ = decoder.batch_score(ys, [None, None], torch.zeros(2, 9, 16))
    hearing, _ = decoder.batch_score(ys, [None, None], heard)
    assert torch.equal(found, other) and torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, hearing, atol=1e-2)


def test_a_model_over_other_tokens_is_refused(tiny, ngram, tmp_path):
    from espnet_ext.lm.ngram import save_ngram

    model = load_ngram(ngram)
    tokens = (*model.token_list[:-2], "x", "<sos/eos>")
    save_ngram(tmp_path / "ngram.npz", type(model)(tokens, model.levels))
    with pytest.raises(UserError, match="expected one over the recogniser's 8"):
        Speech2Text.from_dir(tiny.model("asr"), ngram=tmp_path)


def test_it_is_packed(tiny, ngram, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.root)
    options = ["--task", "asr", "--model_dir", "exp/asr", "--ngram", "exp/ngram"]
    tiny.model("asr")
    assert call(pack.main, [*options, "--output", str(tmp_path / "x.zip")]) == 0
    assert set(unpack(tmp_path / "x.zip", tmp_path / "stock")) == {
        "asr_train_config",
        "asr_model_file",
    }
    found = unpack(tmp_path / "x.zip", tmp_path / "ours", own=True)
    assert Path(found["ngram"]).read_bytes() == (ngram / "ngram.npz").read_bytes()
    assert load_ngram(found["ngram"]).order == 3


def test_packing_says_what_is_not_there(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tiny.root)
    tiny.model("asr")
    options = ["--task", "asr", "--model_dir", "exp/asr", "--ngram", "exp/none"]
    assert call(pack.main, [*options, "--output", str(tmp_path / "x.zip")]) == 1
    assert "exp/none: no such n-gram model" in capsys.readouterr().err
