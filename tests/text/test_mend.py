"""Rules for what grammars misread, by themselves."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_ext.text.mend import RULES, mend, roman
from espnet_ext.text.unread import NUMBERED, REIGNS

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
    # short words
    "b/c it is N/A. Attn: Bob, est. 1995": "because it is N A. Attention Bob, established 1995",
    "pg. 12, Rte. 66, Apt. 4B, no. A-12": "page 12, Route 66, Apartment 4B, number A-12",
    "5% p.a. now, N. Main St. or W. 3rd Ave. so": "5% per annum now, North Main Street or West 3rd Avenue so",
    "Rocky II, Final Fantasy VII, John IV": "Rocky 2, Final Fantasy 7, John IV",
    # from one to another
    "Jan.-Mar., April–June, from Jan. to May": "January to March, April to June, from January to May",
    "Mon-Fri, Sat.-Sun. and Mary-Ann": "Monday to Friday, Saturday to Sunday and Mary-Ann",
    "noon-1pm, 7–9 pm, GMT-5": "noon to 1pm, 7 to 9 pm, GMT minus 5",
    "3-Dec-2020, Q1'24, '05": "3 Dec 2020, Q1 24, oh five",
    # money
    "US$500, C$2m, USD 500, Rs. 5": "500 US dollars, 2 million Canadian dollars, 500 dollars, 5 rupees",
    "$5-10, $5-$10, $5/month, $3/gal": "5 to $10, $5-$10, $5 per month, $3 per gallon",
    "twice/day, 365 days/yr, and/or": "twice per day, 365 days per year, and/or",
    # units
    "2 tbsp. oil, 1/4 tsp. salt, 2 1/2 tsp": "2 tablespoons oil, 1/4 teaspoon salt, 2 1/2 teaspoons",
    "2,400 sq. ft. of 3 cu. m": "2,400 square feet of 3 cubic meters",
    "3 1/2 in. nails, a 9x13-in. pan": "3 1/2 inches nails, a 9 by 13 inch pan",
    "6 ft. deep. It is 6 ft.": "6 ft deep. It is 6 ft.",
    "a 30-yr. loan, 220-lb man, 23 kg/50 lbs": "a 30 year loan, 220 pound man, 23 kg or 50 pounds",
    "40 ft x 60 ft, 4x100m, 0x80": "40 ft by 60 ft, 4 by 100 meters, 0x80",
    "10x more, 2.5x faster, I-80 W": "10 times more, 2.5 times faster, I-80 W",
    "1-1/2 cups, 2/3rds": "1 1/2 cups, 2/3",
    "to +10 or +/- 5, x +1": "to plus 10 or plus or minus 5, x +1",
    "1 USD = 2 CAD": "1 dollar equals 2 Canadian dollars",
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
    *"approx. etc. Dr. St. Baker Act I V Messrs. said, No Henry may plain. Fri. J. Jan-Mar. yrs N. Attn: II".split(),
    "\n",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join))
def test_the_short_way_for_plain_lines_leaves_out_no_rule(monkeypatch, text):
    quick = mend(text)
    with monkeypatch.context() as patch:
        patch.setattr("espnet_ext.text.mend._NOTHING", re.compile("(?!)"))
        assert mend(text) == quick
