"""The grammar of the embedded corpora."""

import re
from collections import Counter
from itertools import islice

import pytest

from espnet_ext.corpora.mini import COUNTS, draw
from espnet_ext.corpora.sentences import Grammar, number, ordinal, sentences, suffixed


@pytest.fixture(scope="module")
def drawn():
    return draw(COUNTS)


def test_sets_are_disjoint_and_the_same_every_time(drawn):
    every = [s.transcript for part in drawn.values() for s in part]
    assert len(set(every)) == len(every) == sum(COUNTS.values())
    assert draw(COUNTS) == drawn
    assert drawn["train"][0].transcript == "MISSUS MILLER COUNTED FORTY SIX BLACK BOXES"


def test_every_word_of_the_other_sets_is_frequent_in_train(drawn):
    known = Counter(word for s in drawn["train"] for word in s.transcript.split())
    assert 240 <= len(known) <= 300
    for part in ("dev", "test", "tts"):
        assert min(known[w] for s in drawn[part] for w in s.transcript.split()) >= 5


def test_written_forms_have_figures_and_abbreviations_spoken_ones_none(drawn):
    written = " ".join(s.written for s in drawn["train"])
    for piece in ("Dr. ", "Mrs. ", "$", "£", "%", " kg", " km", "No. ", ":05", "rd", "1st", ","):
        assert piece in written
    for sentence in drawn["train"] + drawn["tts"]:
        assert re.fullmatch(r"[A-Z][A-Za-z' -]*[.?]", sentence.spoken), sentence
        assert re.fullmatch(r"[A-Z' ]+", sentence.transcript)


def test_numbers_against_num2words():
    num2words = pytest.importorskip("num2words").num2words
    for value in [*range(100), 100, 101, 900, 999, 1000, 1100, 9900, 12345, 999999]:
        assert number(value) == num2words(value).replace(" and ", " ").replace(",", "")
    for value in range(1, 32):
        assert ordinal(value) == num2words(value, to="ordinal")
        assert suffixed(value) == num2words(value, to="ordinal_num")


@pytest.mark.parametrize(
    ("slot", "pattern"),
    [
        ("money", r"[$£]\d+(\.\d\d)? = [a-z-]+ (dollars|pounds)( and [a-z-]+ cents)?"),
        ("time", r"\d\d?:\d\d = [a-z]+ (o'clock|oh five|[a-z]+(-five)?)"),
        ("date", r"[A-Z][a-z]+ \d\d?(st|nd|rd|th) = [A-Z][a-z]+ [a-z-]+"),
        ("year", r"1[789]\d\d = (seven|eigh|nine)teen [a-z-]+"),
        ("thousands", r"\d,\d00 = [A-Z][a-z]+ thousand [a-z]+ hundred"),
    ],
)
def test_slots(slot, pattern):
    grammar = Grammar(7)
    for _ in range(200):
        assert re.fullmatch(pattern, " = ".join(grammar.slot(slot)))


def test_sentences_of_unknown_words_are_passed_over():
    known = Counter({w: 5 for s in islice(sentences(1, set()), 50) for w in s.transcript.split()})
    for sentence in islice(sentences(2, set(), known), 10):
        assert set(sentence.transcript.split()) <= known.keys()
