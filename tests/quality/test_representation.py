"""Who is heard, and how unevenly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.quality.representation import represented, spread


def test_one_has_nearly_everything():
    found = spread({"a": 970.0, "b": 10.0, "c": 10.0, "d": 10.0})
    assert found.largest == 0.97 and next(iter(found.hours)) == "a"
    assert 1 < found.effective < 1.3
    assert found.gini == pytest.approx(
        0.72
    )  # sum |x - y| / (2 n^2 mean) = 3 * 2 * 960 / (2 * 16 * 250)


lengths = st.dictionaries(st.text(min_size=1), st.floats(0.1, 1e6), min_size=1, max_size=30)


@given(lengths)
def test_bounds_and_the_textbook_gini(seconds):
    found = spread(seconds)
    values, count = list(seconds.values()), len(seconds)
    pairs = sum(abs(a - b) for a in values for b in values)
    assert found.gini == pytest.approx(pairs / (2 * count * sum(values)), abs=1e-9)
    assert 1 - 1e-9 <= found.effective <= count + 1e-6
    assert sum(found.hours.values()) == pytest.approx(sum(values) / 3600)


TABLES = {
    "utt2spk": {"u1": "s1", "u2": "s1", "u3": "s2", "u4": "s3"},
    "spk2gender": {"s1": "f", "s2": "Male"},
    "spk2age": {"s1": "23", "s2": "29", "s3": "fifties"},
    "utt2accent": {"u1": "Scottish", "u3": "Scottish"},
}


def test_tables_by_speaker_and_by_utterance():
    seconds = {"u1": 3600.0, "u2": 3600.0, "u3": 3600.0, "u4": 7200.0}
    found = represented({name: table.items for name, table in TABLES.items()}, seconds.items)
    assert found["speaker"].hours == {"s1": 2.0, "s3": 2.0, "s2": 1.0}
    assert found["gender"].hours == {"female": 2.0, "unknown": 2.0, "male": 1.0}
    assert found["age"].hours == {"20-29": 3.0, "fifties": 2.0}
    assert found["accent"].hours == {"unknown": 3.0, "Scottish": 2.0}
    assert "language" not in found


def test_nothing_at_all():
    assert represented({}, {}.items)["speaker"].hours == {}
