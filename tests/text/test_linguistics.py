"""Syllables, phrases, emphasis and SSML."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.text import arpabet, prosody, ssml, syllables
from espnet_ext.text.linguistics import analyse

# -- syllables


def cut(word):
    return ".".join(" ".join(s.phonemes) for s in syllables.of_word(word))


@pytest.mark.parametrize(
    "word, expected",
    [
        ("hello", "HH AH.L OW"),
        ("extra", "EH K.S T R AH"),
        ("singing", "S IH NG.IH NG"),  # NG begins nothing
        ("atlas", "AE T.L AH S"),  # nor does T L
        ("strengths", "S T R EH NG K TH S"),
    ],
)
def test_syllables_begin_as_words_may(word, expected):
    assert cut(word) == expected


def test_stress_is_cmudicts():
    assert [s.stress for s in syllables.of_word("Understand")] == [2, 0, 1]
    assert [s.stress for s in syllables.of_word("record")] != []


@given(st.lists(st.sampled_from(["AH0", "IY1", "S", "T", "R", "NG", "K", "Y"]), max_size=12))
def test_cutting_loses_no_phoneme(phonemes):
    parts = syllables.syllabify(phonemes)
    assert len(parts) == sum(p[-1].isdigit() for p in phonemes)
    if parts:
        assert [p for s in parts for p in s.phonemes] == [p.rstrip("012") for p in phonemes]
    assert [p for p in syllables.mark(phonemes) if p != "."] == phonemes


def test_every_word_of_cmudict_has_a_syllable_a_vowel():
    words = list(arpabet.dictionary())[::97]
    assert all(len(syllables.of_word(w)) == sum(c.isdigit() for c in arpabet.dictionary()[w])
               for w in words if re.fullmatch("[a-z]+", w))  # fmt: skip


def test_the_rule_by_spelling_mostly_agrees_with_cmudict():
    words = [w for w in list(arpabet.dictionary())[::97] if re.fullmatch("[a-z]{3,}", w)]
    right = sum(syllables.count_by_rule(w) == len(syllables.of_word(w)) for w in words)
    assert right / len(words) > 0.8, right / len(words)


def test_words_outside_the_dictionary_have_syllables_too(monkeypatch):
    assert len(syllables.of_word("blorptastic")) == 3
    assert len(syllables.of_word("well-blorpt")) == 2
    assert syllables.of_word("...") == [] and syllables.of_word("42") == []

    def missing(word):
        raise UserError("no g2p_en")

    monkeypatch.setattr(syllables, "predict", missing)
    assert [s.stress for s in syllables.of_word("blorptastic")] == [1, 0, 0]


# -- phrases and emphasis


def broken(text):
    """The text with its boundaries: / for 3, // for 4."""
    signs = {1: "", 3: " /", 4: " //"}
    return " ".join(w.text + signs[w.boundary] for w in prosody.words(text))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Come here, please.", "Come here // please //"),
        ("the cat sat on the mat", "the cat sat on the mat //"),  # three words are no phrase
        (
            "the old grey cat sat on the mat by the door",
            "the old grey cat sat / on the mat by the door //",
        ),
        (
            "he said that all of them would be there today and nobody else would",
            "he said that all / of them would be there today / and nobody else would //",
        ),
        ("", ""),
        ("...", ""),
    ],
)
def test_phrases(text, expected):
    assert broken(text) == expected


def test_pauses_follow_the_marks():
    pauses = [w.pause_s for w in prosody.words("One, two. Three... four -- five")]
    assert pauses[1] > pauses[0] > 0 and pauses[2] == 0.6 and pauses[4] > 0


def test_emphasis_is_what_stands_between_stars():
    found = [
        w.text for w in prosody.words("I *really did* say 2 * 3 * 4, a*b and *this*.") if w.emphasis
    ]
    assert found == ["really", "did", "this"]
    assert prosody.strip_emphasis("**x** a* *b") == ("**x** a* *b", [])


@given(st.text(st.characters(codec="utf-8")) | st.text("ab *.,-'(and)\n"))
def test_phrases_survive_anything(text):
    plain, places = prosody.strip_emphasis(text)
    assert len(text) - len(plain) == 2 * len(places)
    words = prosody.words(text)
    assert all(plain[w.start : w.start + len(w.text)] == w.text for w in words)
    assert all(w.boundary in (1, 3, 4) and w.pause_s >= 0 for w in words)
    assert not words or words[-1].boundary == 4


# -- SSML


def one(text):
    (span,) = ssml.parse(f"<speak>{text}</speak>")
    return span


