"""rescore and tune_weights on what a decoding left."""

import json

import pytest
import torch

from espnet_ext.bin import asr_decode, ngram_train, rescore, tune_weights
from espnet_ext.bin.command import call
from espnet_ext.bridge.load import load_model
from espnet_ext.datadir import read_table
from espnet_ext.train.config import load_yaml


@pytest.fixture(scope="module")
def decoded(tiny):
    """Lists of the tones' validation set, without a language model."""
    folder = tiny.root / "nbest"
    folder.mkdir()
    (folder / "decode.yaml").write_text("{beam_size: 3, ctc_weight: 0.4, lm_weight: 0, nbest: 3}")
    options = ["--model_dir", str(tiny.model("asr")), "--config", str(folder / "decode.yaml")]
    options += ["--output_dir", str(folder / "out")]
    assert call(asr_decode.main, [str(tiny.valid.parent), "valid", *options]) == 0
    return folder


def test_scores_are_added_and_weighed(tiny, decoded, tmp_path, capsys):
    text, ngram = str(tiny.train / "text"), tmp_path / "ngram"
    options = ["--tokens", str(tiny.tokens), "--text", text, "--output_dir", str(ngram)]
    assert call(ngram_train.main, options) == 0
    (tmp_path / "w.yaml").write_text(
        "{ctc_weight: 0.4, lm_weight: 0.5, ngram_weight: 2.0, penalty: -1.0}"
    )
    models = ["--add", f"lm={tiny.model('lm')}", "--add", f"ngram={ngram}"]
    options = [str(decoded / "out"), *models, "--config", str(tmp_path / "w.yaml")]
    assert call(rescore.main, [*options, "--output_dir", str(tmp_path / "new")]) == 0
    assert "valid: 3 utterances, another hypothesis is first in" in capsys.readouterr().out
    weights = {"decoder": 0.6, "ctc": 0.4, "lm": 0.5, "ngram": 2.0, "length_bonus": -1.0}
    model, _ = load_model(
        "lm", tiny.model("lm") / "config.yaml", tiny.model("lm") / "valid.loss.ave.pth"
    )
    for utt, line in read_table(tmp_path / "new/valid/nbest").items():
        found = json.loads(line)
        assert [h["score"] for h in found] == sorted((h["score"] for h in found), reverse=True)
        assert read_table(tmp_path / "new/valid/text", empty=True)[utt] == found[0]["text"].strip()
        for h in found:
            ids, scores = (
                torch.tensor([h["token_ids"]]),
                {**h["scores"], "length_bonus": 1 + len(h["tokens"])},
            )
            with torch.no_grad():
                nll, _ = model.nll(ids.long(), torch.tensor([ids.shape[1]]))
            assert scores["lm"] == pytest.approx(-float(nll.sum()), abs=1e-4)
            assert h["score"] == pytest.approx(
                sum(w * scores[n] for n, w in weights.items()), abs=1e-4
            )


def test_without_weights_the_order_stays(tiny, decoded, tmp_path):
    options = [str(decoded / "out"), "--add", f"big={tiny.model('lm')}"]
    assert call(rescore.main, [*options, "--output_dir", str(tmp_path)]) == 0
    for name in ("text", "token", "score"):
        one, other = (
            read_table(d / "valid" / name, empty=True) for d in (decoded / "out", tmp_path)
        )
        assert one == other
    assert (
        "big" in json.loads(next(iter(read_table(tmp_path / "valid/nbest").values())))[0]["scores"]
    )


def test_weights_are_tuned(tiny, decoded, tmp_path, capsys):
    options = [
        str(decoded / "out"),
        "valid",
        "--ref",
        str(tiny.valid.parent),
        "--folds",
        "3",
        "--metric",
        "cer",
    ]
    options += ["--config", str(decoded / "decode.yaml"), "--output", str(tmp_path / "t.yaml")]
    assert call(tune_weights.main, options) == 0
    said = capsys.readouterr().out
    assert "CER to expect (3-fold crossed)" in said and "ctc_weight" in said
    found = load_yaml(tmp_path / "t.yaml")
    assert found["beam_size"] == 3 and 0 <= found["ctc_weight"] <= 1 and "penalty" in found
    again = [str(decoded / "out"), "--config", str(tmp_path / "t.yaml")]
    assert call(rescore.main, [*again, "--output_dir", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        (rescore, ["OUT", "--output_dir", "x", "--add", "lm=none"], "none: no such n-gram model"),
        (
            rescore,
            ["none", "--output_dir", "x"],
            "none: found no */nbest, expected results below it",
        ),
        (rescore, ["OUT", "--output_dir", "x", "--config", "LM"], "no scores of lm in the lists"),
        (
            tune_weights,
            ["none", "v", "--ref", "r", "--config", "LM", "--output", "x"],
            "none/v/nbest: not found",
        ),
    ],
)
def test_what_is_missing_is_one_line(
    decoded, tmp_path, monkeypatch, capsys, command, options, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LM").write_text("lm_weight: 0.5")
    options = [str(decoded / "out") if o == "OUT" else o for o in options]
    assert call(command.main, options) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "x").exists()


@pytest.mark.parametrize("given", ["lm", "=x", "lm=", "a b=x"])
def test_a_name_that_is_none(given, capsys):
    with pytest.raises(SystemExit) as stopped:
        rescore.main(["d", "--output_dir", "x", "--add", given])
    assert stopped.value.code == 2 and "expected NAME=PATH" in capsys.readouterr().err


def test_other_tokens_are_refused(tiny, decoded, tmp_path, capsys):
    lines = read_table(decoded / "out/valid/nbest")
    (tmp_path / "in/valid").mkdir(parents=True)
    changed = {u: line.replace('"tokens": ["', '"tokens": ["Z') for u, line in lines.items()}
    (tmp_path / "in/valid/nbest").write_text(
        "".join(f"{u} {line}\n" for u, line in changed.items())
    )
    options = [str(tmp_path / "in"), "--add", f"lm={tiny.model('lm')}"]
    assert call(rescore.main, [*options, "--output_dir", str(tmp_path / "x")]) == 1
    assert "expected one trained with the same --tokens" in capsys.readouterr().err
