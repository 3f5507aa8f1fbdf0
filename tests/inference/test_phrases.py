"""Texts in phrases."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.inference.phrases import (
    CLAUSE,
    NOWHERE,
    PARAGRAPH,
    SENTENCE,
    Phrase,
    early,
    halves,
    phrases,
    sentences,
)

WILD = st.text(st.sampled_from("ab .,!?\n。、é́👩‍👧—\"'A1") | st.characters(), max_size=80)


@given(WILD, st.integers(1, 30), st.booleans(), st.booleans())
def test_nothing_is_lost_and_nothing_is_too_long(text, longest, apart, soon):
    found = list(phrases(text, lambda t: len(t.strip()), longest, apart, soon))
    assert "".join(p.text for p in found) == text
    # two characters that belong together are all that may not fit
    assert all(len(p.text.strip()) <= max(longest, 1) or _one_character(p.text) for p in found)


def _one_character(text):
    import unicodedata

    inside = text.strip()
    joined = [
        c for c in inside[1:] if unicodedata.category(c)[0] == "M" or c in "\u200d\ufe0e\ufe0f"
    ]
    return len(joined) >= (len(inside) - 1) / 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
        ("Dr. No met J. R. Smith, e.g. here.", None),
        ("It is 3.5 km. Then", ["It is 3.5 km. ", "Then"]),
        ("He said so... and went", None),
        ("one. two! three", ["one. ", "two! ", "three"]),
        ('"Stop." He left.', ['"Stop." ', "He left."]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("नमस्ते। फिर मिलेंगे।", ["नमस्ते। ", "फिर मिलेंगे।"]),
        ("هل؟ نعم.", ["هل؟ ", "نعم."]),
        (
            "Курс 3 руб. за кг. Дальше и т. д. и другие.",
            ["Курс 3 руб. за кг. ", "Дальше и т. д. и другие."],
        ),
        ("А. С. Пушкин. é. Ça", ["А. С. Пушкин. é. ", "Ça"]),
        ("速度は３．５です．次，１，０００円．", ["速度は３．５です．", "次，１，０００円．"]),
        ("dr. no met st. james. then", ["dr. no met st. james. ", "then"]),
        ('He asked "Dr. No?" Plan B! Yes', ['He asked "Dr. No?" ', "Plan B! ", "Yes"]),
        ("a heading\n\nthe text", ["a heading\n\n", "the text"]),
        ("a line\nthat goes on", None),
    ],
)
def test_sentences_of_many_scripts(text, expected):
    assert [p.text for p in sentences(text)] == (expected or [text])


def test_pauses_say_what_kind_of_end_it_was():
    text = "One, two three four five six. Seven.\n\nEight"
    found = list(phrases(text, len, 16))
    assert [(p.text, p.pause) for p in found] == [
        ("One, two three ", NOWHERE),
        ("four five six. ", SENTENCE),
        ("Seven.\n\n", PARAGRAPH),
        ("Eight", PARAGRAPH),
    ]
    (first, second) = phrases("One two, three four", len, 12)
    assert (first.text, first.pause) == ("One two, ", CLAUSE) and second.text == "three four"


def test_a_stream_begins_with_a_clause():
    text = "When the sun had gone down, and it was dark, they went home. All slept."
    found = [p.text for p in phrases(text, len, 400, apart=True, soon=True)]
    assert found[0] == "When the sun had gone down, " and found[2] == "All slept."
    assert [p.text for p in phrases("Yes. No.", len, 400, True, True)] == ["Yes. ", "No."]
    assert [p.text for p in phrases(text, len, 400)] == [text]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            "They walked on past St. James and J. Smith, then home again",
            "They walked on past St. James and J. Smith, ",
        ),
        (
            "距離は３．５から１，０００まで時刻は１２：３０から，そして帰る道のりは長い",
            "距離は３．５から１，０００まで時刻は１２：３０から，",
        ),
    ],
)
def test_clauses_keep_names_and_numbers_whole(text, first):
    found = list(phrases(text, len, len(text) - 1))
    assert found[0] == Phrase(first, CLAUSE)
    assert early(Phrase(text), 1)[0].text == first


@pytest.mark.parametrize(
    "run", ["." * 20000, " " * 20000, "a" + " " * 20000 + "b", "\n " * 10000, "Dr. " * 5000]
)
def test_long_runs_of_one_sign_take_no_time(run):
    """Twenty thousand took 5 seconds of a free core."""
    start = time.process_time()
    assert "".join(p.text for p in sentences(run)) == run
    assert halves(Phrase("b" + run + "a")) is not None
    assert time.process_time() - start < 1
