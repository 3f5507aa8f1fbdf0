"""Phonemes: every converter, the user's lexicon, what is remembered; beside stock ESPnet."""

import os
import pickle
import shutil
import sys
import types
import warnings
from pathlib import Path
from urllib.error import URLError

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.text import arpabet, japanese
from espnet_ext.text.phoneme_cache import CachedG2p
from espnet_ext.text.phonemes import VITS, English, make_g2p
from espnet_ext.text.pronunciation import LexiconG2p, read_lexicon, write_lexicon
from espnet_ext.text.tokens import PHONEMES_FILE, TextPipeline
from espnet_ext.text.vocabulary import VocabularyConfig, train_tokens

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)
wild = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=30)


# -- English


@pytest.fixture
def english(monkeypatch):
    """Our own converter, also where NLTK's data is installed; no tagger."""
    monkeypatch.setattr("espnet_ext.text.tagging.tagger_name", lambda: "")
    return arpabet.Arpabet()


def test_english_needs_no_download(english):
    found = english("Hello, it isn't $2.")
    words = "HH AH0 L OW1|,|IH1 T|IH1 Z AH0 N T|T UW1|D AA1 L ER0 Z|."
    assert " ".join(found) == words.replace("|", "   ")


@given(text=wild)
@example("i.e. 1,000,000.50 £5 ....... ''-- a-")
def test_english_survives_anything(text):
    phonemes = {v + s for v in arpabet.VOWELS for s in "012"} | arpabet.CONSONANTS | {"UW"}
    for phoneme in arpabet.Arpabet(oov="predict")(text):
        assert phoneme in phonemes | {" "} or not any(c.isalnum() for c in phoneme), phoneme


def test_unknown_words_are_named_predicted_or_refused(english):
    text = "The blorptastic cat"
    assert arpabet.unknown_words(text) == ["blorptastic"]
    assert " ".join(english(text)).count("   ") == 2
    with pytest.raises(UserError, match=r"blorptastic.*lexicon"):
        arpabet.Arpabet(oov="error")(text)
    with pytest.raises(UserError, match="predict, espeak, error"):
        arpabet.Arpabet(oov="guess")


@needs_espeak
def test_espeak_says_unknown_words_in_arpabet():
    assert arpabet.from_espeak("blorptastic")[:3] == ("B", "L", "AO0")
    assert arpabet.Arpabet(oov="espeak")("blorptastic") == list(arpabet.from_espeak("blorptastic"))


@needs_espeak
def test_espeak_as_arpabet_agrees_with_cmudict():
    """Two phoneme sets and two dialects: most consonants and most vowels of common words agree."""
    words = (
        "water paper under people mother language number sentence picture animal chair joy".split()
    )
    same = total = 0
    for word in words:
        theirs = [p.rstrip("012") for p in arpabet.look_up(word)]
        ours = [p.rstrip("012") for p in arpabet.from_espeak(word)]
        total += len(theirs)
        same += sum(a == b for a, b in zip(ours, theirs, strict=False))
    assert same / total > 0.75, same / total


@pytest.mark.parametrize("word", ["blorptastic", "espnet", "qwzx", "don't-", "a" * 40])
def test_the_network_is_g2p_ens(word):
    """Beside g2p_en's own code, of which only the network is run."""
    source = (arpabet._package() / "g2p.py").read_text()
    start = source.index("class G2p(")
    names = {"dirname": str(arpabet._package())}
    with warnings.catch_warnings():  # a regular expression of its is no raw string
        warnings.simplefilter("ignore")
        exec("import numpy as np, os\n" + source[start : source.index("\nif __name__")], names)
    theirs = names["G2p"].__new__(names["G2p"])
    theirs.cmu, theirs.homograph2features = {}, {}
    names["cmudict"] = type("Empty", (), {"dict": staticmethod(dict)})
    names["construct_homograph_dictionary"] = dict
    theirs.__init__()
    assert arpabet.predict(word) == tuple(theirs.predict(word))


@pytest.mark.slow
@settings(deadline=None)
@given(text=st.text("abc'-., ?!", max_size=30))
def test_words_are_cut_as_g2p_en_cuts_them(text):
    from nltk.tokenize import TweetTokenizer

    if not any(f".{c}" in text for c in "abc"):  # it takes "b.ca" for an address
        cut = TweetTokenizer().tokenize(text.replace("i.e.", "").replace("e.g.", ""))
        assert arpabet.split_words(text) == cut


