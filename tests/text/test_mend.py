"""Rules for what grammars misread, by themselves."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_ext.text.lexicon import NUMBERED, REIGNS
from espnet_ext.text.mend import RULES, mend, roman

MENDED = {
    # Saint and Street, Doctor and Drive
    "St. Paul lives on Baker St. near St. Ann": "Saint Paul lives on Baker Street near Saint Ann",
    "down Main St. He left": "down Main Street He left",
    "Dr. Who of Elm Dr. came": "Dr. Who of Elm Drive came",
    "Park Ave. or Mill Rd.": "Park Avenue or Mill Road",
    # No. the number and No. the answer
    "No. 7 and nos. 3 and 4": "Number 7 and numbers 3 and 4",
    "No. I won't. I like it. No one does.": "No. I won't. I like it. No one does.",
    "#1 but #tag": "number 1 but #tag",
    "I said no. 7 left. He is no. 8": "I said no. 7 left. He is number 8",
    "Modern art. 5 came. See art. 5 or Art. 6": "Modern art. 5 came. See article 5 or Article 6",
    "AT&T has Q&A, B&Bs": "A T and T has Q and A, B&Bs",
    "the 5th-6th of May, 1st – 2nd": "the 5th to 6th of May, 1st to 2nd",
    "Dr. Wu, M.D., of M.D. Smith": "Dr. Wu, M D, of M D Smith",
    "w/ milk, w/o sugar": "with milk, without sugar",
    "pp. 3-5 of vol. 2": "pages 3 to 5 of volume 2",
    "It is approx. right, etc.": "It is approximately right, et cetera.",
    # initials
    "J. R. R. Tolkien and J.K. Rowling": "J R R Tolkien and J K Rowling",
    "George W. Bush of the U.S. today": "George W Bush of the U S today",
    # roman numerals
    "Henry VIII and Pope Pius XII": "Henry the eighth and Pope Pius the twelfth",
    "Chapter IV of Act I, World War II": "Chapter 4 of Act 1, World War 2",
    "Malcolm X, an IV drip, and I": "Malcolm X, an IV drip, and I",
    "Charles I, Mary I. Smith and Paul I of Y": "Charles the first, Mary I Smith and Paul the first of Y",
    # dates, times
    "Aug. 3-5": "August third to fifth",
    "in 2023/24 but 2023/11": "in twenty twenty three twenty four but 2023/11",
    "May 5 people come? On May 5 at noon": "May five people come? On May 5 at noon",
    # money and units
    "50¢, 12 EUR, 3,50 €": "50 cents, 12 euros, €3.50",
    "a $3m house, €2m. £2.5bn": "a 3 million dollars house, 2 million euros. 2.5 billion pounds",
    "$60k and $100-a-day": "60 thousand dollars and 100 dollar a day",
    "5 km/h, 1 m/s, 7 l/100 km": "5 kilometers per hour, 1 meter per second, 7 liters per 100 kilometers",
    "8GB, 60 W, 5 m but 5'5": "8 gigabytes, 60 watts, 5 meters but 5'5",
    "6'2\" tall, 5 ft 6 in tall": "6 feet 2 inches tall, 5 ft 6 inches tall",
    "80 kg, 5 mg/kg": "80 kg, 5 milligrams per kilogram",
    # telephones and codes
    "call 911 or 555-1234": "call nine one one or five five five, one two three four",
    "+44 20 7946 0958": "plus four four, two zero, seven nine four six, zero nine five eight",
    "Python 3.11.4 on 1.2.2020": "Python 3 point 11 point 4 on 1.2.2020",
    # ranges and signs
    "6-12 may go, 3–4 days, 5-3-1": "6 to twelve may go, 3 to 4 days, 5-3-1",
    "2010–2015": "2010 to 2015",
    "a 747-400, 5%-10% and 9/11": "a 747-400, 5% to 10% and 9 11",
    "v2.1 in 9.8s, 80 s": "version 2 point 1 in 9.8 seconds, 80 s",
    "the 1990's 2nd-largest": "the 1990s 2nd largest",
    "3:1 at 3:15, 24/7 and 50/50": "3 to 1 at 3:15, 24 7 and 50 50",
    "10^3, 5^2, 2^-8": "10 cubed, 5 squared, 2 to the power of minus 8",
    "1≤2=3, x > 5, y=-3": "1 less than or equal to 2 equals 3, x greater than 5, y equals -3",
    "~50 Gizmo™": "approximately 50 Gizmo",
    'She said "I am 5" and left a 12" pipe': 'She said “I am 5” and left a 12" pipe',
    "١٢ and ２": "12 and 2",
}  # fmt: skip


@pytest.mark.parametrize("written", MENDED)
def test_what_a_rule_writes_instead(written):
    assert mend(written) == MENDED[written]


def test_each_rule_has_a_name_of_its_own():
    names = [name for name, _, _ in RULES]
    assert len(set(names)) == len(names)


@given(st.integers(1, 99))
def test_roman_numerals(value):
    # the third is thirty, not something left to do
    tens = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"][value // 10]
    ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"][value % 10]
    assert roman(tens + ones) == value
    assert mend(f"Chapter {tens}{ones} ends") == f"Chapter {value} ends"


CAPITALISED = st.text("ivxlcdmorke", min_size=0, max_size=5)


@given(st.sampled_from([*NUMBERED, *REIGNS, "King George"]), st.sampled_from("IVXLCD"), CAPITALISED)
def test_a_capital_after_a_name_is_no_numeral_of_nothing(word, first, rest):
    text = f"{word} {first}{rest} came"
    assert mend(text).startswith(word)
    if rest:
        assert mend(text) == text


@given(st.lists(st.sampled_from("the cat may don't May, said well-known Mary? (no)".split())))
def test_plain_words_stay(words):
    assert mend(" ".join(words)) == " ".join(words)


PIECES = [
    *"approx. etc. Dr. St. Baker Act I V Messrs. said, No Henry may plain. Fri. end. J.".split(),
    "\n",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join))
def test_the_short_way_for_plain_lines_leaves_out_no_rule(monkeypatch, text):
    quick = mend(text)
    with monkeypatch.context() as patch:
        patch.setattr("espnet_ext.text.mend._NOTHING", re.compile("(?!)"))
        assert mend(text) == quick
