"""The command report, from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.report import main


def make_model(recipe):
    model = recipe / "exp/asr_x"
    model.mkdir(parents=True)
    lines = [
        {"epoch": e, "split": s, "loss": 1 / e, "lr": 0.1}
        for e in (1, 2)
        for s in ("train", "valid")
    ]
    (model / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_page_summary_and_table(tmp_path, capsys):
    make_model(tmp_path / "asr1")
    assert call(main, ["--asr", str(tmp_path / "asr1"), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "Recognition: word error rate" in printed and "not measured" in printed
    assert (tmp_path / "out/results.txt").read_text() == printed
    assert json.loads((tmp_path / "out/summary.json").read_text())["asr"]["wer"] is None
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "report.html",
        "results.txt",
        "summary.json",
    ]


def test_quiet_says_only_where(tmp_path, capsys):
    make_model(tmp_path / "asr1")
    call(main, ["--asr", str(tmp_path / "asr1"), "--output", str(tmp_path / "out"), "--quiet"])
    assert capsys.readouterr().out == f"wrote {tmp_path / 'out/report.html'}\n"


def test_nothing_to_report_is_one_line_and_status_1(tmp_path, capsys):
    assert call(main, ["--asr", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "found no trained model" in capsys.readouterr().err
    assert call(main, ["--asr", str(tmp_path / "none"), "--output", str(tmp_path / "out")]) == 1
    assert "found no such directory" in capsys.readouterr().err


def test_no_input_is_bad_usage(tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["--output", str(tmp_path)])
    assert stop.value.code == 2


@pytest.mark.parametrize("command", ["report", "round_trip"])
def test_help_loads_nothing_heavy(command):
    watch = "import sys; sys.argv[1:] = ['--help']\nfrom runpy import run_module\n"
    watch += f"try: run_module('espnet_ext.bin.{command}', run_name='__main__')\nexcept SystemExit: pass\n"
    watch += "assert not {'torch', 'numpy', 'espnet2'} & set(sys.modules)"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--output" in done.stdout and time.monotonic() - started < 10
