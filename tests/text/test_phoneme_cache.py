"""What is remembered is what was converted: no other cleaner, converter or lexicon brings old phonemes back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.text import cleaners
from espnet_ext.text.phoneme_cache import _fits_a_line
from espnet_ext.text.tokens import PHONEMES_FILE, SETTINGS_FILE, TextPipeline
from espnet_ext.text.vocabulary import VocabularyConfig, train_tokens

LINES = "u1 No. 7 is on St. 5\nu2 plain words\n"


@pytest.fixture
def converted(monkeypatch):
    """Sentences that the converter was asked for; it takes letters for phonemes."""
    asked = []

    def convert(self, text):
        asked.append(text)
        return list(text.replace(" ", "_"))

    monkeypatch.setattr("espnet_ext.text.phonemes.English.__call__", convert)
    return asked


def _train(folder, cleaner):
    folder.mkdir(exist_ok=True)
    (folder / "text").write_text(LINES)
    config = VocabularyConfig("phn", g2p="g2p_en", cleaner=cleaner)
    train_tokens([folder / "text"], folder / "out", config)
    return folder / "out"


def test_the_clean_sentence_is_the_key(tmp_path, converted):
    out = _train(tmp_path, "normalize")
    keys = [line.split("\t")[0] for line in (out / PHONEMES_FILE).read_text().splitlines()[1:]]
    assert keys == converted == ["Number seven is on Street five", "plain words"]
    TextPipeline.from_dir(out).tokens("No. 7 is on St. 5")
    assert len(converted) == 2  # read, not converted


def test_another_cleaner_never_finds_the_phonemes_of_the_first(tmp_path, converted):
    out = _train(tmp_path, "normalize")
    settings = json.loads((out / SETTINGS_FILE).read_text())
    (out / SETTINGS_FILE).write_text(json.dumps({**settings, "cleaner": "none"}))
    assert "".join(TextPipeline.from_dir(out).tokens("No. 7 is on St. 5")) == "No._7_is_on_St._5"
    assert "plain words" not in converted[2:]
    TextPipeline.from_dir(out).tokens("plain words")
    assert converted[2:] == ["No. 7 is on St. 5", "plain words"]  # the whole file was left alone


def test_a_cleaner_that_learned_to_read_better_is_heard(tmp_path, converted, monkeypatch):
    """The same name and settings, another version of the code."""
    out = _train(tmp_path, "normalize")
    monkeypatch.setitem(cleaners._MAKERS, "normalize", lambda: str.upper)
    assert "".join(TextPipeline.from_dir(out).tokens("plain words")) == "PLAIN_WORDS"


TEXTS = st.text("ab \t\n\r", max_size=6)


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_what_fits_a_line_can_be_read_from_it(text, phonemes):
    line = "\t".join((text, *phonemes))
    whole = line.split("\t") == [text, *phonemes] and line.splitlines() == [line]
    assert _fits_a_line(text, phonemes) == bool(whole and text.strip() and all(phonemes))