def test_homographs_by_part_of_speech():
    say = arpabet.Arpabet().word
    assert say("refuse", "VB") == ("R", "IH0", "F", "Y", "UW1", "Z")
    assert say("refuse", "NN") == ("R", "EH1", "F", "Y", "UW2", "Z")
    assert say("refuse") == arpabet.look_up("refuse")


# -- espeak-ng


@needs_espeak
def test_any_language_of_espeak():
    assert "".join(make_g2p("espeak:sv")("hej")) == "hˈɛj"
    assert not any("(" in p for p in make_g2p("espeak:de")("das Download Meeting"))
    with pytest.raises(UserError, match=r"espeak-ng --voices"):
        make_g2p("espeak:tlh-nope")("a")


@needs_espeak
@settings(deadline=None)
@given(text=wild)
@pytest.mark.parametrize("name", [VITS, "espeak_ng_german", "espeak:sv"])
def test_espeak_survives_anything(name, text):
    phonemes = _converter(name)(text)
    assert all(p and (p == "<space>" or not p.isspace()) for p in phonemes) or name == VITS
    assert _converter(name)(text) == phonemes


_OPEN: dict[str, object] = {}


def _converter(name):
    return _OPEN.setdefault(name, make_g2p(name))


# -- Japanese


@pytest.fixture
def dictionary(monkeypatch):
    """Open JTalk's dictionary, which pyopenjtalk would otherwise download."""
    pyopenjtalk = pytest.importorskip("pyopenjtalk")
    carried = list(Path(pyopenjtalk.__file__).parent.glob("open_jtalk_dic*"))
    named = os.environ.get("OPEN_JTALK_DICT_DIR")
    if not carried and not named and not Path(japanese.DEBIANS).is_dir():
        pytest.skip(
            "Open JTalk's dictionary is not installed (Debian: open-jtalk-mecab-naist-jdic)"
        )
    if not carried and not named:  # ours looks there by itself; stock does not
        monkeypatch.setenv("OPEN_JTALK_DICT_DIR", japanese.DEBIANS)


def test_a_dictionary_that_cannot_be_had_is_said_without_a_trace(monkeypatch, capsys):
    def offline(text, kana):
        print("Downloading")
        raise URLError("no network")

    library = types.SimpleNamespace(g2p=offline, OPEN_JTALK_DICT_DIR=b"/nowhere")
    monkeypatch.setitem(sys.modules, "pyopenjtalk", library)
    monkeypatch.setattr(japanese, "DEBIANS", "/nowhere else")
    with pytest.raises(UserError, match=r"no network.*open-jtalk-mecab-naist-jdic"):
        japanese.phonemes("x")
    assert capsys.readouterr().out == ""


def test_debians_dictionary_is_found(monkeypatch, tmp_path):
    library = types.SimpleNamespace(OPEN_JTALK_DICT_DIR=b"/nowhere")
    monkeypatch.setitem(sys.modules, "pyopenjtalk", library)
    monkeypatch.setattr(japanese, "DEBIANS", str(tmp_path))
    assert str(tmp_path).encode() == japanese._library().OPEN_JTALK_DICT_DIR


def test_japanese_with_accent(dictionary):
    assert make_g2p("pyopenjtalk_prosody")("こんにちは。") == "^ k o [ N n i ch i w a $".split()
    assert make_g2p("pyopenjtalk_prosody")("雨ですか?")[-1] == "?"
    # rain falls after its first mora, candy does not
    assert "]" in japanese.prosody("雨") and "]" not in japanese.prosody("飴")
    assert make_g2p("pyopenjtalk")("はい、そうです。")[:3] == ["h", "a", "i"]
    assert "pau" in make_g2p("pyopenjtalk_accent_with_pause")("はい、そうです。")


@pytest.mark.slow
def test_japanese_equals_stock(dictionary):
    stock = pytest.importorskip("espnet2.text.phoneme_tokenizer").PhonemeTokenizer
    for name in japanese.CONVERTERS:
        for text in [
            "こんにちは。",
            "はい、そうですか?",
            "1,234円です",
            "abc 東京タワー!",
            "きた、橋の端",
        ]:
            assert make_g2p(name)(text) == stock(name).text2tokens(text), (name, text)


# -- the user's lexicon


