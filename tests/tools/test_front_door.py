"""run.sh of the repository: the list of recipes and the way to one."""

from __future__ import annotations

import json
import subprocess


def door(root, *options, status=0):
    done = subprocess.run(
        [str(root / "run.sh"), *options], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def script(root, name, text):
    path = root / "egs2" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_no_argument_runs_mini_and_passes_the_rest(root):
    script(root, "mini/run.sh", '#!/bin/sh\necho "mini got $# ($*)"\n')
    assert "mini got 0 ()" in door(root)
    assert "mini got 2 (--nj 2 3)" in door(root, "--nj", "2 3")


def test_recipe_gets_its_options_and_its_name(root, recipe):
    assert "Write audio" in door(root, "--recipe", "toy/asr1", "--help")
    text = door(root, "--nj", "3", "--recipe=toy", "--dry_run")
    assert "JOB=1:3" in text
    recipe.write("bad.data", "")
    text = door(root, "--recipe", "egs2/toy/asr1/", "--nj", "3", status=3)
    assert f"to go on: {root}/run.sh --recipe toy/asr1 --nj 3 --stage 1" in text


def test_unknown_and_ambiguous_recipes(root):
    script(root, "toy/tts1/run.sh", "#!/bin/sh\n")
    assert "did you mean toy/asr1" in door(root, "--recipe", "toi/asr1", status=2)
    assert "which one, toy/asr1 or toy/tts1?" in door(root, "--recipe", "toy", status=2)
    assert "its value is missing" in door(root, "--recipe", status=2)


def test_list_is_read_from_the_recipes(root, recipe):
    script(root, "mini/run.sh", "#!/bin/sh\n# Mini.\n#: task=ASR+TTS\n")
    table = door(root, "--list").splitlines()
    assert table[0].split() == ["recipe", "task", "hours", "needs", "score"]
    assert table[1].split() == ["mini", "ASR+TTS", "-", "-", "-"]
    assert table[2] == "toy/asr1  ASR      0.5    nothing at all  -"
    sets = {"test": {"wer": {"error_rate": 7.12}}}
    recipe.write("exp/asr/decode/scores.json", json.dumps({"task": "asr", "sets": sets}))
    assert "WER test 7.1 % (run here)" in door(root, "--list")
    other = {"task": "asr", "sets": {"more": {"wer": {"error_rate": 1.0}}}}
    recipe.write("exp/more/scores.json", json.dumps(other))  # newer, and not the recipe's own sets
    assert "WER test 7.1 % (run here)" in door(root, "--list")
    recipe.write("README.md", "# Toy\n\nScore: WER 5.1 % on test\n")
    assert "WER 5.1 % on test" in door(root, "--list")


def test_speech_that_a_recogniser_heard_has_no_rate_in_the_list(root, recipe):
    sets = {"eval1": {"wer": {"mean": 5.0}, "mcd": {"mean": 4.8}}}
    recipe.write("exp/tts_x/decode/scores.json", json.dumps({"task": "tts", "sets": sets}))
    assert door(root, "--list").splitlines()[1].endswith("-")


def test_help_is_the_comment_on_top(root):
    assert "--recipe an4/asr1" in door(root, "--help")
