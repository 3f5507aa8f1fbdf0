"""The page: its numbers, that it needs nothing from elsewhere, and that no text can break it."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest

from espnet_ext.errors import UserError
from espnet_ext.report.page import write_report
from espnet_ext.report.sources import Experiment
from espnet_ext.report.summary import Sources
from tests.report.conftest import stage

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Raises on a tag that is not closed; collects what the page refers to, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.unnamed: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.links += [found[name] for name in ("src", "href", "data", "action") if found.get(name)]
        self.ids |= {found["id"]} if "id" in found else set()
        if tag in ("svg", "audio") and not (found.get("aria-label") or "").strip():
            self.unnamed.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


def build(sources: Sources, output: Path) -> tuple[str, dict]:
    write_report(sources, output, "A <title> & more")
    page = (output / "report.html").read_text(encoding="utf-8")
    return page, json.loads((output / "summary.json").read_text(encoding="utf-8"))


def plain(page: str) -> str:
    """The text of a page, without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_a_whole_job(sources, job):
    page, summary = build(sources, job / "out")
    checker = checked(page)
    # 3 + 2 + 3 words; THE CAT SAT DOWN: one wrong, one made up; HELLO: two missed
    assert summary["asr"]["wer"] == pytest.approx(100 * 4 / 8)
    assert summary["asr"]["ser"] == pytest.approx(200 / 3)
    assert summary["asr"]["wer_interval_95"][0] <= 50 <= summary["asr"]["wer_interval_95"][1]
    assert summary["tts"]["mcd"] == 4.25
    characters = len("TWENTY ONE DOGS ISN'T IT") + len("A SCRIPT HERE")
    assert summary["tts"]["round_trip_cer"] == pytest.approx(100 / characters)
    assert summary["tts"]["recordings_cer"] == pytest.approx(300 / characters)
    assert summary["seconds"] == {"asr1/asr_train": 61.5, "tts1/tts_train": 30.0, "round_trip": 9.5}
    assert summary["total_seconds"] == summary["wall_seconds"] == 101.0
    assert {"python", "torch", "espnet", "espnet_ext", "platform"} <= set(summary["versions"])
    for figure in ("50.0 %", "66.7 %", "4.25 dB", "12.5", "1m02s", "1m41s", "4.00 – 4.50"):
        assert figure in plain(page), figure
    assert page.count("<audio") == 2 + 2 * 2  # wrong sentences; synthesis and recording of two
    assert page.count("<polyline") >= 3 * 5
    assert "HELLO" in page and "Commands of asr1" in page
    assert checker.unnamed == []


def test_speech_made_of_the_recordings_spectrograms_stands_between(sources, job):
    made = job / "tts1/exp/tts_small/decode"
    shutil.copytree(made / "eval1", made / "griffin_lim/eval1")
    scores = json.loads((made / "scores.json").read_text())
    metric = {"mean": 1.5, "interval_95": [1.0, 2.0], "utterances": 2}
    scores["beside"] = {
        "recording/eval1": {"mcd": {"mean": 0.0}},
        "griffin_lim/eval1": {"mcd": metric},
    }
    (made / "scores.json").write_text(json.dumps(scores))
    write_report(sources, job / "report", "x")
    page = (job / "report/report.html").read_text()
    heads = [
        page.index(f"<h4>{x}</h4>") for x in ("recording", "recording by Griffin-Lim", "synthesis")
    ]
    assert heads == sorted(heads)
    assert page.index("recording by Griffin-Lim</th>") < page.index(">1.50</td>")
    summary = json.loads((job / "report/summary.json").read_text())
    assert summary["tts"]["mcd"] == 4.25 and summary["tts"]["mel_correlation"] is None