def test_the_whole_subset():
    document = """<?xml version="1.0" encoding="ISO-8859-1"?>
    <speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis">
      <p><s>Fish &amp; <emphasis level="strong">chips</emphasis>.</s></p>
      <prosody rate="120%" pitch="+2st" volume="-6dB">fast <prosody rate="50%" pitch="low">slow</prosody></prosody>
      <break strength="strong"/><break time="1.5s"/>
      <say-as interpret-as="characters">abc</say-as>
      <phoneme alphabet="ipa" ph="t\u0259">to</phoneme> <sub alias="doctor">Dr.</sub>
    </speak>"""
    spans = ssml.parse(document)
    S = ssml.Span
    assert spans == [
        S("Fish & "), S("chips", emphasis="strong"), S("."), S(break_s=0.4), S(break_s=0.7),
        S("fast ", rate=1.2, pitch=2, volume=-6), S("slow", rate=0.6, pitch=-1, volume=-6),
        S(break_s=0.7), S(break_s=1.5), S("abc ", say_as="characters"),
        S("to", phonemes="t\u0259", alphabet="ipa"), S(" doctor"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "inner, field, value",
    [
        ('<prosody rate="fast">x</prosody>', "rate", 1.25),
        ('<prosody rate="+20%">x</prosody>', "rate", 1.2),
        ('<prosody rate="0.8">x</prosody>', "rate", 0.8),
        ('<prosody pitch="+100%">x</prosody>', "pitch", 12.0),
        ('<prosody volume="silent">x</prosody>', "volume", float("-inf")),
        ("<emphasis>x</emphasis>", "emphasis", "moderate"),
    ],
)
def test_values(inner, field, value):
    assert getattr(one(inner), field) == value


@pytest.mark.parametrize(
    "text, words",
    [
        ("<speak>a", "line 1, column 9: .*closed"),
        ("<speak>\n <b>a</b></speak>", "line 2, column 2: found <b>"),
        ("<speak>a & b</speak>", "line 1, column 11.*&amp;"),
        ("<p>a</p>", "one <speak>"),
        ("<speak><speak/></speak>", "one <speak>"),
        ('<speak><break time="9h"/></speak>', "500ms or 1.5s"),
        ('<speak><break time="1e9s"/></speak>', "500ms or 1.5s"),
        ('<speak><prosody rate="0%">a</prosody></speak>', "more than nothing"),
        ('<speak><prosody pitch="-100%">a</prosody></speak>', "more than"),
        ('<speak><prosody volume="11">a</prosody></speak>', "[+]6dB"),
        ('<speak><prosody colour="red">a</prosody></speak>', "'colour', expected only rate"),
        ("<speak><phoneme>a</phoneme></speak>", "has no ph"),
        ("<speak><say-as>a</say-as></speak>", "interpret-as"),
        ('<speak><emphasis level="very">a</emphasis></speak>', "strong, moderate"),
        ("<speak><break>a</break></speak>", "text in <break>"),
        ("", "no element found"),
        ('<!DOCTYPE s [<!ENTITY a "aa">]><speak>&a;</speak>', "DOCTYPE"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text, words):
    with pytest.raises(UserError, match=rf"(?s)SSML: line \d+, column \d+.*{words}|{words}"):
        ssml.parse(text)


@given(st.text() | st.text("<>/&;= speak\"'br"))
def test_ssml_is_parsed_or_refused(text):
    for document in (text, f"<speak>{text}</speak>"):
        try:
            ssml.parse(document)
        except UserError as error:
            assert "line " in str(error)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30))
def test_text_comes_through(text):
    """An independent reader is the reference."""
    document = ElementTree.tostring(_element(text), encoding="unicode")
    try:
        wanted = " ".join(
            re.sub(r"\s+", " ", "".join(ElementTree.fromstring(document).itertext())).split()
        )
    except ElementTree.ParseError:
        return  # characters that XML does not have
    assert " ".join("".join(s.text for s in ssml.parse(document)).split()) == wanted


def _element(text):
    root = ElementTree.Element("speak")
    root.text = text
    ElementTree.SubElement(root, "emphasis").text = text
    root[0].tail = " "
    return root


# -- all together


def test_a_line_of_text():
    found = analyse("I *said* so, twice.", tags=False)
    assert found.text == "I said so, twice." and found.tagger == "" and found.spans == []
    assert [(w.text, w.marks, w.boundary, w.emphasis) for w in found.words] == [
        ("I", "", 1, False), ("said", "", 1, True), ("so", ",", 4, False), ("twice", ".", 4, False)
    ]  # fmt: skip
    assert [w.stress for w in found.words] == [[1], [1], [1], [1]]


def test_a_line_of_ssml():
    found = analyse(
        '<speak>Wait <break time="1s"/> for <emphasis>me</emphasis>!</speak>', tags=False
    )
    assert found.text == "Wait, for me!" and [w.emphasis for w in found.words] == [
        False,
        False,
        True,
    ]
    assert [s.break_s for s in found.spans] == [0, 1, 0, 0, 0][: len(found.spans)]
    assert "".join(s.text for s in found.spans) == "Waitfor me!"


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_analysis_survives_anything(text):
    if not ssml.is_ssml(text):
        json.dumps(analyse(text, tags=False).as_dict())