def shout(text):
    """A converter whose work can be seen: upper-case words with " " between words and marks."""
    words = text.replace(",", " ,").upper().split()
    return [token for word in words for token in (*word, " ")][:-1]


def test_the_users_pronunciations_win():
    g2p = LexiconG2p(shout, {"Nguyen": ("w", "ih"), "c++": ("x",)}, space=" ", apart=True)
    assert g2p("a Nguyen, b") == ["A", " ", "w", "ih", " ", ",", " ", "B"]
    assert g2p("nguyen Nguyen's nguyens") == shout("nguyen Nguyen's nguyens")
    assert g2p("C++ c++") == ["x", " ", "x"]
    assert g2p("") == []


def test_quoted_words_and_possessives_are_the_users_too():
    lexicon = {"espnet": ("IY1", "T"), "AT&T": ("EY1", "IY1"), "o'neil": ("N",)}
    g2p = LexiconG2p(shout, lexicon, space=" ", english=True)
    said = shout("a") + [" ", "IY1", "T", " "] + shout("b")
    for written in ("a 'ESPnet' b", "a ‘espnet’ b", "a _ESPnet_ b"):
        assert g2p(written) == said
    assert g2p("ESPnet's espnet’s") == ["IY1", "T", "S", " ", "IY1", "T", "S"]
    assert g2p("AT&T's O’Neil") == ["EY1", "IY1", "Z", " ", "N"]
    assert g2p("l'espnet") == shout("l'espnet")
    ends = {"IH0": "Z", "CH": "IH0 Z", "k": "s", "dʒ": "ɪ z", "ɑː": "z"}
    for last, ending in ends.items():
        g2p = LexiconG2p(shout, {"x": (last,)}, english=True)
        assert g2p("x's") == [last, *ending.split()]


def test_a_large_lexicon_costs_no_more_a_sentence():
    words = [f"word{chr(97 + i % 26)}{i}x" for i in range(100_000)]
    large = LexiconG2p(str.split, dict.fromkeys(words, ("p",)))
    assert len(large._words.pattern) < 200 and large("say worda0x now") == ["say", "p", "now"]


@settings(deadline=None)
@given(text=wild, words=st.dictionaries(wild.filter(str.strip), st.just(("p",)), max_size=3))
def test_a_lexicon_survives_anything(text, words):
    words = {"".join(word.split()): phonemes for word, phonemes in words.items()}
    assert "" not in LexiconG2p(str.split, words, space=" ")(text)


@given(text=wild)
def test_an_empty_lexicon_changes_nothing(text):
    assert LexiconG2p(str.split, {})(text) == text.split()


@needs_espeak
def test_a_lexicon_before_espeak_keeps_spaces_and_marks():
    g2p = make_g2p(VITS, {"espnet": ("iː", "ɛ", "s")})
    assert "".join(g2p("Hello, ESPnet!")) == "həlˈoʊ,<space>iːɛs!"
    assert "".join(g2p("espnet world")) == "iːɛs<space>wˈɜːld"


def test_lexicon_files(tmp_path):
    file = tmp_path / "lexicon"
    file.write_text("﻿# mine\r\nNguyen\tW IH1 N\n\nTokyo T OW1\n", encoding="utf-8")
    lexicon = read_lexicon(file)
    assert lexicon == {"Nguyen": ("W", "IH1", "N"), "Tokyo": ("T", "OW1")}
    file.write_text(write_lexicon(lexicon))
    assert read_lexicon(file) == lexicon
    for text, words in [
        ("a\n", "line 1.*no phonemes"),
        ("a B\na K\n", "line 2.*another"),
        (None, "no such"),
    ]:
        file.write_text(text) if text else file.unlink()
        with pytest.raises(UserError, match=words):
            read_lexicon(file)


def test_a_file_of_a_converters_name_is_no_lexicon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("g2p_en").write_text("hello OW1\n")
    assert isinstance(make_g2p("g2p_en").g2p, English)
    Path("mine").write_text("hello OW1\n")
    with pytest.raises(UserError, match=r"mine: .* expected a first line such as `# g2p: "):
        make_g2p("mine")


@needs_espeak
def test_a_null_character_does_not_end_the_sentence():
    g2p = make_g2p("espeak:en-us")
    assert g2p("one\0two") == g2p("one two")


