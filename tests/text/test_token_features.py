"""What tokens' numbers say besides the token."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.text import tagging
from espnet_ext.text.token_features import (
    FEATURES,
    FeaturePipeline,
    Folding,
    read_names,
    token_stress,
    with_features,
    word_of_tokens,
)
from espnet_ext.text.tokens import TextPipeline

LETTERS = ["<blank>", "<unk>", "<space>", *"abcdefghijklmnopqrstuvwxyz.,", "<sos/eos>"]


@given(st.data(), st.integers(1, 100_000), st.permutations(sorted(FEATURES)), st.integers(0, 4))
def test_what_is_folded_is_found_again(data, vocabulary, names, number):
    folding = Folding(vocabulary, tuple(names[:number]))
    token = data.draw(st.integers(0, vocabulary - 1))
    values = [data.draw(st.integers(0, size - 1)) for size in folding.sizes]
    folded = folding.fold(token, values)
    assert 0 <= folded < folding.numbers < 2**31
    assert folding.unfold(folded) == (token, values)
    ids, found = folding.unfold(torch.tensor([[folded, token]]))
    assert ids.tolist() == [[token, token]]  # a plain id says that nothing is known
    assert [v.tolist() for v in found] == [[[value, 0]] for value in values]
    assert int(folding.unfold(np.array([folded]))[0][0]) == token


def read(text, names="boundary emphasis"):
    """Letters, and the values of each feature at each of them."""
    pipeline = FeaturePipeline(TextPipeline("char", LETTERS), read_names(names))
    ids, values = zip(*(pipeline.folding.unfold(n) for n in pipeline.ids(text)), strict=True)
    assert pipeline.text(pipeline.ids(text)) == "".join(c for c in text if c != "*")
    return "".join(LETTERS[i].replace("<space>", "_") for i in ids), list(zip(*values, strict=True))


def test_words_tell_their_letters():
    letters, (boundary, emphasis) = read("he *did* go, but so.")
    assert letters == "he_did_go,_but_so."
    assert boundary == tuple([1] * 7 + [3] * 4 + [1] * 4 + [3] * 3)
    assert emphasis == tuple([0] * 3 + [1] * 4 + [0] * 11)


def test_marks_are_tokens_only_where_nobody_reads_them():
    plain = TextPipeline("char", LETTERS)
    assert FeaturePipeline(plain, ("emphasis",)).tokens("he *did*") == plain.tokens("he did")
    assert FeaturePipeline(plain, ("boundary",)).tokens("he *did*") == plain.tokens("he *did*")


def test_a_text_without_words_is_read():
    assert read(". ,")[1] == [(0, 0, 0), (0, 0, 0)]
    assert FeaturePipeline(TextPipeline("char", LETTERS), ("boundary",)).ids("") == []


@given(st.text(st.sampled_from("ab *.,?é1")))
@settings(max_examples=60, deadline=None)
def test_any_text_has_the_tokens_it_had(text):
    plain = TextPipeline("char", LETTERS)
    pipeline = FeaturePipeline(plain, ("boundary",))
    assert [pipeline.folding.unfold(n)[0] for n in pipeline.ids(text)] == plain.ids(text)


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=8), st.data())
def test_owners_are_found_where_words_are_said_as_alone(words, data):
    blanks = [data.draw(st.sampled_from([[], ["<space>"], [",", " "]])) for _ in words]
    tokens = [t for word, blank in zip(words, blanks, strict=True) for t in [*word, *blank]]
    owners = [n for n, (w, b) in enumerate(zip(words, blanks, strict=True)) for _ in [*w, *b]]
    assert word_of_tokens(tokens, [list(word) for word in words]) == owners


def test_a_word_that_sounds_otherwise_in_a_sentence():
    """`a` alone is ˈeɪ, `in the` is one word."""
    sentence, alone = "ɐ <space> b ɜ d <space> ɪ n ð ə", ["ˈ e ɪ", "b ɜ d", "ɪ n", "ð iː"]
    found = word_of_tokens(sentence.split(), [word.split() for word in alone])
    assert found == [0, 0, 1, 1, 1, 1, 2, 2, 3, 3]


def test_stress_of_arpabet_is_its_syllables():
    tokens = "HH AH0 L OW1 , <space> DH AH0".split()
    assert token_stress(tokens, [0] * 6 + [1] * 2) == [1, 1, 3 - 1, 2, 0, 0, 1, 1]


def test_stress_of_ipa_goes_from_the_mark_to_the_vowels_end():
    tokens = list("ɐbˈaʊtðˌɛm") + ["<space>", "ˈoʊ", "t"]
    assert token_stress(tokens, [0] * len(tokens)) == [1, 1, 2, 2, 2, 1, 1, 3, 3, 1, 0, 2, 1]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng: tools/setup.sh")
def test_a_sentence_by_espeak():
    name = "espeak_ng_english_us_vits"
    pipeline = TextPipeline("phn", LETTERS, g2p=name, cleaner="tacotron")
    found = FeaturePipeline(pipeline, ("emphasis",))
    text = "It was *twenty* 3 of them."
    tokens = pipeline.tokens("It was twenty 3 of them.")
    marked = [bool(found.folding.unfold(n)[1][0]) for n in found.ids(text)]
    said = "".join(t for t, m in zip(tokens, marked, strict=True) if m).replace("<space>", "")
    assert said == "twˈɛnti"


def test_parts_of_speech(monkeypatch):
    monkeypatch.setattr(tagging, "tagger_name", lambda: "nltk")
    monkeypatch.setattr(
        tagging, "tag", lambda words: [tagging.Tagged(w, "", "NOUN" if w == "cat" else "?") for w in words]
    )  # fmt: skip
    letters, (pos,) = read("a cat.", "pos")
    noun = FEATURES["pos"].index("NOUN")
    assert letters == "a_cat." and pos == (0, 0, noun, noun, noun, noun)


def test_what_cannot_be_known_is_said(monkeypatch):
    plain = TextPipeline("char", LETTERS)
    with pytest.raises(UserError, match="stress with tokens of type char, expected phn"):
        FeaturePipeline(plain, ("stress",))
    monkeypatch.setattr(tagging, "tagger_name", lambda: "")
    with pytest.raises(UserError, match="neither a spaCy model nor NLTK"):
        FeaturePipeline(plain, ("pos",))
    with pytest.raises(ValueError, match="found 'stress tone', expected some of pos"):
        read_names("stress tone")
    assert with_features(plain, {"tts_conf": {"encoder": {"blocks": 3}}}) is plain
    inner = {"tts_conf": {"acoustic": {"encoder": {"prosody": "emphasis, boundary"}}}}
    assert with_features(plain, inner).folding.names == ("emphasis", "boundary")
