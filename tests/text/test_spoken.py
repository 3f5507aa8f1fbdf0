"""The whole way from written to spoken English; what needs no grammars is tested without them."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.normalization import Case, about_nemo_cases, newer, own_cases
from espnet_ext.errors import UserError
from espnet_ext.text import spoken, wfst
from espnet_ext.text.spoken import Speaker, british, lost, pieces, restore_case, to_read
from tests.text.test_normalize import ANY, PIECES

REGEX = Speaker("regex")
grammars = pytest.mark.skipif(not wfst.installed(), reason="pynini or nemo_text_processing missing")
WILD = st.one_of(
    ANY,
    st.lists(PIECES, max_size=12).map(" ".join),
    st.text("0123456789.,/:-$ aIVX\"'()%é你", max_size=20),
)


def check(speaker, text):
    """Any text: single blanks, no number left, no letter of another script lost."""
    said = speaker(text)
    assert said == " ".join(said.split())
    assert not any(c.isdigit() for c in said)
    for c in text:
        plain = unicodedata.normalize("NFKC", c) == c and c not in "µΩº"
        if c.isalpha() and not c.isascii() and plain:
            assert c.lower() in said.lower()


@settings(deadline=None, max_examples=300)
@given(WILD)
def test_any_text_with_regular_expressions(text):
    check(REGEX, text)


@grammars
@pytest.mark.slow
@settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
@given(WILD)
def test_any_text_with_grammars(text):
    check(Speaker("wfst", british=True), text)


@grammars
@pytest.mark.slow
@pytest.mark.parametrize("name", ["hard", "unseen", "everyday", "varied"])
def test_lists(repo, name):
    cases = own_cases(repo / f"benchmarks/normalization/{name}.tsv")
    speaker = Speaker("wfst")
    wrong = [(c.written, speaker(c.written)) for c in cases if not c.right(speaker(c.written))]
    assert len(wrong) <= 0.05 * len(cases), wrong


@grammars
@pytest.mark.slow
def test_case_and_options_with_grammars():
    assert Speaker("wfst")("Dr. Wu left on 3/4/2021. 5 men stayed.") == (
        "Doctor Wu left on March fourth twenty twenty one. Five men stayed."
    )
    other = Speaker("wfst", british=True, day_first=True)
    assert other("101 on 3/4/2021") == "One hundred and one on April third, twenty twenty-one"


def test_the_list_was_long_before_it_was_tuned_on(repo):
    cases = own_cases(repo / "benchmarks/normalization/hard.tsv")
    assert len({c.written for c in cases}) >= 220 and len({c.kind for c in cases}) >= 15
    assert not any(d.isdigit() for c in cases for said in c.spoken for d in said)


def test_cases_that_the_library_cannot_know_are_counted():
    known = [("math", "1-2=5"), ("measure", "3 kg"), ("connector", "60 - 80"), ("date", "1−2")]
    unknown = [("math", "1−2=3"), ("measure", "3 kgs"), ("connector", "60-80")]
    cases = [Case(kind, written, ("",), True) for kind, written in known + unknown]
    assert [newer(case) for case in cases] == [False] * 4 + [True] * 3
    said = about_nemo_cases(cases)
    assert "3 cases (1 math, 1 measure, 1 connector)" in said and "here: cardinal, decimal" in said


# -- without grammars ------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """Stands for the grammars: says what it is told to."""
    answers = {}

    def read(text):
        if text not in answers:
            raise wfst.Unreadable(text)
        return answers[text]

    monkeypatch.setattr(wfst, "installed", lambda: True)
    monkeypatch.setattr(wfst, "spoken", lambda: read)
    spoken._reader.cache_clear()
    yield answers
    spoken._reader.cache_clear()


def test_what_the_grammars_cannot_read_the_regular_expressions_do(scripted):
    assert Speaker("wfst")("it is 5 kg") == "it is five kilograms"


def test_what_the_grammars_lose_the_regular_expressions_keep(scripted):
    scripted["the garden has 5 né"] = "the has five né"
    assert Speaker("wfst")("the garden has 5 né") == "the garden has five né"


def test_numbers_that_the_grammars_leave_are_read(scripted):
    scripted["it is ⑤ and 5"] = "it is ⑤ and five"
    assert Speaker("wfst")("it is ⑤ and 5") == "it is five and five"


def test_plain_text_does_not_reach_the_grammars(scripted):
    for text in ("Hello, there! It's well-known (no?).", "日本 café", ""):
        assert not to_read(text) and Speaker("wfst")(text) == text


def test_a_line_met_before_is_not_read_again(scripted):
    scripted["it is 5"] = "it is five"
    lines = Speaker("wfst").lines(["it is 5", "it is 5"])
    assert next(lines) == "it is five"
    scripted["it is 5"] = "changed"
    assert next(lines) == "it is five"


def test_without_the_library_it_says_so_once(monkeypatch, capsys):
    monkeypatch.setattr(wfst, "installed", lambda: False)
    spoken._reader.cache_clear()
    assert Speaker()("No. 7") == "Number seven" and Speaker()("5 kg") == "Five kilograms"
    assert capsys.readouterr().err.count("not installed") == 1
    with pytest.raises(UserError, match="choose --engine regex"):
        Speaker("wfst")("No. 7")
    spoken._reader.cache_clear()


def test_an_unknown_engine():
    with pytest.raises(UserError, match="expected one of auto, wfst, regex"):
        Speaker("best")


def test_day_first():
    assert Speaker("regex", day_first=True)("on 3/4/2021") == "on April third, twenty twenty-one"
    assert Speaker("regex", day_first=True)("on 3/14/2021").startswith("on")


def test_short_dates_stand_after_words_that_ask_for_one():
    said = {
        "Come on 5/6.": "Come on May sixth.",
        "due 12/1 at noon": "due December first at noon",
        "on Mon. 5/6, by 13/2": "on Monday May sixth, by thirteen halves",
        "on 1/2 acre, 3/4 came": "on one half acre, three quarters came",
    }
    assert {written: Speaker("regex")(written) for written in said} == said
    assert Speaker("regex", day_first=True)("on 5/6 we left") == "on June fifth we left"


def test_british_and():
    assert british("one hundred one") == "one hundred and one"
    assert british("two thousand five hundred six") == "two thousand five hundred and six"
    assert british("one thousand twenty two") == "one thousand and twenty two"
    assert british("one hundred thousand") == "one hundred thousand"


def test_lost_words():
    assert lost("the garden is 5", "the is five") and lost("né 5", "n five")
    assert not lost("Garden of 5 km", "garden of five kilometers")


def test_case_comes_back():
    assert restore_case("On 3/4 Dr. Wu", "on march fourth doctor Wu") == "On March fourth Doctor Wu"
    assert restore_case("we march on 5", "we march on five") == "we march on five"
    assert restore_case("5 a", "five a") == "Five a"


@given(st.lists(st.sampled_from(["plain", "St.", "A", "5", "words.", "Next", "kg", "Sept."])))
def test_pieces_are_the_whole(words):
    assert " ".join(pieces(" ".join(words * 10))) == " ".join(words * 10)


def test_pieces_are_cut_at_sentences_and_far_within():
    assert list(pieces("It ended. It began on Sept. 5.")) == ["It ended.", "It began on Sept. 5."]
    assert max(len(piece.split()) for piece in pieces("some plain words " * 100)) == 40


@given(st.lists(st.sampled_from(["5", "plain", "x" * 390, "y" * 900, "A1,000.50"]), min_size=1))
def test_no_piece_is_long(words):
    text = " ".join(words * 40)
    cut = list(pieces(text))
    assert " ".join(cut) == text
    assert all(len(p.split()) <= 60 and (len(p) <= 401 or " " not in p) for p in cut)


def test_a_word_too_long_for_the_grammars_does_not_reach_them(scripted):
    word = "a5" * 300
    scripted[word] = "never"
    assert Speaker("wfst")(word).count("five") == 300
