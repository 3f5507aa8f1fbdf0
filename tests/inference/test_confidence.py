"""Words, their times and how sure the recogniser is of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.datadir import read_table
from espnet_ext.inference.confidence import Platt, agreement, described, fit, word_numbers
from espnet_ext.inference.decode import decode_sets
from espnet_ext.inference.results import NOTHING, Hypothesis, Recognition
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.search.align import Path
from espnet_ext.text.tokens import TextPipeline

CHARS = TextPipeline("char", ["<blank>", "<unk>", "<space>", "a", "b", "<sos/eos>"])


def written(text, score=-1.0):
    ids = CHARS.ids(text)
    return Hypothesis(text, tuple(CHARS.token_list[i] for i in ids), tuple(ids), score)


@settings(deadline=None)
@given(st.text("ab ", max_size=12))
def test_each_token_belongs_to_the_word_it_stands_in(text):
    words, numbers = text.split(), word_numbers(CHARS.ids(text), CHARS.text)
    assert len(numbers) == len(text)
    for number, word in enumerate(words):
        inside = [c for c, n in zip(text, numbers, strict=True) if n == number and c != " "]
        assert "".join(inside) == word


def test_a_words_confidence_is_that_of_all_its_tokens_and_its_time_theirs():
    path = Path(np.array([[0, 1], [2, 4], [5, 6], [8, 10]]), np.array([0.9, 0.5, 0.7, 0.8]), -3.0)
    found = described([written("ab b")], path, 0.04, CHARS.text, Platt())
    assert [w.text for w in found.words] == ["ab", "b"]
    assert [w.confidence for w in found.words] == pytest.approx([0.9 * 0.5 * 0.7, 0.8], abs=1e-5)
    assert [(w.start, w.end) for w in found.words] == [(0.0, 0.24), (0.32, 0.4)]
    assert [p.text for p in found.pieces] == ["a", "b", "<space>", "b"]
    assert [p.confidence for p in found.pieces] == pytest.approx([0.9, 0.5, 0.7, 0.8], abs=1e-5)
    assert found.confidence == pytest.approx((0.315 + 0.8) / 2, abs=1e-5)


def test_without_ctc_the_list_agrees_or_not():
    every = [written("a b", np.log(0.5)), written("a a", np.log(0.3)), written("b", np.log(0.2))]
    assert agreement(every) == pytest.approx([0.8, 0.7])
    found = described(every, None, 0.04, CHARS.text, Platt())
    assert [w.confidence for w in found.words] == pytest.approx([0.8, 0.7], abs=1e-5)
    assert all(w.start is None and w.end is None for w in found.words)
    alone = written("a b", -2.0)
    assert agreement([alone]) == pytest.approx([np.exp(-0.5)] * 2)


def test_nothing_has_no_words():
    assert described([NOTHING], None, 0.04, CHARS.text, Platt()) == NOTHING
    assert Recognition().confidence == 0.0 and Recognition().text == ""


@pytest.mark.parametrize(("scale", "shift"), [(0.4, 0.3), (1.0, 0.0), (1.7, -0.8)])
def test_the_scale_and_shift_that_made_words_right_are_found(scale, shift):
    random = np.random.default_rng(0)
    sure = random.uniform(0.02, 0.98, 20_000)
    honest = np.array(Platt(scale, shift)(sure))
    found = fit(sure, random.random(len(sure)) < honest)
    assert found.scale == pytest.approx(scale, rel=0.08)
    assert found.shift == pytest.approx(shift, abs=0.08)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=20))
def test_whatever_is_fitted_gives_probabilities_in_order(words):
    sure, right = zip(*words, strict=True)
    found = fit(sure, right)(sorted(sure))
    assert all(0 <= p <= 1 for p in found) and found == sorted(found)


@pytest.fixture(scope="module")
def recogniser(tiny):
    return Speech2Text.from_dir(
        tiny.model("asr"), options=DecodeOptions(beam_size=3, lm_weight=0.0)
    )


def test_times_lie_in_the_sound_one_after_another(tiny, recogniser):
    samples, rate = soundfile.read(tiny.valid / "wav/valid-01.wav")
    found = recogniser(samples)
    assert found.seconds == pytest.approx(len(samples) / rate) and found.words
    edges = [t for p in found.tokens for t in (p.start, p.end)]
    assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= found.seconds + 1e-3
    assert " ".join(w.text for w in found.words) == found.text.strip()
    assert all(0 < p.confidence < 1 for p in (*found.tokens, *found.words))


def test_decoding_writes_them(tiny, recogniser, tmp_path):
    decode_sets(recogniser, tiny.valid.parent, ["valid"], tmp_path, 1, 1)
    text, sure, detail = (
        read_table(tmp_path / "valid" / name, empty=True)
        for name in ("text", "confidence", "detail")
    )
    for utt, words in text.items():
        found = json.loads(detail[utt])
        assert [row[0] for row in found["words"]] == words.split()
        assert [float(c) for c in sure[utt].split()] == [row[3] for row in found["words"]]
        assert len(found["tokens"]) == len(read_table(tmp_path / "valid/token")[utt].split())
