"""Parts of the page, one by one."""

from __future__ import annotations

import base64
import math
import os
import re
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.metrics.confusion import confusions
from espnet_ext.metrics.spelling import Spelling, spelling_of
from espnet_ext.metrics.wer import align
from espnet_ext.report import synthesis
from espnet_ext.report.curves import chart, ticks
from espnet_ext.report.markup import esc, table
from espnet_ext.report.mistakes import align_all, aligned_html, worst
from espnet_ext.report.pictures import FLOOR_DB, png, short_time_power, spectrogram
from espnet_ext.report.pitch import contour, highest, lines
from espnet_ext.report.round_trip import write_data
from espnet_ext.report.sound import Players
from espnet_ext.report.sources import find_experiment, read_history
from espnet_ext.report.summary import pooled, wilson
from espnet_ext.report.synthesis import spread


@given(st.text())
def test_escaped_text_holds_no_markup(text):
    assert not set(esc(text)) & set("<>\"'\x00\x1b")


def test_a_tables_numbers_stand_on_the_right():
    assert '<th scope="col" class="n">b</th>' in table(("a", "b"), [("x", 1)])
    assert '<td>x</td><td class="n">1</td>' in table(("a", "b"), [("x", 1)])


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_within(low, span):
    found = ticks(low, low + span)
    assert len(found) <= 7
    slack = 1e-6 * max(abs(low), span) + 1e-9
    assert all(low - slack <= tick <= low + span + slack for tick in found)


def test_a_chart_leaves_out_what_is_not_finite():
    drawn = chart("loss", {"train": [(1, 2.0), (2, math.nan), (3, 1.0)], "valid": []})
    assert drawn.count("<circle") == 2 and "nan" not in drawn and "valid" not in drawn
    assert chart("loss", {"train": [(1, math.inf)]}) == ""
    assert "<polyline" in chart("one epoch", {"train": [(1, 2.0)]})


def test_the_worst_sentences_come_first():
    aligned = align_all({"a": "x y", "b": "x y z", "c": "x"}, {"a": "x", "b": "", "c": "x"})
    assert worst(aligned, 5) == ["b", "a"]
    assert worst(aligned, 1) == ["b"]
    assert confusions(aligned.values())[("D", "y", "")] == 2


def test_errors_are_marked_by_letter_too():
    shown = aligned_html(align("a b c".split(), "a x c d".split()))
    assert re.findall(r"<u>(.)</u>", shown) == ["S", "I"]
    assert '<span class="w S" title="substituted"><b>b</b><i>x</i>' in shown


def test_low_sounds_are_drawn_low():
    times = np.arange(16000) / 16000
    power = short_time_power(np.sin(2 * np.pi * 1000 * times).astype(np.float32), 16000)
    assert power.shape == (257, 100)
    assert power.mean(axis=1).argmax() == 32  # 1000 Hz of 8000 Hz in 256 steps
    assert FLOOR_DB > 0


@pytest.mark.parametrize("samples", [np.zeros(8000), np.zeros(1), np.full(100, 0.5)])
def test_silence_and_crumbs_can_be_drawn(samples):
    assert "data:image/png" in spectrogram(samples.astype(np.float32), 16000, 0.5, "silence")


def test_the_melody_is_drawn_where_it_is():
    pytest.importorskip("pyworld")
    times = np.arange(16000) / 16000
    wave = sum(np.sin(2 * np.pi * 200 * k * times) / k for k in range(1, 12)) * 0.1
    wave[7000:9000] = 0.0
    found = contour(wave.astype(np.float32), 16000)
    assert found is not None and highest([found, None]) == 300.0 and highest([None]) == 200.0
    drawn = lines(found, 1.0, 400.0)
    assert len(drawn) >= 2  # a pause ends a line
    points = np.array([point for line in drawn for point in line])
    assert np.median(points[:, 1]) == pytest.approx(0.5, abs=0.01)
    assert not ((points[:, 0] > 0.46) & (points[:, 0] < 0.54)).any()
    svg = spectrogram(wave.astype(np.float32), 16000, 1.0, "a", pitch=(found, 400.0))
    assert svg.count('class="over"') == len(drawn) and "400 Hz" in svg
    assert contour(np.zeros(16000, np.float32), 16000) is None
    assert contour(np.zeros(0, np.float32), 16000) is None


def test_a_large_matrix_is_thinned_out():
    import matplotlib.image

    data = base64.b64decode(png(np.eye(3000)).partition(",")[2])
    height, width, _ = matplotlib.image.imread(BytesIO(data)).shape
    assert 400 < height <= 900 and width == height


