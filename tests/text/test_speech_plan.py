"""SSML as a plan for a synthesiser, and what say-as says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.text.say_as import KINDS, say_as
from espnet_ext.text.speech_plan import Manner, Pause, Piece, Run, plan
from espnet_ext.text.ssml import parse


def _plan(inside):
    return plan(parse(f"<speak>{inside}</speak>"))


@pytest.mark.parametrize(
    "kind, text, said",
    [
        ("characters", "B2B.", "B two B dot"),
        ("spell-out", "a-é", "A dash É"),
        ("telephone", "+1 555-0199", "plus one, five five five, zero one nine nine"),
        ("digits", "2024", "two zero two four"),
        ("cardinal", "1,024", "one thousand twenty-four"),
        ("cardinal", "-2.5", "minus two point five"),
        ("cardinal", "many", "many"),
        ("ordinal", "21st", "twenty-first"),
        ("ordinal", "VIII", "eighth"),
        ("ordinal", "some", "some"),
        ("unheard-of", "5", "5"),
    ],
)
def test_say_as(kind, text, said):
    assert say_as(text, kind) == said


def test_dates_have_an_order():
    assert "March fourth" in say_as("3/4/2021", "date", "mdy")
    assert "April third" in say_as("3/4/2021", "date", "dmy")
    assert say_as("$5", "currency") == "Five dollars"


READ_BY_RULES = {"date", "time", "currency", "fraction", "measure", "unit", "address"}


@given(st.sampled_from(sorted(set(KINDS) - READ_BY_RULES)), st.text(max_size=12))
def test_say_as_takes_any_text(kind, text):
    said = say_as(text, kind)
    assert isinstance(said, str) and (said or not any(c.isalnum() for c in text))


def test_pauses_part_pieces_and_neighbours_join():
    found = _plan('One <sub alias="two">2</sub> three<break time="1s"/><break time="500ms"/>four')
    assert found.steps == (Piece((Run("One two three"),)), Pause(1.5), Piece((Run("four"),)))
    assert found.warnings == ()


def test_rate_and_volume_part_pieces_too():
    found = _plan(
        'A <prosody rate="50%" volume="+6dB">b <emphasis level="none">c</emphasis></prosody> d'
    )
    assert [(p.text, p.rate, p.volume) for p in found.steps] == [
        ("A", 1, 0),
        ("b c", 0.5, 6.0),
        ("d", 1, 0),
    ]


def test_words_of_one_piece_where_the_rate_is_the_same():
    """For a model that can be told the pitch of a word, not its speed."""
    marked = 'A <prosody pitch="+2st" volume="+6dB">b</prosody> <prosody rate="50%">c</prosody> d'
    found = plan(
        parse(f"<speak>{marked} <emphasis level='strong'>e</emphasis></speak>"), True, False
    )
    assert [(p.text, p.rate) for p in found.steps] == [("A b", 1), ("c", 0.5), ("d e", 1)]
    assert [r.manner.semitones for p in found.steps for r in p.runs if r.text.strip()] == [
        0,
        2,
        0,
        0,
        2,
    ]
    assert {r.manner.rate for p in found.steps for r in p.runs} == {1.0} and not found.warnings


def test_phonemes_stay_beside_their_text():
    found = _plan(
        'Say <phoneme ph="təˈmɑːtoʊ">tomato</phoneme> to <say-as interpret-as="ordinal">3</say-as>!'
    )
    (piece,) = found.steps
    assert piece.text == "Say tomato to third!"
    assert (
        piece.runs[1] == Run("tomato ", "təˈmɑːtoʊ", "ipa")
        or piece.runs[1].text.strip() == "tomato"
    )


def test_what_cannot_be_spoken_is_named():
    found = _plan(
        '<prosody pitch="high">a</prosody> <emphasis>b</emphasis> <say-as interpret-as="vxml">c</say-as>'
    )
    assert [w.split(" is ")[0] for w in found.warnings] == [
        "<prosody pitch>", "<emphasis>", '<say-as interpret-as="vxml">',
    ]  # fmt: skip


def test_marks_alone_are_no_piece():
    assert _plan('a <break time="1s"/> ... <break time="1s"/>').steps[0].text == "a"
    assert _plan("!?").steps == () and _plan("").steps == ()


INSIDE = st.recursive(
    st.sampled_from(["word", " two words ", "5", '<break time="250ms"/>', ".", '<sub alias="x y">z</sub>']),
    lambda inner: st.builds(
        lambda parts, tag: f"<{tag}>{''.join(parts)}</{tag.split()[0]}>",
        st.lists(inner, max_size=3),
        st.sampled_from(["s", "p", 'prosody rate="fast"', 'prosody volume="soft"', "emphasis"]),
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(INSIDE, max_size=5).map("".join))
def test_no_word_is_lost_and_pauses_keep_their_length(inside):
    spans = parse(f"<speak>{inside}</speak>")
    found = plan(spans)
    words = " ".join(s.text if not s.break_s else " " for s in spans).split()
    planned = " ".join(s.text for s in found.steps if isinstance(s, Piece)).split()
    bare = ["".join(c for c in "".join(w) if c.isalnum()) for w in (words, planned)]
    assert bare[0] == bare[1]
    assert sum(s.seconds for s in found.steps if isinstance(s, Pause)) == pytest.approx(
        sum(s.break_s for s in spans)
    )


# -- for models that can be told how to speak each word -----------------------------------------------------------


def _words(inside):
    return plan(parse(f"<speak>{inside}</speak>"), words=True)


def test_words_of_a_piece_differ_in_their_manner():
    found = _words(
        'a <prosody rate="50%" pitch="+2st" volume="+6dB">b</prosody> <emphasis level="strong">c</emphasis> d'
    )
    (piece,) = found.steps
    assert found.warnings == () and (piece.rate, piece.volume) == (1, 0)
    by_text = {run.text.strip(): run.manner for run in piece.runs}
    assert by_text["a"] == by_text["d"] == Manner()
    assert by_text["b"] == Manner(0.5, 2.0, pytest.approx(10**0.3))
    stressed = by_text["c"]
    assert stressed.rate < 1 and stressed.semitones > 0 and stressed.loudness > 1


def test_what_is_loud_as_a_whole_is_made_so_afterwards():
    """The volume of a whole piece is exact; the model is asked where words differ."""
    (piece,) = _words('<prosody volume="-20dB" pitch="-3st">a b</prosody>').steps
    assert piece.volume == -20 and piece.runs[0].manner == Manner(1.0, -3.0, 1.0)


def test_silence_parts_pieces():
    found = _words('a <prosody volume="silent">b <emphasis>c</emphasis></prosody> d')
    assert [(p.text, p.volume) for p in found.steps] == [("a", 0), ("b c", -math.inf), ("d", 0)]


@given(st.lists(INSIDE, max_size=5).map("".join))
def test_no_word_is_lost_in_manners(inside):
    spans = parse(f"<speak>{inside}</speak>")
    planned, plain = (
        "".join(s.text for s in plan(spans, words).steps if isinstance(s, Piece))
        for words in (True, False)
    )
    assert [c for c in planned if c.isalnum()] == [c for c in plain if c.isalnum()]
