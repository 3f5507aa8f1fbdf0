"""The grammars' cache and their guard, with a stand-in for the compiler."""

import sys
from pathlib import Path

import pytest

from espnet_ext.text import wfst


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Where the grammars of these tests are kept."""
    monkeypatch.setattr(wfst, "cache_directory", lambda kind: tmp_path / "cache" / kind)
    return tmp_path / "cache" / "spoken"


def build(directory):
    """Reads `grammar` or, where it is missing, writes it."""
    file = Path(directory) / "grammar"
    if not file.exists():
        file.write_text("good")
        return "compiled"
    if file.read_text() != "good":
        raise ValueError("spoilt")
    return "read"


def test_compiled_once_then_read(directory, capsys):
    assert wfst._cached("spoken", build) == "compiled"
    assert wfst._cached("spoken", build) == "read"
    assert [p.name for p in directory.parent.iterdir()] == ["spoken"]
    assert capsys.readouterr().err.count("compiling") == 1


def test_a_spoilt_cache_is_made_again(directory):
    directory.mkdir(parents=True)
    (directory / "grammar").write_text("ba")
    assert wfst._cached("spoken", build) == "compiled" and wfst._cached("spoken", build) == "read"


def test_a_compilation_that_fails_leaves_nothing(directory):
    def fail(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        wfst._cached("spoken", fail)
    assert list(directory.parent.iterdir()) == []


def test_another_process_may_have_been_first(directory):
    def late(beside):
        build(beside)
        directory.mkdir()
        (directory / "grammar").write_text("good")
        return "compiled"

    assert wfst._cached("spoken", late) == "compiled" and wfst._cached("spoken", build) == "read"
    assert [p.name for p in directory.parent.iterdir()] == ["spoken"]


def test_without_a_place_to_keep_them(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(wfst, "cache_directory", lambda kind: tmp_path / "file" / kind)
    assert wfst._cached("spoken", lambda place: place) is None
    assert "ESPNET_EXT_CACHE" in capsys.readouterr().err


def test_the_stand_in_for_difflib_and_the_recursion_limit_do_not_stay():
    limit, known = sys.getrecursionlimit(), "cdifflib" in sys.modules
    with wfst._quiet_imports():
        sys.setrecursionlimit(limit + 1)
        assert "cdifflib" in sys.modules
    assert sys.getrecursionlimit() == limit and ("cdifflib" in sys.modules) == known


def test_the_place_can_be_chosen(monkeypatch):
    pytest.importorskip("pynini")
    pytest.importorskip("nemo_text_processing.package_info")
    monkeypatch.setenv("ESPNET_EXT_CACHE", "/somewhere")
    assert str(wfst.cache_directory("spoken")).startswith("/somewhere/grammars/spoken-en-")


def test_what_an_engine_does_to_a_text():
    pytest.importorskip("pynini")

    def fail(text):
        raise IndexError

    assert wfst._read(str.upper, "a [b]") == "A [B]"
    for engine in (fail, lambda text: r"a \[b\]"):
        with pytest.raises(wfst.Unreadable):
            wfst._read(engine, "a [b]")
