"""The templates: short, complete, and naming only commands and options that exist."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
EVERYTHING = {  # options that make every stage run
    "asr1/asr.sh": [
        "--speed_perturb_factors",
        "0.9 1.0 1.1",
        "--use_ngram",
        "--skip_upload=false",
        "--suites",
        "mp3",
        "--augment_opts=--augment conf/augment.yaml --copies 2",
        "--audit_opts=--nj 2",
    ],
    "tts1/tts.sh": [
        *("--use_sid", "--use_lid", "--use_spembs", "--skip_upload=false"),
        "--audit_opts=--nj 2",
    ],
    "voc1/voc.sh": ["--acoustic", "../tts1/exp/tts_x", "--asr", "../asr1"],
}
STAGES = {
    "asr1/asr.sh": "1 data, 2 speed_perturb, 3 format, 24 audit, 4 filter, 5 tokens, 6 lm_stats, 7 lm_train, "
    "8 lm_perplexity, 9 ngram, 10 asr_stats, 11 asr_train, 12 asr_decode, 13 asr_score, 14 pack, 15 upload, "
    "20 suites, 21 suite_decode, 22 suite_score",
    "tts1/tts.sh": "1 data, 2 format, 3 speaker_ids, 26 language_ids, 25 speaker_vectors, 24 audit, 4 filter, "
    "5 tokens, 6 tts_stats, 7 tts_train, 8 tts_synthesize, 9 tts_score, 10 pack, 11 upload",
    "voc1/voc.sh": "1 data, 2 format, 3 voc_stats, 23 teacher_forced, 4 voc_train, 5 voc_copy, 6 voc_score, "
    "22 voc_round_trip, 7 pack",
}


@pytest.fixture(params=sorted(STAGES))
def template(request, tmp_path):
    """A recipe in a directory of its own that fills in a real template; (name, function to run it)."""
    for name in ("tools", "local", "egs2/TEMPLATE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(REPO / name)
    (tmp_path / "path.sh").write_text(
        f"ROOT={tmp_path}\nPATH={Path(sys.executable).parent}:$PATH\n"
    )
    script = tmp_path / "egs2" / "x" / "y" / "run.sh"
    script.parent.mkdir(parents=True)
    script.write_text(
        '# X.\ncd "$(dirname "$0")" && . ../../../path.sh || exit 1\n'
        f'. "$ROOT/egs2/TEMPLATE/{request.param}"\n'
    )

    def run(*options: str, status: int = 0) -> str:
        env = {key: value for key, value in os.environ.items() if not key.endswith("_cmd")}
        done = subprocess.run(
            ["bash", str(script), *options], capture_output=True, text=True, env=env, timeout=60
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    return request.param, run


def test_stages_are_those_of_the_design(template):
    name, run = template
    text = run("--help").partition("Stages:")[2]
    assert (
        ", ".join(" ".join(line.split()[:2]) for line in text.split("\n") if line) == STAGES[name]
    )


def test_stages_run_in_the_order_that_help_tells(template):
    name, run = template
    said = run("--dry_run", *EVERYTHING[name])
    assert ", ".join(re.findall(r"^== stage (\d+ \w+):", said, re.M)) == STAGES[name]


@pytest.mark.parametrize("option", ["--nj=0", "--nproc=0", "--nproc=two", "--gpu=-1", "--fs=0"])
def test_counts_that_cannot_be_meant_are_refused(template, option):
    _, run = template
    said = run("--dry_run", option, status=2)
    assert re.search(f"{option.replace('=', ' ')}: expected a whole number, [01] or more", said)


def test_every_option_says_what_it_is_for(template):
    _, run = template
    lines = [line for line in run("--help").splitlines() if line.startswith("  --")]
    assert len(lines) > 20
    assert not [line for line in lines if re.fullmatch(r"  --\w+ (\"[^\"]*\"|\S+)", line.rstrip())]


def test_commands_and_options_exist(template):
    name, run = template
    commands = re.findall(
        r"python -m (espnet_ext\.bin\.\w+)(.*)", run("--dry_run", *EVERYTHING[name])
    )
    assert len(commands) >= len(STAGES[name].split(",")) - 1  # all but local/data.sh
    for module, rest in commands:
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], capture_output=True, text=True, cwd=REPO
        )
        assert done.returncode == 0, done.stderr
        for word in shlex.split(rest):
            if word.startswith("--"):
                assert re.search(rf"{word}\b", done.stdout), f"{module} has no {word}"


@pytest.mark.parametrize(
    ("command", "least"),
    [
        ("audit_data", 1),
        ("make_suite", 1),
        ("score_tts", 1),
        ("score_vocoder", 1),
        ("collect_stats", 0),
    ],
)
def test_fewer_processes_than_can_be_meant_are_refused(capsys, command, least):
    main = importlib.import_module(f"espnet_ext.bin.{command}").main
    with pytest.raises(SystemExit) as stopped:
        main(["--nj", str(least - 1)])
    assert stopped.value.code == 2
    assert f"expected a whole number >= {least}" in capsys.readouterr().err


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_budget_of_lines():
    assert sum(lines(REPO / name) for name in ("tools/recipe.sh", "run.sh")) < 150
    for path in (REPO / "egs2" / "TEMPLATE").glob("*/*.sh"):
        assert lines(path) <= 150, path
    for path in (REPO / "egs2").glob("*/**/run.sh"):
        assert lines(path) <= 60, path
    for path in (REPO / "egs2").glob("*/*/local/data.sh"):
        assert lines(path) <= 40, path


def test_shellcheck():
    scripts = [REPO / "run.sh", REPO / "tools/recipe.sh", *(REPO / "egs2/TEMPLATE").glob("*/*.sh")]
    try:
        done = subprocess.run(
            ["shellcheck", "-x", *map(str, scripts)], capture_output=True, text=True, cwd=REPO
        )
    except FileNotFoundError:
        pytest.skip("no shellcheck here")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("script", "options"),
    [("asr1/asr.sh", []), ("tts1/tts.sh", ["--vocoder", "../voc1/exp/voc x"]), ("voc1/voc.sh", [])],
)
def test_packing_is_told_licence_and_vocoder(tmp_path, script, options):
    """Past bug: neither could be given to a recipe."""
    for name in ("tools", "local", "egs2/TEMPLATE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(REPO / name)
    recipe = tmp_path / "run.sh"
    recipe.write_text(f'ROOT={tmp_path}\n. "$ROOT/egs2/TEMPLATE/{script}"\n')
    told = []
    for more in ([], ["--licence", "CC BY 4.0", *options]):
        given = ["bash", str(recipe), "--dry_run", *more]
        done = subprocess.run(given, capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert done.returncode == 0, done.stderr
        (line,) = (text for text in done.stdout.splitlines() if "espnet_ext.bin.pack" in text)
        told.append(shlex.split(line))
    plain, full = told
    assert "--licence" not in plain and "--vocoder_dir" not in plain
    assert full[full.index("--licence") + 1] == "CC BY 4.0"
    if script == "asr1/asr.sh":  # what the scores on the card were made with
        assert plain[plain.index("--decode_config") + 1] == "conf/decode_asr.yaml"
    if options:
        assert full[full.index("--vocoder_dir") + 1] == "../voc1/exp/voc x"
