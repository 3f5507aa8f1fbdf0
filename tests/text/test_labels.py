"""Label styles: numbers, punctuation, case."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.text import wfst
from espnet_ext.text.inverse import write
from espnet_ext.text.labels import LabelStyle, drop_punctuation
from espnet_ext.text.spoken import Speaker

TEXT = "Well-known?  It's O’Neil's: $5 (a lot)."
REGEX = Speaker("regex")


def test_styles():
    upper = LabelStyle(punctuation="drop", case="upper", speaker=REGEX)
    assert upper(TEXT) == "WELL KNOWN IT'S O'NEIL'S FIVE DOLLARS A LOT"
    assert LabelStyle("keep")(TEXT) == "Well-known? It's O’Neil's: $5 (a lot)."
    assert LabelStyle("keep", "drop", "lower")("At 10:30, 3.5 KM!") == "at 10:30 3.5 km"


def test_an_unknown_choice():
    with pytest.raises(UserError, match="found case 'title', expected one of keep, lower, upper"):
        LabelStyle(case="title")


@given(st.text() | st.text(string.punctuation + "a'1 ’é你"))
def test_letters_stay_and_signs_go(text):
    bare = drop_punctuation(text)
    assert [c for c in bare if c.isalnum()] == [c for c in text if c.isalnum()]
    rest = {c for c in bare if not c.isalnum() and unicodedata.category(c)[0] in "PSZC"}
    assert rest <= set(" '.,:") and drop_punctuation(bare) == bare


# -- digits ----------------------------------------------------------------------------------------


def test_case_comes_back_behind_the_inverse_grammars(monkeypatch):
    answers = {"ann paid twenty dollars": "ann paid $20", "odd [": None}

    def read(text):
        if answers[text] is None:
            raise wfst.Unreadable(text)
        return answers[text]

    monkeypatch.setattr(wfst, "installed", lambda: True)
    monkeypatch.setattr(wfst, "written", lambda: read)
    assert write("Ann paid twenty dollars") == "Ann paid $20"
    assert write("ANN PAID TWENTY DOLLARS") == "ANN PAID $20"
    answers["we may go in may for will ."] = "we may go in may for will ."
    assert write("We may go in May for Will .") == "We may go in May for Will."
    assert write("Odd [") == "Odd [" and write(" ") == ""


def test_digits_need_the_grammars(monkeypatch):
    monkeypatch.setattr(wfst, "installed", lambda: False)
    with pytest.raises(UserError, match="nemo_text_processing"):
        LabelStyle("digits")("twenty")


@pytest.mark.slow
@pytest.mark.skipif(not wfst.installed(), reason="pynini or nemo_text_processing missing")
def test_digits_with_the_grammars():
    digits = LabelStyle("digits")
    assert digits("we paid twenty three dollars in twenty twenty one") == "we paid $23 in 2021"
    assert digits("ONE HUNDRED TWENTY THREE BOOKS") == "123 BOOKS"
