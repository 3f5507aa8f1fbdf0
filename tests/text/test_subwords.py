"""Byte fallback and WordPiece: what goes in comes out."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.text.subwords import BYTE_TOKENS, WordPiece, join_spelled, spell
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.text.vocabulary import VocabularyConfig, train_tokens

TEXT = [
    "the quick brown fox jumps over the lazy dog",
    "she had your dark suit in greasy wash water all year",
    "## this is ##not <0x41> a <blank> byte",
]
#: anything, and what looks like our own tokens
wild = st.text(st.characters(codec="utf-8"), max_size=40) | st.lists(
    st.sampled_from(["<0x41>", "<blank>", "<sos/eos>", "<unk>", "##", "##a", "<space>", "é", "東京", "a"]),
    max_size=6,
).map(" ".join)  # fmt: skip


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """A pipeline with byte tokens of each type, from the same three sentences."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "text").write_text("".join(f"u{i} {line}\n" for i, line in enumerate(TEXT)))
    found = {}
    for kind in ("char", "word", "wordpiece", "bpe"):
        config = VocabularyConfig(
            token_type=kind,
            nbpe=300 if kind == "bpe" else 340,
            byte_fallback=True,
            normalization="identity",
        )
        train_tokens([folder / "text"], folder / kind, config)
        found[kind] = TextPipeline.from_dir(folder / kind)
    return found


@settings(deadline=None)
@given(text=wild)
def test_characters_survive_anything(pipelines, text):
    pipeline = pipelines["char"]
    ids = pipeline.ids(text)
    assert pipeline.unk_id not in ids and pipeline.text(ids) == text


@pytest.mark.parametrize("kind", ["word", "wordpiece"])
@settings(deadline=None)
@given(text=wild)
def test_words_survive_anything_but_the_kind_of_white_space(pipelines, kind, text):
    pipeline = pipelines[kind]
    ids = pipeline.ids(text)
    assert pipeline.unk_id not in ids or "<unk>" in text.split()
    assert pipeline.text(ids) == " ".join(text.split())


@settings(deadline=None)
@given(text=wild)
def test_bpe_survives_all_but_its_own_mark_and_nul(pipelines, text):
    """sentencepiece writes a blank as U+2581 and stops at NUL."""
    pipeline = pipelines["bpe"]
    text = text.replace("▁", "").replace("\0", "")
    assert pipeline.text(pipeline.ids(text)) == text


@given(text=st.text(st.characters(codec="utf-8")))
def test_spelling(text):
    assert join_spelled(spell(text), str) == text
    assert set(spell(text)) <= set(BYTE_TOKENS)


def test_half_a_character_is_shown_as_such():
    assert join_spelled(["a", "<0xC3>", "b"], str) == "a\ufffdb"


def test_wordpiece_takes_the_longest_piece():
    pieces = WordPiece(["un", "una", "##aff", "##able", "##a", "u"], "<unk>")
    assert pieces.split("unaffable unaaff xun") == ["<unk>", "una", "##aff", "<unk>"]


def test_wordpiece_of_a_text_is_small_words_whole(pipelines):
    pipeline = pipelines["wordpiece"]
    assert "the" in pipeline.token_list and pipeline.tokens("the") == ["the"]
    assert pipeline.tokens("thé")[-2:] == ["<0xC3>", "<0xA9>"]
    assert len(pipeline) <= 340 + 3


def test_without_bytes_an_unknown_word_is_unk(tmp_path):
    (tmp_path / "text").write_text("u1 low lower lowest new newer\n")
    train_tokens([tmp_path / "text"], tmp_path, VocabularyConfig(token_type="wordpiece", nbpe=24))
    pipeline = TextPipeline.from_dir(tmp_path)
    assert pipeline.tokens("slow ñ") == ["<unk>", "<unk>"]
    assert pipeline.text(pipeline.ids("newest low")) == "newest low"
    with pytest.raises(UserError, match="too small"):
        config = VocabularyConfig(token_type="wordpiece", nbpe=30, byte_fallback=True)
        train_tokens([tmp_path / "text"], tmp_path / "small", config)


def test_specials_stand_after_unk_and_stay_whole(tmp_path):
    (tmp_path / "text").write_text("u1 ab <mask> ba abab\n")
    for kind in ("char", "bpe", "word", "wordpiece"):
        config = VocabularyConfig(token_type=kind, nbpe=11, specials=("<pad>", "<mask>"))
        tokens = train_tokens([tmp_path / "text"], tmp_path / kind, config)
        assert tokens[:4] == ["<blank>", "<unk>", "<pad>", "<mask>"], kind
        assert "<mask>" in TextPipeline.from_dir(tmp_path / kind).tokens("ab <mask>")


def test_phonemes_are_not_spelled(tmp_path):
    (tmp_path / "text").write_text("u1 a b\n")
    with pytest.raises(UserError, match="not characters"):
        config = VocabularyConfig(token_type="phn", byte_fallback=True)
        train_tokens([tmp_path / "text"], tmp_path, config)


def test_a_hundred_thousand_words(tmp_path):
    """Lists of that size are read and used in seconds."""
    words = [f"w{i:06d}" for i in range(100_000)]
    lines = (f"u{i} {' '.join(words[i : i + 100])}\n" for i in range(0, len(words), 100))
    (tmp_path / "text").write_text("".join(lines))
    started = time.monotonic()
    train_tokens([tmp_path / "text"], tmp_path, VocabularyConfig(token_type="word"))
    pipeline = TextPipeline.from_dir(tmp_path)
    assert len(pipeline) == 100_003
    assert pipeline.text(pipeline.ids("w099999 w000000")) == "w099999 w000000"
    assert time.monotonic() - started < 20


@pytest.mark.slow
@pytest.mark.parametrize("kind, size", [("bpe", 10_000), ("wordpiece", 30_000)])
def test_tens_of_thousands_of_pieces(tmp_path, kind, size):
    draw = random.Random(1)
    parts = [
        a + b for a in "bcdfghjklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "ing")
    ]
    words = ["".join(draw.choices(parts, k=draw.randint(2, 4))) for _ in range(60_000)]
    lines = (f"u{i} {' '.join(words[i : i + 10])}\n" for i in range(0, len(words), 10))
    (tmp_path / "text").write_text("".join(lines))
    config = VocabularyConfig(kind, nbpe=size, byte_fallback=True, normalization="identity")
    tokens = train_tokens([tmp_path / "text"], tmp_path, config)
    pipeline = TextPipeline.from_dir(tmp_path)
    assert size <= len(tokens) <= size + 3 and len(set(tokens)) == len(tokens)
    text = " ".join(words[:50]) + " 東京 é"
    ids = pipeline.ids(text)
    assert pipeline.text(ids) == text and pipeline.unk_id not in ids
    assert len(pipeline.ids(" ".join(words[:50]))) < 120  # pieces, not letters
