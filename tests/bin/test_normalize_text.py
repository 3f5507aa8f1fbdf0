"""normalize_text: lines in, lines out."""

import functools
import importlib
import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.bin.command import call
from espnet_ext.bin.normalize_text import convert, main
from espnet_ext.errors import UserError
from espnet_ext.text.labels import LabelStyle
from espnet_ext.text.parallel import LineWorkers
from espnet_ext.text.spoken import Speaker

STYLE = functools.partial(map, LabelStyle(speaker=Speaker("regex")))


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
    convert(io.BytesIO(data), target, STYLE)
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    assert target.getvalue().count(b"\n") == lines


def test_bytes_that_are_no_text_come_out_as_they_went_in():
    target = io.BytesIO()
    convert(io.BytesIO(b"b\xffd 5\n"), target, STYLE)
    assert target.getvalue() == b"b\xffd five\n"


def test_processes_keep_every_line_and_the_order():
    data = (
        "".join(f"u{i} No. {i % 9}, caf\u00e9\n" for i in range(1000)).encode() + b"\xff 5\n\nend"
    )
    alone = _run(data, "--keep_fields", "1")
    assert _run(data, "--keep_fields", "1", "--jobs", "2") == alone
    assert alone.count(b"\n") == 1003


DIES = """
import os, signal

def dies(line):
    if line.startswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return line.upper()
"""


@pytest.fixture
def dies(tmp_path, monkeypatch):
    """A function that ends its process on some lines, in a module that other processes find."""
    (tmp_path / "module_that_dies.py").write_text(DIES)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("module_that_dies").dies


def test_a_process_that_dies_loses_no_line(dies, capfd):
    lines = [f"a{i}" for i in range(450)]
    lines[210] = lines[333] = "die"
    workers = LineWorkers(dies, lambda line: "rescued", jobs=2)
    expected = ["rescued" if line == "die" else line.upper() for line in lines]
    assert list(workers(lines)) == expected
    found = [line.split(":")[0] for line in capfd.readouterr().err.splitlines()]
    assert found == ["line 211", "line 334"]


def test_processes_that_die_with_every_line_are_given_up(dies):
    with pytest.raises(UserError, match="--jobs 1"):
        list(LineWorkers(dies, str, jobs=2)(["die"] * 9))


def test_a_table_of_ones_own_comes_first(tmp_path):
    table = tmp_path / "table.tsv"
    table.write_text(
        "# mine\nSQL\tsequel\nnginx\tengine  x\nC++\tC plus plus\nNo. 7\tnumber lucky\n"
    )
    said = _run(
        b"u1 Nginx, SQL, sql. C++ No. 7 and 3\n", "--keep_fields", "1", "--table", str(table)
    )
    assert said == b"u1 engine x, sequel, sql. C plus plus number lucky and three\n"


@pytest.mark.parametrize(
    "written, words",
    [
        ("one\n", "line 1: found 1 fields, expected `written TAB spoken`"),
        ("a\tb\na\tc\n", "line 2: 'a' is 'b' above, expected one reading"),
        (None, "no such table"),
    ],
)
def test_a_broken_table_is_one_line(tmp_path, capsys, written, words):
    if written:
        (tmp_path / "table").write_text(written)
    assert call(main, ["--table", str(tmp_path / "table")]) == 1
    assert words in capsys.readouterr().err


def test_a_table_has_one_direction(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--table", "x", "--inverse"])
    assert caught.value.code == 2 and "leave it out" in capsys.readouterr().err
