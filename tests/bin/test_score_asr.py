"""The command score_asr."""

import json

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.score_asr import main
from espnet_ext.bin.train_tokens import main as train_tokens
from espnet_ext.metrics.trn import find_sclite


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ref, hyp = tmp_path / "dump/raw/test", tmp_path / "exp/asr/decode/test"
    ref.mkdir(parents=True)
    hyp.mkdir(parents=True)
    (ref / "text").write_text(
        "s1_u1 the cat sat\ns1_u2 hello <noise> world\ns2_u3 one two\ns2_u4\n"
    )
    (ref / "utt2spk").write_text("s1_u1 s1\ns1_u2 s1\ns2_u3 s2\ns2_u4 s2\n")
    (hyp / "text").write_text("s1_u1 the bat sat\ns1_u2 hello world\ns2_u3\ns2_u4 um\n")
    return tmp_path


RUN = ["--ref", "dump/raw", "--hyp", "exp/asr/decode"]


def test_scores_tables_and_reports(recipe, capsys):
    (recipe / "nlsyms").write_text("<noise>\n")
    assert call(main, [*RUN, "test", "--nlsyms", "nlsyms"]) == 0
    printed = capsys.readouterr().out
    assert "|decode/test|4|7|57.1|14.3|28.6|14.3|57.1|75.0|" in printed
    decode = recipe / "exp/asr/decode"
    results = (decode / "RESULTS.md").read_text()
    assert printed.strip() in results
    for fact in ("date", "commit", "command", "hardware"):
        assert f"- {fact}: `" in results
    scores = json.loads((decode / "scores.json").read_text())
    wer = scores["sets"]["test"]["wer"]
    assert (wer["words"], wer["substitutions"], wer["deletions"], wer["insertions"]) == (7, 1, 2, 1)
    assert wer["error_rate"] == pytest.approx(400 / 7)
    assert wer["interval_95"][0] <= wer["error_rate"] <= wer["interval_95"][1]
    assert wer["speakers"]["s2"]["deletions"] == 2
    cer = scores["sets"]["test"]["cer"]
    assert cer["words"] == len("the cat sat") + len("hello  world") + len("one two")  # both spaces
    assert "score_asr" in scores["command"]
    ref = (decode / "test/score_cer/ref.trn").read_text().splitlines()
    assert ref[1] == "h e l l o <space> <space> w o r l d\t(s1-s1_u2)"


def test_result_is_sclites_own_where_it_is_installed(recipe):
    assert call(main, RUN) == 0
    result = (recipe / "exp/asr/decode/test/score_wer/result.txt").read_text()
    if find_sclite() is None:
        pytest.skip("sclite (package sctk) is not installed")
    assert "SYSTEM SUMMARY PERCENTAGES" in result


def test_without_sclite_our_own_report(recipe):
    assert call(main, [*RUN, "--no-sclite"]) == 0
    result = (recipe / "exp/asr/decode/test/score_wer/result.txt").read_text()
    assert result.startswith("|dataset|Snt|") and "HYP:  the BAT sat" in result


def test_token_error_rate(recipe):
    text = str(recipe / "dump/raw/test/text")
    assert call(train_tokens, ["--text", text, "--out", "tok", "--token_type", "word"]) == 0
    assert call(main, [*RUN, "--tokens", "tok"]) == 0
    scores = json.loads((recipe / "exp/asr/decode/scores.json").read_text())
    assert scores["sets"]["test"]["ter"]["words"] == 8


def test_missing_hypotheses_count_as_deletions(recipe, capsys):
    (recipe / "exp/asr/decode/test/text").write_text("s1_u1 the cat sat\n")
    assert call(main, RUN) == 0
    assert "3 of 4 utterances have no hypothesis" in capsys.readouterr().err
    wer = json.loads((recipe / "exp/asr/decode/scores.json").read_text())["sets"]["test"]["wer"]
    assert (wer["missing"], wer["deletions"], wer["correct"]) == (3, 5, 3)


@pytest.mark.parametrize(
    "text, words",
    [
        ("s1_u1 a\nstranger b\n", "stranger"),
        ("", "no hypothesis at all"),
        ("s1_u1 a\ns1_u1 b\n", "twice"),
    ],
)
def test_broken_hypotheses_are_errors(recipe, capsys, text, words):
    (recipe / "exp/asr/decode/test/text").write_text(text)
    assert call(main, RUN) == 1
    assert words in capsys.readouterr().err
    assert not (recipe / "exp/asr/decode/scores.json").exists()


def test_unknown_sets_are_errors(recipe, capsys):
    assert call(main, [*RUN, "dev"]) == 1
    assert "decode dev first" in capsys.readouterr().err
    assert call(main, ["--ref", "dump/raw", "--hyp", "exp"]) == 1
    assert "decode first" in capsys.readouterr().err


def test_same_results_twice(recipe):
    intervals = []
    for _ in range(2):
        assert call(main, RUN) == 0
        scores = json.loads((recipe / "exp/asr/decode/scores.json").read_text())
        intervals.append(scores["sets"])
    assert intervals[0] == intervals[1]
