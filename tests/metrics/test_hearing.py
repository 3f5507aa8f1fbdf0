"""What a recogniser hears is counted, and not heard twice."""

import types

import numpy as np
import soundfile

from espnet_ext.metrics.hearing import errors, hear


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
    assert list(hear(ears, {"a": entries["a"]}, tmp_path / "set")) == ["a"] and ears.asked == 5
