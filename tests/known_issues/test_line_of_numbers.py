"""A line of thousands of numbers reached the grammars in one piece, which took all memory and ended the process."""

import pytest

from espnet_ext.text import inverse, wfst
from espnet_ext.text.spoken import Speaker, _reader


@pytest.fixture
def longest(monkeypatch):
    """Stands for the grammars: notes the length of what they are given."""
    seen = []

    def read(text):
        seen.append(len(text))
        return text.replace("5", "five")

    for name in ("spoken", "written"):
        monkeypatch.setattr(wfst, name, lambda: read)
    monkeypatch.setattr(wfst, "installed", lambda: True)
    _reader.cache_clear()
    yield seen
    _reader.cache_clear()


def test_numbers_reach_the_grammars_in_parts(longest):
    assert Speaker("wfst")("5 " * 10000).lower() == " ".join(["five"] * 10000)
    assert 0 < max(longest) <= 401


def test_so_do_spoken_ones_on_their_way_back(longest):
    assert inverse.write("twenty three " * 1600) == " ".join(["twenty three"] * 1600)
    assert 0 < max(longest) <= 401