def test_a_lexicon_for_english_is_arpabet():
    with pytest.raises(UserError, match=r"'wɪn'.*ARPAbet"):
        make_g2p("g2p_en", {"nguyen": ("wɪn",)})
    assert make_g2p("g2p_en", {"nguyen": ("W", "IH1", "N")})("hi Nguyen.") == [
        "HH", "AY1", " ", "W", "IH1", "N", " ", "."]  # fmt: skip
    with pytest.raises(UserError, match="give --g2p"):
        make_g2p(None, {"a": ("b",)})


# -- what is remembered


class Counting:
    """Words of a sentence, counting the calls; can be sent to another process."""

    def __init__(self):
        self.calls = 0

    def __call__(self, text):
        self.calls += 1
        return text.split(" ")


@given(texts=st.lists(wild))
def test_a_sentence_is_converted_once_and_comes_out_the_same(texts):
    g2p = CachedG2p(Counting())
    for _ in range(2):
        assert [g2p(text) for text in texts] == [text.split(" ") for text in texts]
    assert g2p.g2p.calls <= len(set(texts)) + sum(t == "" for t in texts) * 2


def test_a_returned_list_may_be_changed():
    g2p = CachedG2p(Counting())
    g2p("a b").append("c")
    g2p("a b").append("d")
    assert g2p("a b") == ["a", "b"]


def test_memory_is_bounded():
    g2p = CachedG2p(Counting(), limit=2)
    assert [g2p(t) for t in "abcabc"] == [[t] for t in "abcabc"]
    assert len(g2p) == 2 and g2p.g2p.calls == 4


def test_processes_give_the_same():
    texts = [f"s {i % 7} x" for i in range(20)] + [""]
    assert CachedG2p(str.split).convert_all(texts, jobs=2) == [t.split() for t in texts]


@settings(deadline=None)
@given(texts=st.lists(wild, max_size=5))
def test_the_file_gives_back_what_was_written(tmp_path_factory, texts):
    file = tmp_path_factory.mktemp("cache") / "phonemes.tsv"
    written = CachedG2p(str.split)
    written.convert_all(texts)
    written.save(file, "settings")
    read = CachedG2p(Counting())
    assert read.load(file, "other settings") == 0 and len(read) == 0
    spoilt = file.with_name("spoilt")
    spoilt.write_bytes(file.read_bytes() + b"b\xff\tB\n")
    assert read.load(spoilt, "settings") == 0 and len(read) == 0
    assert read.load(file, "settings") == len(read)
    assert {t.strip() for t in texts} - {""} <= {t.strip() for t in read._known} | {
        t.strip() for t in texts if "\r" in t
    }
    assert all(read(text) == text.split() for text in list(read._known)) and read.g2p.calls == 0


@needs_espeak
def test_training_reads_what_the_token_list_wrote(tmp_path, monkeypatch):
    (tmp_path / "text").write_text("u1 hello world\nu2 espnet speaks\n")
    (tmp_path / "lexicon").write_text("espnet\tiː ɛ s\n")
    config = VocabularyConfig(token_type="phn", g2p=VITS, lexicon=str(tmp_path / "lexicon"))
    train_tokens([tmp_path / "text"], tmp_path / "out", config)
    fresh = TextPipeline.from_dir(tmp_path / "out")
    (tmp_path / "out" / PHONEMES_FILE).unlink()
    slow = TextPipeline.from_dir(tmp_path / "out")
    assert slow.tokens("espnet speaks") == fresh.tokens("espnet speaks")
    assert "iːɛs" in "".join(slow.tokens("espnet"))
    monkeypatch.setattr("espnet_ext.text.phonemes._open_espeak", None)  # nothing is converted
    assert fresh.text(fresh.ids("hello world")) == "həlˈoʊ<space>wˈɜːld"
    assert fresh.unk_id not in pickle.loads(pickle.dumps(fresh)).ids("espnet speaks")


def test_english_is_asked_of_g2p_en_where_nltks_data_is(monkeypatch):
    opened = []
    monkeypatch.setattr("espnet_ext.text.tagging.nltk_data", lambda resource: True)
    monkeypatch.setattr(
        "espnet_ext.text.phonemes._open_g2p_en",
        lambda: opened.append(1) or (lambda t: ["A", " ", "B"]),
    )
    assert English(no_space=True)("x") == ["A", "B"] and opened == [1]
    assert English(no_space=False, oov="espeak")("a") == ["AH0"] and opened == [1]