def test_recipes_that_ran_at_once_count_once_in_the_total(sources, job):
    """asr_train in two attempts from 0 to 40 and 100 to 160 s; tts_train beside them, from 30 to 120 s."""
    spans = [[1000.0, 1040.0], [1100.0, 1160.0]]
    stage(job / "asr1", 11, "asr_train", 100.0, spans=spans)
    end = datetime.fromtimestamp(1120, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S%z")
    stage(job / "tts1", 7, "tts_train", 90.0, finished=end)  # a record without spans
    page, summary = build(sources, job / "out")
    assert summary["seconds"]["asr1/asr_train"] == 100.0
    assert summary["total_seconds"] == 199.5 and summary["wall_seconds"] == 169.5
    assert "2m50s" in plain(page)
    assert "for some ran at the same time" in page and "3m20s" not in plain(page)


def test_stages_that_the_recipe_no_longer_has_are_left_out(sources, job):
    """lm_train was run, then the recipe was run with --use_lm false: its record stays, for later."""
    stage(job / "asr1", 7, "lm_train", 500.0)
    assert build(sources, job / "out")[1]["seconds"]["asr1/lm_train"] == 500.0
    (job / "asr1/exp/.stages/.declared").write_text('{"data": 1, "asr_train": 11}')
    page, summary = build(sources, job / "out")
    assert "asr1/lm_train" not in summary["seconds"] and summary["wall_seconds"] == 101.0
    assert "python -m lm_train" not in page


def test_stages_are_listed_as_they_run(sources, job):
    """An optional stage has a high number wherever it stands."""
    stage(job / "asr1", 24, "audit", 1.0)
    (job / "asr1/exp/.stages/.declared").write_text('{"data": 1, "audit": 24, "asr_train": 11}')
    _, summary = build(sources, job / "out")
    asr = [name for name in summary["seconds"] if name.startswith("asr1/")]
    assert asr == ["asr1/audit", "asr1/asr_train"]


def test_it_needs_nothing_from_elsewhere(sources, job):
    page, _ = build(sources, job / "out")
    checker = checked(page)
    for link in checker.links:
        assert link.startswith(("data:", "#")), link[:60]
        assert not link.startswith("#") or link[1:] in checker.ids
    assert "link" not in checker.tags and "iframe" not in checker.tags
    assert not re.search(r"url\(|@import|https?://", page)
    assert str(job) not in page


def test_wild_texts_do_no_harm(sources, job):
    page, _ = build(sources, job / "out")
    assert checked(page).tags.count("script") == 1  # the page's own
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert "<title>A &lt;title&gt; &amp; more</title>" in page


def test_nulls_for_what_is_missing(sources, job):
    page, summary = build(Sources(asr=sources.asr), job / "out")
    checked(page)
    assert summary["tts"]["mcd"] is None and summary["tts"]["round_trip_cer"] is None
    assert "No synthesiser was trained." in page and "The round trip was not run." in page
    assert "Not measured: Synthesis" in page


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("asr1/exp/lm_small/metrics.jsonl", "Language model: no training curves"),
        ("asr1/exp/asr_small/attention.npz", "No attention picture"),
        ("asr1/exp/asr_small/decode/scores.json", "not scored yet"),
        ("asr1/dump/raw/test/text", "the reference text is missing"),
        ("tts1/exp/tts_small/decode/scores.json", "What it spoke is not scored yet"),
        ("tts1/exp/tts_small/decode/eval1/wav/L1.wav", "synthesis: the audio is missing"),
        ("asr1/exp/.stages/asr_train.json", "tts1/tts_train"),
    ],
)
def test_a_part_that_is_missing_is_named(sources, job, gone, said):
    (job / gone).unlink()
    page, _ = build(sources, job / "out")
    checked(page)
    assert said in page


def test_nothing_at_all_is_an_error(tmp_path):
    empty = Sources(asr=Experiment(tmp_path, None, None))
    with pytest.raises(UserError, match="found no trained model"):
        write_report(empty, tmp_path / "out", "x")
    assert not (tmp_path / "out").exists()


def test_the_same_inputs_give_the_same_page(sources, job):
    assert build(sources, job / "one")[0] == build(sources, job / "two")[0]
