"""Selections by text and length."""

from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.suites.texts import (
    SELECTIONS,
    Texts,
    disfluent,
    long,
    rare_characters,
    rare_words,
    short,
    technical,
)

SAID = {
    "u1": "THE CAT SAT",
    "u2": "UM THE THE CARBURETTOR",
    "u3": "I I WENT THERE THERE",
    "u4": "B B THREE THREE",
    "u5": "he was <uh> th- there",
    "u6": "A NAÏVE GUESS",
    "u7": "THE SPARK PLUG OF IT",
}


def test_rare_words():
    trained = ["THE CAT SAT THERE I WENT"] * 3 + ["CARBURETTOR B THREE UM", "CARBURETTOR"]
    found = rare_words(Texts(SAID, {}, trained))
    assert "u1" not in found and found["u2"] == ["UM", "CARBURETTOR"] and "u3" not in found
    assert rare_words(Texts(SAID, {})) == {}


def test_rare_characters():
    found = rare_characters(
        Texts(SAID, {}, ["THE QUICK BROWN FOX JUMPS OVER A LAZY DOG WITH <UH> AND B- "] * 3)
    )
    assert found == {"u6": ["NAÏVE"]}


def test_terms_of_several_words():
    found = technical(Texts(SAID, {}, terms=["spark plug", "Carburettor", "gear box"]))
    assert found == {"u2": ["CARBURETTOR"], "u7": ["SPARK", "PLUG"]}


def test_disfluencies_are_hesitations_broken_and_repeated_words():
    found = disfluent(Texts(SAID, {}))
    assert found == {"u2": ["UM", "THE"], "u3": ["I"], "u5": ["<uh>", "th-"]}


def test_lengths():
    texts = Texts(SAID, {"u1": 0.9, "u2": 1.5, "u3": 20.0})
    assert (set(short(texts)), set(long(texts))) == ({"u1", "u2"}, {"u3"})


@settings(deadline=None)
@given(
    st.dictionaries(st.text("ab", min_size=1), st.text()), st.lists(st.text()), st.lists(st.text())
)
def test_selections_are_parts_with_words_of_theirs(said, trained, terms):
    texts = Texts(said, dict.fromkeys(said, 1.0), trained, terms)
    for choose, what in SELECTIONS.values():
        for utt, words in choose(texts).items():
            assert set(words) <= set(said[utt].split()) and what