def test_a_player_holds_the_sound_and_a_budget_ends_them():
    samples = (0.1 * np.sin(np.arange(4000) / 5)).astype(np.float32)
    players = Players(12_000)
    found = re.search(r"base64,([^\"]+)", players.player(samples, 8000, "a tone"))
    assert found is not None
    heard, rate = soundfile.read(BytesIO(base64.b64decode(found[1])))
    assert rate == 8000 and np.abs(heard - samples).max() < 1e-4
    assert (
        "left out to keep the page small"
        in [players.player(samples, 8000, "x") for _ in range(9)][-1]
    )


def test_rates_of_several_sets_are_pooled():
    one = {"words": 10, "substitutions": 1, "deletions": 0, "insertions": 0, "interval_95": [0, 20]}
    two = {
        "words": 30,
        "substitutions": 0,
        "deletions": 6,
        "insertions": 1,
        "interval_95": [10, 30],
    }
    assert pooled({"sets": {"a": {"wer": one}}}, "wer") == (10.0, [0, 20])
    assert pooled({"sets": {"a": {"wer": one}, "b": {"wer": two}}}, "wer") == (20.0, None)
    assert pooled(None, "wer") == pooled({"sets": {"a": {"wer": one}}}, "ter") == (None, None)


@given(st.integers(1, 500), st.data())
def test_wilsons_interval_holds_the_share(whole, data):
    part = data.draw(st.integers(0, whole))
    low, high = wilson(part, whole)
    assert 0 <= low <= 100 * part / whole + 1e-9 and 100 * part / whole - 1e-9 <= high <= 100


def test_spread_takes_from_everywhere():
    assert spread(list("abcdefghij"), 3) == ["a", "d", "g"]
    assert spread(["a"], 3) == ["a"]


def test_the_newest_model_and_decoding_are_found(job):
    recipe = job / "asr1"
    newer = recipe / "exp/asr_newer"
    (newer / "decode_b/test").mkdir(parents=True)
    (newer / "config.yaml").write_text("{}")
    (newer / "decode_b/test/text").write_text("u x\n")
    (recipe / "exp/asr_stats_x").mkdir()
    (recipe / "exp/asr_stats_x/config.yaml").write_text("{}")
    for path in (newer / "config.yaml", newer / "decode_b/test/text"):
        os.utime(path, (4e9, 4e9))
    found = find_experiment(str(recipe), "asr")
    assert (found.model, found.decode) == (newer, newer / "decode_b")
    named = find_experiment(f"{recipe}:exp/asr_small:decode", "asr")
    assert named.decode == recipe / "exp/asr_small/decode"


@pytest.mark.parametrize("spec", ["nowhere", "asr1:asr_tiny", "asr1:asr_small:decode_x"])
def test_a_wrong_name_is_an_error_that_lists_the_right_ones(job, spec):
    with pytest.raises(UserError, match="found no such directory"):
        find_experiment(str(job / spec), "asr")


def test_a_broken_history_is_an_error(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(UserError, match="not JSON"):
        read_history(tmp_path)


def test_texts_are_spelled_as_the_recogniser_writes():
    upper = spelling_of(["IT'S ONE", "TWO"])
    assert upper == Spelling("upper", frozenset("'"))
    assert upper("It\u2019s 5 well-known cats, Mr. Lee!") == "IT'S FIVE WELL KNOWN CATS MISTER LEE"
    assert spelling_of(["one two"])("It's Big.") == "its big"
    assert spelling_of(["One, two."])("Yes, it is.") == "Yes, it is."


def test_data_for_the_round_trip(sources, job, monkeypatch):
    monkeypatch.chdir(job)
    (job / "asr1/dump/raw/test/text").write_text("s1-u1 THE CAT SAT <noise>\n")
    write_data(sources.tts, sources.asr, "eval1", job / "data")
    assert "L1 TWENTY ONE DOGS ISNT IT\n" in (job / "data/text").read_text()
    wav = dict(line.split() for line in (job / "data/wav.scp").read_text().splitlines())
    assert all(os.path.isfile(path) for path in wav.values())
    (job / "tts1/dump/raw/eval1/text").write_text("L1 21 Tage\nL2 x\n")
    write_data(sources.tts, sources.asr, "eval1", job / "german", language="de")
    assert "L1 EINUNDZWANZIG TAGE\n" in (job / "german/text").read_text()
    (job / "tts1/dump/raw/eval1/text").write_text("L1 one\n")
    with pytest.raises(UserError, match="found no text of 1 synthesised"):
        write_data(sources.tts, sources.asr, "eval1", job / "data")


def test_a_mean_says_of_how_many_sentences_it_is():
    def pitch(count):
        return {"mean": 12.5, "interval_95": None, "utterances": count}

    sets = {"dev": {"sentences": 17, "f0_deviation": pitch(16)}}
    beside = {"recording/dev": {"sentences": 17, "f0_deviation": pitch(17)}}
    found = synthesis._scores({"sets": sets, "beside": beside})
    assert found.count("12.5") == 2 and found.count("12.5 (16 of 17)") == 1
