"""What a recogniser hears is counted, and not heard twice."""

import os
import sys
import types

import numpy as np
import pytest
import soundfile

from espnet_ext.errors import UserError
from espnet_ext.metrics.hearing import errors, hear
from espnet_ext.metrics.spelling import Spelling, language_of_model
from espnet_ext.text import numbers


class Recogniser:
    """Hears how many tenths of a second a sound lasts."""

    identity, rate = "x", 16000

    def __init__(self):
        self.asked = 0

    def stream(self, sounds, rate):
        for sound in sounds:
            self.asked += 1
            yield types.SimpleNamespace(text=f"{round(len(sound) / rate * 10)} tenths")


def test_errors_do_not_count_how_things_are_written():
    assert errors("It is 2 o'clock.", "IT IS TWO O'CLOCK") == {
        "cer": 0.0, "wer": 0.0, "characters": 17.0, "words": 4.0,
    }  # fmt: skip
    found = errors("one two three", "one to")
    assert found["wer"] == 100 * 2 / 3 and found["words"] == 3
    assert found["cer"] == 100 * 7 / 13  # w, a space, and three
    assert errors("...", "something")["wer"] is None


def test_what_was_heard_is_kept_until_something_changes(tmp_path):
    entries, ears = {}, Recogniser()
    for name, seconds, rate in (("a", 0.5, 16000), ("b", 1.0, 8000)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(int(seconds * rate)), rate)
        entries[name] = str(tmp_path / f"{name}.wav")
    expected = {"a": "5 tenths", "b": "10 tenths"}
    assert hear(ears, entries, tmp_path / "set") == expected and ears.asked == 2
    assert hear(ears, entries, tmp_path / "set") == expected and ears.asked == 2
    ears.identity = "another"
    assert hear(ears, entries, tmp_path / "set") == expected and ears.asked == 4
    archive = tmp_path / "audio.ark"
    archive.write_bytes(b"a " + (tmp_path / "a.wav").read_bytes())
    in_it = {"a": f"{archive}:2"}
    assert hear(ears, in_it, tmp_path / "ark") == {"a": "5 tenths"} and ears.asked == 5
    archive.write_bytes(b"a " + (tmp_path / "b.wav").read_bytes())
    os.utime(archive, (0, 0))
    assert hear(ears, in_it, tmp_path / "ark") == {"a": "10 tenths"} and ears.asked == 6
    ears.asked = 4
    assert list(hear(ears, {"a": entries["a"]}, tmp_path / "set")) == ["a"] and ears.asked == 5


def test_the_tags_of_ssml_are_not_said():
    marked = (
        '<speak>Wait <break time="500ms"/> for <prosody rate="fast">the</prosody> '
        '<sub alias="doctor">Dr</sub> in <say-as interpret-as="characters">B2</say-as>.</speak>'
    )
    found = errors(marked, "wait for the doctor in b two")
    assert (found["wer"], found["words"]) == (0.0, 7.0)
    assert errors("a &lt; b <3", "a b three")["wer"] > 0  # plain text stays plain
    with pytest.raises(UserError, match="SSML"):
        errors("<speak>never closed", "x")


@pytest.mark.parametrize(
    ("language", "said", "heard"),
    [
        ("de", "Es sind 21 Tage.", "es sind einundzwanzig tage"),
        ("fr", "Il a 80 ans", "il a quatre-vingts ans"),
        ("ja", "3月21日", "三月二十一日"),
        ("hi", "नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("sw", "watu 21", "watu 21"),  # of which num2words knows nothing
        ("de", "2,5 km", "2,5 km"),
    ],
)
def test_numbers_are_said_in_the_language_of_the_text(language, said, heard):
    assert errors(said, heard, language)["wer"] == 0.0


def test_vowel_signs_do_not_part_words():
    assert errors("हिन्दी में", "x", "hi")["words"] == 2


def test_the_language_is_that_of_the_g2p(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "exp/tts").mkdir(parents=True)
    (tmp_path / "data/lexicon.txt").write_text("# g2p: espeak:sv\nhej\th E j\n")
    config = tmp_path / "exp/tts/config.yaml"
    for g2p, language in [
        ("espeak_ng_german", "de"),
        ("espeak_ng_english_us_vits", "en"),
        ("data/lexicon.txt", "sv"),
        ("null", "en"),
    ]:
        config.write_text(f"g2p: {g2p}\n")
        assert language_of_model(config) == language


def test_without_num2words_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "num2words", None)
    numbers._words.cache_clear()
    for language in ("en", "de"):
        with pytest.raises(UserError, match="pip install num2words"):
            Spelling("lower", frozenset(), language)("It is 1234567.")
