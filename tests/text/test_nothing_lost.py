"""Between any two notations the words of a sentence stay, in their order, and nothing is left to read."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from espnet_ext.text import wfst
from espnet_ext.text.labels import LabelStyle
from espnet_ext.text.mend import mend
from espnet_ext.text.spoken import Speaker

WORDS = st.sampled_from("garden river window purple seldom carries harbour whistle Nordic".split())
#: a notation of each class, in several spellings
CLASSES = {
    "number": "42|12,345|-5|007|1,000,000|2,001|3 billion|0",
    "ordinal": "1st|22nd|103rd|5th-6th|1,000th",
    "decimal": "3.14|.5|0.05|1,234.56|-0.25",
    "fraction": "1/2|3 1/4|2½|¾|2/3rds|1-1/2|7/10",
    "date": "3/4/2021|on 5/6|2021-03-04|Dec. 25th|12 April 1961|Jan.-Mar.|the '90s|1914-18|3-Dec-2020",
    "time": "10:30|5:05 p.m.|8 a.m.|9am-5pm|noon-1pm|18:20|7-9 pm|UTC+2",
    "currency": "$5|$19.99|€2bn|£250k|US$500|C$40m|12 EUR|¥500|Rs. 500|$5-10|$1,200/month|50¢|-$2.3m",
    "unit": "5 km/h|2 tbsp.|8 fl oz|2,400 sq. ft.|5 in.|25°C|-10°C|60 W|9.8 m/s^2|30-yr.|6'2\"|4x100m|10 cm x 5 cm",
    "abbreviation": "Dr. Lee|Mrs. Fox|St. Paul|Baker St.|approx.|etc.|e.g.|w/o|b/c|N/A|Inc.|vs.|Sgt. Hill",
    "reference": "No. 7|no. A-12|pp. 3-5|Fig. 2b|pg. 12|Apt. 4B|Rte. 66|#3|§ 5|vol. 2",
    "initials": "J. R. R. Tolkien|U.S.|George W. Bush|Ph.D.",
    "address": "john@example.com|www.example.com/help|https://example.org|a_b1@x.co.uk|photo_01.jpg|8.8.8.8",
    "telephone": "555-1234|(212) 555-0187|1-800-555-0199|+44 20 7946 0958|ext. 42",
    "roman": "Henry VIII|World War II|Chapter IV|Rocky III|XLII",
    "symbol": "&|5%|10-20%|+3.2%|~50|2 + 2 = 4|3 × 4|x > 5|10^3|±2|@anna|#winter|24/7|50/50|3:1|Acme®|a*b|_|\\",
}
NOTATIONS = st.sampled_from([n for row in CLASSES.values() for n in row.split("|")])
SENTENCES = st.lists(st.tuples(WORDS, st.lists(NOTATIONS, max_size=2)), min_size=1, max_size=5)
grammars = pytest.mark.skipif(not wfst.installed(), reason="pynini or nemo_text_processing missing")


def _check(speaker, sentence):
    written = " ".join(" ".join([word, *notations]) for word, notations in sentence)
    said = speaker(written)
    words = iter("".join(c if c.isalpha() else " " for c in said.lower()).split())
    for word, _ in sentence:
        assert word.lower() in words, (written, said)  # an iterator: in this order
    assert not any(c.isdigit() or c in "½¾²" for c in said), (written, said)
    assert said == " ".join(said.split())


@settings(deadline=None, max_examples=250)
@given(SENTENCES)
@example([("garden", ["on 5/6", "10 cm x 5 cm"]), ("river", ["Jan.-Mar.", "30-yr."])])
def test_with_regular_expressions(sentence):
    _check(Speaker("regex"), sentence)


@grammars
@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(SENTENCES)
def test_with_grammars(sentence):
    _check(Speaker("wfst"), sentence)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_class_alone(kind):
    for notation in CLASSES[kind].split("|"):
        for sentence in (notation, f"It is {notation}.", f"{notation}, they said", f"({notation})"):
            said = Speaker("regex")(sentence)
            assert not any(c.isdigit() for c in said), (sentence, said)
            if "said" in sentence:
                assert said.endswith("they said"), (sentence, said)


@settings(deadline=None, max_examples=150)
@given(st.text() | st.text("0123456789./-:,$€%°'\"x×+=&@# amkgtinsqfJMRsUSD", max_size=24))
def test_mending_takes_any_text(text):
    mended = mend(text)
    lost = [c for c in text if c.isalpha() and not c.isascii() and c not in mended]
    assert not lost or any(unit in text for unit in ("µ", "μ", "Ω", "º", "ª")), lost


SPOKEN = st.sampled_from(
    "twenty three|two thousand and five|five dollars|may third|ten thirty|half past two|one point five|"
    "twenty first|six kilograms|oh seven|john at example dot com|one hundred percent".split("|")
)


@grammars
@pytest.mark.slow
@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(WORDS | SPOKEN, min_size=1, max_size=6))
def test_words_back_to_digits_lose_no_other_word(parts):
    written = LabelStyle("digits")(" ".join(parts))
    kept = iter(written.lower().split())
    for word in parts:
        if " " not in word:
            assert word.lower() in kept, (parts, written)


@grammars
@pytest.mark.slow
def test_digits_said_again_are_the_words_they_came_from():
    for words in (
        "it costs five dollars", "they left on may third", "about twenty three people",
        "meet me at ten thirty", "one point five percent", "in nineteen ninety eight", "the twenty first floor",
    ):  # fmt: skip
        digits = LabelStyle("digits")(words)
        assert any(c.isdigit() for c in digits), digits
        assert Speaker("wfst")(digits).lower().replace("-", " ") == words
