"""normalize_text: lines in, lines out."""

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.bin.normalize_text import convert, main
from espnet_ext.text.labels import LabelStyle
from espnet_ext.text.spoken import Speaker


def _run(data, *options):
    command = [sys.executable, "-m", "espnet_ext.bin.normalize_text", "--engine", "regex", *options]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def test_as_a_command():
    data = "u1 No. 7, Baker St.!\n\nu2\r\nu3 caf\u00e9 5".encode()
    said = _run(data, "--keep-fields", "1", "--case", "upper", "--punctuation", "drop")
    assert said.decode() == "u1 NUMBER SEVEN BAKER STREET\n\nu2\nu3 CAFÉ FIVE\n"


def test_day_first_and_british():
    said = _run(b"101 on 3/4/2021\n", "--day_first", "--british")
    assert said == b"One hundred and one on April third, twenty twenty-one\n"


def test_fewer_than_no_fields_is_bad_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--keep_fields", "-2"])
    assert caught.value.code == 2 and "whole number >= 0" in capsys.readouterr().err


def test_help_names_no_default_for_inverse(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "the same as --numbers digits" in said and "digits (default" not in said


@given(st.binary(max_size=60))
def test_any_bytes_give_as_many_lines(data):
    target = io.BytesIO()
    convert(io.BytesIO(data), target, LabelStyle(speaker=Speaker("regex")))
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    assert target.getvalue().count(b"\n") == lines


def test_bytes_that_are_no_text_come_out_as_they_went_in():
    target = io.BytesIO()
    convert(io.BytesIO(b"b\xffd 5\n"), target, LabelStyle(speaker=Speaker("regex")))
    assert target.getvalue() == b"b\xffd five\n"
