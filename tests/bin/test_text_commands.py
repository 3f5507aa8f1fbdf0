"""The commands phonemize and analyse_text."""

import json
import shutil

import pytest

from espnet_ext.bin import analyse_text, phonemize
from espnet_ext.bin.command import call


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text"
    file.write_text("﻿u1 hello world\r\nu2\nu3 blorptastic hello\n", encoding="utf-8")
    return str(file)


def test_phonemes_of_a_kaldi_text(text, tmp_path, capsys):
    (tmp_path / "lexicon").write_text("world W ER1 L\n")
    options = ["--kaldi", "--g2p", "g2p_en", "--lexicon", str(tmp_path / "lexicon"), "--no-stress"]
    options += ["--syllables", "--oov_list", str(tmp_path / "oov")]
    assert call(phonemize.main, [text, *options]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == "u1 HH AH . L OW   W ER L"
    assert lines[1].rstrip() == "u2" and lines[2].endswith("   HH AH . L OW") and lines[3:] == [""]
    assert (tmp_path / "oov").read_text() == "blorptastic\t1\n"


def test_tabs_and_blanks_part_an_id_from_its_sentence(tmp_path, capsys):
    (tmp_path / "text").write_text("u1\tone two\n\n  u2 a\tb\r\nu3\n")
    assert call(phonemize.main, [str(tmp_path / "text"), "--kaldi", "--g2p", "none"]) == 0
    assert capsys.readouterr().out.split("\n") == ["u1 one two", "u2 a b", "u3 ", ""]


@pytest.mark.parametrize("jobs", ["0", "-3", "two"])
def test_a_number_of_processes_is_one_or_more(text, jobs):
    with pytest.raises(SystemExit) as caught:
        phonemize.main([text, "--jobs", jobs])
    assert caught.value.code == 2


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_phonemes_as_characters(capfd, tmp_path):
    (tmp_path / "text").write_text("hello\n\nhello\n")
    assert call(phonemize.main, [str(tmp_path / "text"), "--no_stress"]) == 0
    assert capfd.readouterr().out == "h ə l o ʊ\n\nh ə l o ʊ\n"


@pytest.mark.parametrize(
    "options, words",
    [
        (["--g2p", "klingon"], "espeak:<code>"),
        (["--g2p", "espeak:sv", "--syllables"], "g2p_en"),
        (["--g2p", "espeak:sv", "--oov_list", "oov"], "leave --oov_list out"),
        (["--g2p", "g2p_en", "--oov_list", "."], ".: is a directory"),
        (["--lexicon", "nowhere"], "no such lexicon"),
        (["--g2p", "g2p_en", "--kaldi", "--oov", "error"], "blorptastic"),
    ],
)
def test_errors_are_one_line(text, options, words, capsys):
    assert call(phonemize.main, [text, *options]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_analysis_is_a_json_object_a_line(tmp_path, capsys):
    file = tmp_path / "text"
    file.write_text('I *did*.\n\n<speak><prosody volume="silent">x</prosody></speak>\n')
    assert call(analyse_text.main, [str(file), "--tags", "no"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert [w["emphasis"] for w in first["words"]] == [False, True]
    assert second["spans"][0]["volume"] is None


def test_malformed_markup_is_named_with_its_line(tmp_path, capsys):
    (tmp_path / "text").write_text("fine\n<speak>a\n")
    assert call(analyse_text.main, [str(tmp_path / "text"), "--tags", "no"]) == 1
    assert (
        "line 2 of the input (a document is one line, or a whole file named *.ssml): SSML: line 1"
        in capsys.readouterr().err
    )


def test_a_document_of_many_lines_is_a_file_of_its_own(tmp_path, capsys):
    document = '<speak>\na<break strength="none"/>b\n</speak>\n'
    (tmp_path / "text.ssml").write_text(document)
    assert call(analyse_text.main, [str(tmp_path / "text.ssml"), "--tags", "no"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [w["text"] for w in found["words"]] == ["a", "b"]
    (tmp_path / "text").write_text(document)
    assert call(analyse_text.main, [str(tmp_path / "text"), "--tags", "no"]) == 1
    assert "a document is one line, or a whole file named *.ssml" in capsys.readouterr().err


def test_tags_that_are_demanded_and_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("espnet_ext.text.tagging.tagger_name", lambda: "")
    (tmp_path / "text").write_text("fine\n")
    assert call(analyse_text.main, [str(tmp_path / "text"), "--tags", "yes"]) == 1
    assert "pip install spacy" in capsys.readouterr().err


def test_check_names_words_and_phonemes_that_are_missing(tmp_path, capsys):
    (tmp_path / "text").write_text("u1 Hello world's end\nu2 blorptastic end\nu3 hello\n")
    (tmp_path / "lexicon").write_text("hello HH AH0 L OW1\nworld W ER1 L D\n")
    (tmp_path / "tokens.txt").write_text(
        "<blank>\n<unk>\nHH\nAH0\nL\nOW1\nW\nER1\nD\n \n<sos/eos>\n"
    )
    options = [str(tmp_path / "text"), "--kaldi", "--g2p", "g2p_en"]
    given = ["--check", str(tmp_path / "tokens.txt"), "--lexicon", str(tmp_path / "lexicon")]
    assert call(phonemize.main, [*options, *given]) == 1
    said = capsys.readouterr().out
    assert "3 sentences" in said and "2 different words are not in the lexicon" in said
    assert (
        "  end\t2" in said
        and "  blorptastic\t1" in said
        and "Hello" not in said.split("phonemes")[0]
    )
    assert "'Z'\t1\tfirst in: Hello world's end" in said and "'W'" not in said
    assert call(phonemize.main, [*options, "--check", str(tmp_path / "tokens.txt")]) == 1
    assert "1 different words are not in CMUdict\n  blorptastic\t1" in capsys.readouterr().out


def test_check_reads_the_tokens_of_a_model(tmp_path, capsys):
    (tmp_path / "text").write_text("A B\n")
    (tmp_path / "tokens.txt").write_text("<blank>\n<unk>\nA\nB\n<sos/eos>\n")
    (tmp_path / "config.yaml").write_text("token_list: [<blank>, <unk>, A, <sos/eos>]\n")
    (tmp_path / "empty.yaml").write_text("lr: 1\n")
    given = [str(tmp_path / "text"), "--g2p", "none", "--check"]
    assert call(phonemize.main, [*given, str(tmp_path)]) == 0
    assert call(phonemize.main, [*given, str(tmp_path / "config.yaml")]) == 1
    assert "'B'\t1\tfirst in: A B" in capsys.readouterr().out
    assert call(phonemize.main, [*given, str(tmp_path / "empty.yaml")]) == 1
    assert "has no token_list" in capsys.readouterr().err
