"""espeak-ng changes its voice for letters of another script and kept it: later sentences had other phonemes."""

import shutil

import pytest

from espnet_ext.text.phonemes import Espeak

pytest.importorskip("phonemizer")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("language", ["en-us", "de", "ru"])
@pytest.mark.parametrize(
    "text", ["\u2d20:HC\u3137\u2ec8", "k\u11cc\u0d0b\u0fc9\u0ee4St\u0a72\u0913"]
)
def test_the_next_sentence_is_as_before(language, text):
    speak = Espeak(language, vits=True)
    before = speak("hello world")
    speak(text)
    assert speak("hello world") == before
