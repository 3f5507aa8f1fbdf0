"""The command score_asr."""

import json
import re

import numpy as np
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


def test_the_tables_are_sclites_by_speaker_and_in_all(recipe):
    """300 utterances of nine speakers with every kind of error; percentages to the tenth, as sclite prints them."""
    if find_sclite() is None:
        pytest.skip("sclite (package sctk) is not installed")
    random = np.random.default_rng(0)
    refs, hyps = {}, {}
    for k in range(300):
        words = random.choice(list("abcdefgh"), random.integers(1, 12)).tolist()
        lots = random.choice(["keep", "drop", "change", "add"], len(words), p=[0.7, 0.1, 0.1, 0.1])
        kinds = {"keep": "{}", "drop": "", "change": "x", "add": "{} y"}
        utt = f"s{k % 9}_u{k:03d}"
        refs[utt] = " ".join(words)
        hyps[utt] = " ".join(
            kinds[lot].format(w) for lot, w in zip(lots, words, strict=True) if kinds[lot]
        )
    for folder, rows in (("dump/raw/big", refs), ("exp/asr/decode/big", hyps)):
        (recipe / folder).mkdir()
        (recipe / folder / "text").write_text(
            "".join(f"{u} {t}".strip() + "\n" for u, t in refs.items() for t in [rows[u]])
        )
    (recipe / "dump/raw/big/utt2spk").write_text("".join(f"{u} {u[:2]}\n" for u in refs))
    assert call(main, [*RUN, "big"]) == 0
    result = (recipe / "exp/asr/decode/big/score_wer/result.txt").read_text()
    percentages = result.split("SYSTEM SUMMARY PERCENTAGES")[1].split("SYSTEM SUMMARY")[0]
    theirs = dict(re.findall(r"^ *\| +(s\d|Sum/Avg) *\|(.*)\|$", percentages, re.M))
    ours = {}
    for line in (recipe / "exp/asr/decode/RESULTS.md").read_text().splitlines():
        cells = line.strip("|").split("|")
        name = "Sum/Avg" if cells[0] == "decode/big" else cells[0]
        if name in theirs and name not in ours:
            ours[name] = [float(cell) for cell in cells[1:]]
    assert len(ours) == 10
    assert ours == {
        name: [float(n) for n in re.findall(r"[\d.]+", row)] for name, row in theirs.items()
    }


def test_groups_mistakes_speed_and_confidence(recipe):
    ref, hyp = recipe / "dump/raw/test", recipe / "exp/asr/decode/test"
    (ref / "spk2gender").write_text("s1 f\ns2 m\n")
    (ref / "utt2dur").write_text("s1_u1 1.0\ns1_u2 3.0\ns2_u3 1.0\ns2_u4 1.0\n")
    (recipe / "noisy").write_text("s1_u1 yes\ns1_u2 no\ns2_u3 no\ns2_u4 no\n")
    (hyp / "rtf").write_text("s1_u1 0.5\ns1_u2 0.5\ns2_u3 0.5\ns2_u4 0.5\n")
    (hyp / "confidence").write_text("s1_u1 0.9 0.2 0.9\ns1_u2 0.8\ns2_u3\ns2_u4 0.1\n")
    assert call(main, [*RUN, "--by", "noisy", "--blocks", "speaker"]) == 0
    decode = recipe / "exp/asr/decode"
    scores = json.loads((decode / "scores.json").read_text())
    wer = scores["sets"]["test"]["wer"]
    assert list(wer["groups"]) == ["gender", "words", "seconds", "noisy"]
    assert (
        wer["groups"]["gender"]["f"]["words"] == 6
        and wer["groups"]["noisy"]["yes"]["substitutions"] == 1
    )
    assert wer["mistakes"]["confused"] == [{"said": "cat", "recognised": "bat", "times": 1}]
    assert wer["mistakes"]["inserted"] == [{"word": "um", "times": 1}]
    assert scores["timing"]["test"]["rtf_overall"] == 0.5
    assert scores["timing"]["test"]["latency"]["max"] == 1.5
    assert (
        scores["calibration"]["test"]["words"] == 6
        and scores["calibration"]["test"]["auroc"] == 1.0
    )
    results = (decode / "RESULTS.md").read_text()
    for part in (
        "### WER by gender",
        "### WER by noisy",
        "cat -> bat (1)",
        "### Speed",
        "### Confidence",
    ):
        assert part in results, part
