"""Whole recipes run at once: lines told apart, failures kept, records written, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "together.py"


def recipe(folder: Path, name: str, script: str) -> list[str]:
    """The words of one recipe: its run.sh does `script`, its stage has run id `name`."""
    place = folder / name
    (place / "exp" / ".stages").mkdir(parents=True)
    (place / "exp" / ".stages" / "data.json").write_text(json.dumps({"run_id": name}))
    (place / "run.sh").write_text(f"#!/bin/bash\n{script}\n")
    (place / "run.sh").chmod(0o755)
    return [str(len(name)), name, str(place), f"./run.sh --recipe {name}", str(place / "run.sh")]


def start(folder: Path, *recipes: list[str], **env: str) -> subprocess.Popen:
    words = [word for one in recipes for word in [";;", *one]][1:]
    return subprocess.Popen(
        [sys.executable, "-S", "-E", str(TOOL), *words],
        cwd=folder,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_recipes_share_the_cores_and_name_their_lines(tmp_path):
    say = 'echo "$OMP_NUM_THREADS threads, $RUN_AS"'
    process = start(
        tmp_path, recipe(tmp_path, "asr", say), recipe(tmp_path, "tts", say), OMP_NUM_THREADS="6"
    )
    lines = sorted(process.communicate(timeout=20)[0].splitlines())
    assert process.returncode == 0
    assert lines == [
        "asr | 3 threads, ./run.sh --recipe asr",
        "tts | 3 threads, ./run.sh --recipe tts",
    ]


def test_a_single_recipe_keeps_its_output_as_it_is(tmp_path):
    process = start(tmp_path, recipe(tmp_path, "asr", "echo hello"))
    assert process.communicate(timeout=20)[0] == "hello\n"


def test_a_record_follows_the_recipes_own_stages(tmp_path):
    words = recipe(tmp_path, "asr", "true")
    record = tmp_path / "exp" / ".stages" / "asr.json"

    def run_id() -> str:
        start(tmp_path, words).communicate(timeout=20)
        return json.loads(record.read_text())["run_id"]

    first = run_id()
    assert run_id() == first
    (tmp_path / "asr" / "exp" / ".stages" / "data.json").write_text('{"run_id": "another"}')
    assert run_id() != first


def test_a_failure_is_told_and_the_other_goes_on(tmp_path):
    process = start(
        tmp_path,
        recipe(tmp_path, "bad", "exit 3"),
        recipe(tmp_path, "good", "sleep 0.3; echo done"),
    )
    assert "good | done" in process.communicate(timeout=20)[0]
    assert process.returncode == 3
    assert (tmp_path / "exp" / ".stages" / "good.json").exists()
    assert not (tmp_path / "exp" / ".stages" / "bad.json").exists()


def test_whole_recipes_are_chosen_by_their_place_too(tmp_path):
    """In a script that runs recipe 9 before recipe 2."""
    (tmp_path / "tools").symlink_to(TOOL.parent)
    for name in ("early", "late"):
        recipe(tmp_path, name, f"echo {name} at work")
    script = tmp_path / "job.sh"
    first, last = (
        f'run_recipe {n} {name} "{name}" -- {name}\n' for n, name in ((9, "early"), (2, "late"))
    )
    script.write_text(
        f'ROOT={tmp_path}\n. "$ROOT/tools/recipe.sh"\nparse_options "$@"\n{first}wait_recipes\n{last}wait_recipes\n'
    )

    def ran(*options: str) -> list[str]:
        done = subprocess.run(
            ["bash", str(script), *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return [line.split()[0] for line in done.stdout.splitlines() if "at work" in line]

    assert ran() == ["early", "late"]
    assert ran("--stop_stage", "2") == ["early", "late"]
    assert ran("--stage", "2") == ["late"]
    assert ran("--stop_stage", "early") == ["early"]


def test_ending_it_ends_the_recipes(tmp_path):
    endless = f"echo $$ > {tmp_path}/pid; sleep 60 & wait"
    process = start(tmp_path, recipe(tmp_path, "asr", endless), recipe(tmp_path, "tts", "sleep 60"))
    deadline = time.monotonic() + 10
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    time.sleep(0.2)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
