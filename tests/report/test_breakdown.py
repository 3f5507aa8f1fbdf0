"""Groups, speed, confidence and conditions on the page."""

from __future__ import annotations

import json

import pytest

from espnet_ext.bin.score_asr import main as score_asr
from espnet_ext.report.breakdown import confidence, groups, speed
from espnet_ext.report.curves import bars
from espnet_ext.report.suites import suite_bars, suites_section
from tests.report.conftest import table
from tests.report.test_page import build, checked, plain


@pytest.fixture
def scored(sources, job):
    """The job scored again, with all that a decoder may write."""
    ref, decode = job / "asr1/dump/raw/test", job / "asr1/exp/asr_small/decode"
    utts = ("s1-u1", "s1-u2", "s2-u3")
    table(ref / "spk2gender", {"s1": "f<b>", "s2": "m"})
    table(ref / "utt2dur", dict.fromkeys(utts, "2.0"))
    table(decode / "test/rtf", dict.fromkeys(utts, "0.125"))
    (decode / "test/hardware").write_text("a <fast> machine\n")
    table(decode / "test/confidence", {"s1-u1": "0.9 0.1 0.8 0.2", "s1-u2": "0.95", "s2-u3": "0.7"})
    score_asr(["--ref", str(job / "asr1/dump/raw"), "--hyp", str(decode), "--no_sclite"])
    result = {
        "condition": "noise_5db", "kind": "noise", "what": "noise <5 dB>", "wer": 75.0, "cer": 60.0,
        "interval": [60.0, 90.0], "more": 25.0, "terms": None, "terms_right": None,
    }  # fmt: skip
    clean = {**result, "condition": "clean", "kind": "clean", "wer": 50.0, "more": None}
    (decode / "suites").mkdir()
    (decode / "suites/scores.json").write_text(json.dumps({"suites": {"test": [clean, result]}}))
    return sources


def test_the_page_has_them_all(scored, job):
    page, _ = build(scored, job / "out")
    checker = checked(page)
    text = plain(page)
    for part in (
        "By gender: test",
        "By speaker: test",
        "Confidence: test",
        "Speed",
        "Other conditions",
    ):
        assert part in text, part
    for figure in (
        "0.125",
        "250",
        "a &lt;fast&gt; machine",
        "noise &lt;5 dB&gt;",
        "+25.0",
        "f&lt;b&gt;",
    ):
        assert figure in text, figure
    assert checker.unnamed == [] and page.count("bar wide marked") == 2


ONE = {"sentences": 1, "words": 2, "error_rate": 50.0}


def test_nothing_measured_is_nothing_shown():
    assert speed({}) == confidence({}) == suites_section(None) == suites_section({}) == ""
    assert groups("test", {"speakers": {"one": ONE}, "groups": {"gender": {"f": ONE}}}) == ""
    assert bars("x", [], "y") == ""


def test_bars_of_conditions_are_as_long_as_their_error_rates():
    rows = [("clean", 20.0), ("noise_10db", 40.0), ("silence", None)]
    results = [
        {"condition": name, "kind": name, "what": "", "wer": wer, "cer": wer, "interval": None,
         "more": None, "terms": 3, "terms_right": 2}
        for name, wer in rows
    ]  # fmt: skip
    drawn = suite_bars(results)
    assert "--share:50.0%;--mark:50.0%" in drawn and "--share:100.0%;--mark:50.0%" in drawn
    assert "--share:0.0%" in drawn and drawn.count("2 of 3") == 3
