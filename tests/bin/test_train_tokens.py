"""The command train_tokens."""

import json

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.train_tokens import main


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text").write_text("u1 one two three\nu2 two <noise> three\n")
    return str(tmp_path / "text")


def test_writes_a_directory_that_says_how_it_was_made(text, tmp_path, capsys):
    (tmp_path / "nlsyms").write_text("<noise>\n")
    out = tmp_path / "chars"
    options = ["--token-type", "char", "--nlsyms", str(tmp_path / "nlsyms"), "--g2p", "none"]
    assert call(main, ["--text", text, text, "--out", str(out), *options]) == 0
    tokens = (out / "tokens.txt").read_text().splitlines()
    assert tokens[:2] == ["<blank>", "<unk>"] and "<noise>" in tokens and "<space>" in tokens
    assert json.loads((out / "text.json").read_text()) == {
        "token_type": "char",
        "g2p": None,
        "cleaner": None,
        "non_linguistic_symbols": ["<noise>"],
    }
    assert f"{len(tokens)} tokens" in capsys.readouterr().out


def test_errors_are_one_line_and_leave_nothing(text, tmp_path, capsys):
    out = tmp_path / "bpe"
    assert call(main, ["--text", text, "--out", str(out), "--nbpe", "900"]) == 1
    error = capsys.readouterr().err
    assert "at most" in error and error.count("\n") == 1
    assert not out.exists()


def test_bad_usage_is_status_2(text, tmp_path):
    with pytest.raises(SystemExit) as caught:
        main(["--text", text, "--out", str(tmp_path), "--token_type", "syllable"])
    assert caught.value.code == 2
