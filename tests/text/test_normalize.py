"""English text as spoken."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from espnet_ext.text import numbers
from espnet_ext.text.normalize import Normalizer, normalize

SENTENCES = {
    # cardinals, ordinals, decimals, fractions
    "I have 0, 7 and 42 books": "I have zero, seven and forty-two books",
    "about 1,234 of 1000007": "about one thousand two hundred thirty-four of one million seven",
    "1,200 people came.": "One thousand two hundred people came.",
    "the 1st, 2nd, 23rd and 100th": "the first, second, twenty-third and one hundredth",
    "pi is 3.14, not .5": "pi is three point one four, not point five",
    "version 1.2.3": "version one point two point three",
    "1/2, 3/4 and 2/3 of it": "One half, three quarters and two thirds of it",
    "3 1/2 cups or 5½": "Three and a half cups or five and a half",
    "7/365": "Seven over three hundred sixty-five",
    "1/0": "One over zero",
    "agent 007": "agent zero zero seven",
    "-5 or (−3) but 5-10": "minus five or (minus three) but five to ten",
    "MP3 and B2B": "MP three and B two B",
    # years
    "in 1900, 1905, 1984, 2000, 2005 and 2021": "in nineteen hundred, nineteen oh five, nineteen "
    "eighty-four, two thousand, two thousand five and twenty twenty-one",
    "the 1990s and the '80s": "the nineteen nineties and the eighties",
    "1914-1918": "Nineteen fourteen to nineteen eighteen",
    # dates
    "on March 3rd": "on March third",
    "on Mar. 3, 2021, at noon": "on March third, twenty twenty-one, at noon",
    "on 3/4/2021": "on March fourth, twenty twenty-one",
    "on 2021-03-04.": "on March fourth, twenty twenty-one.",
    "on 3 March and on the 4th of May": "on the third of March and on the fourth of May",
    "it is 13/45/2021": "it is thirteen forty-five twenty twenty-one",
    # times
    "at 10:30, 10:05 and 10:00": "at ten thirty, ten oh five and ten o'clock",
    "at 10:30 a.m. or 5 p.m. today": "at ten thirty a m or five p m today",
    "at 5pm and 7 AM": "at five p m and seven a m",
    "We met at 5 p.m.": "We met at five p m.",
    "at 15:00 and 0:45": "at fifteen hundred and zero forty-five",
    # money
    "$1, $25.50 and $0.99": "One dollar, twenty-five dollars and fifty cents and ninety-nine cents",
    "£1.01 and 5€": "One pound and one penny and five euros",
    "$3.5 million": "Three point five million dollars",
    # telephone numbers
    "call 555-1234": "call five five five, one two three four",
    "(555) 123-4567": "five five five, one two three, four five six seven",
    # units and signs
    "5 kg, 1 km and 2.5 mi": "Five kilograms, one kilometer and two point five miles",
    "at 60 km/h, 20°C, 100 kHz": "at sixty kilometers per hour, twenty degrees Celsius, "
    "one hundred kilohertz",
    "a room of 20 m²": "a room of twenty square meters",
    "50% of R&D @ home": "Fifty percent of R and D at home",
    # abbreviations
    "Dr. Smith and Mrs. Brown": "Doctor Smith and Missus Brown",
    "Main St. near St. Paul": "Main Street near Saint Paul",
    "He lives on Elm Dr.": "He lives on Elm Drive.",
    "cats, dogs, etc.": "cats, dogs, et cetera.",
    "e.g. No. 5 or #7": "for example number five or number seven",
    # typography
    "“It’s fine”—he said…": "\"It's fine\" - he said...",
    "２５ ١٢": "Twenty-five twelve",
}  # fmt: skip


@pytest.mark.parametrize("written", SENTENCES)
def test_sentences(written):
    assert normalize(written) == SENTENCES[written]


def test_british_numbers_and_dates():
    british = Normalizer(british=True, day_first=True)
    assert british("101 of 1,001") == "One hundred and one of one thousand and one"
    assert british("3/4/2021") == "April third, twenty twenty-one"


def test_text_without_anything_to_say_stays():
    text = "Plain words, with punctuation: don't change! Really? (no)"
    assert normalize(text) == text
    assert normalize("") == "" and normalize(" \n ") == ""


def test_the_sentences_of_the_small_run():
    sentences = pytest.importorskip("espnet_ext.corpora.sentences").sentences
    pairs = list(itertools.islice(sentences(1, set()), 400))
    wrong = [(s.written, normalize(s.written), s.spoken) for s in pairs]
    assert [w for w in wrong if w[1] != w[2]] == []


NUMBERS = [
    "0",
    "1",
    "5",
    "12",
    "30",
    "1990",
    "2005",
    "007",
    "3.5",
    ".5",
    "1,000",
    "½",
    "１",
    "٣",
    "①",
]
SIGNS = list("$£€%&@#+-/:.,'\"()²…–—™\u0301\u200b\n")
WORDS = ["st", "th", "s", "p.m.", "am", "St.", "Dr.", "No.", "etc.", "March", "Mar.", "kg", "km/h"]
MORE = ["m²", "°C", "a", "I", "A", "x", "half", "ⅷ", "𐩀", " "]
PIECES = st.sampled_from([*NUMBERS, *SIGNS, *WORDS, *MORE])
ANY = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=12).map("".join))


@settings(max_examples=500, deadline=None)
@given(ANY)
@example("1" * 400)
@example("1,234,567." * 20)
def test_any_text_becomes_words_and_stays_so(text):
    said = normalize(text)
    assert not any(c.isdigit() for c in said)
    assert normalize(said) == said
    assert said == " ".join(said.split())


@settings(deadline=None)
@given(st.integers(0, 10**15 - 1))
def test_cardinals_equal_num2words(value):
    from num2words import num2words

    expected = num2words(value).replace(",", "")
    assert numbers.cardinal(str(value), british=True) == expected
    assert numbers.cardinal(f"{value:,}") == expected.replace(" and ", " ")


@settings(deadline=None)
@given(st.integers(1001, 2099))
def test_years_are_short_and_have_no_sign(value):
    said = numbers.year(str(value))
    assert set(said) <= set("abcdefghijklmnopqrstuvwxyz- ")
    assert "thousand" not in said or 2000 <= value < 2010


def test_long_numbers_are_read_digit_by_digit():
    assert numbers.cardinal("1" * 16) == " ".join(["one"] * 16)
    assert numbers.spell("90-1") == "nine zero, one"
