"""tools/recipe.sh with its helpers: options, help, resuming, failures."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ALL = ["data", "format", "lm", "asr", "decode", "score"]


def wait_for(path: Path) -> None:
    """Wait until a file is there with something in it."""
    until = time.monotonic() + 20
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)


# Options and help


def test_help_comes_from_option_lines_and_stages(recipe):
    text = recipe("--help")
    assert "Toy: does next to nothing" in text
    assert "--nj 2 " in text and "parallel jobs" in text
    assert '--train_set "train clean"' in text and "our training set" in text  # the recipe's own
    assert "--speed 2 " in text and "how fast" in text  # its value, the template's comment
    assert "11 asr_train       Train the recogniser" in text
    assert "--skip_stages" in text
    assert recipe.ran() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trian_set", "x"], "no option --trian_set; did you mean --train_set?"),
        (["--nj"], "--nj: its value is missing (parallel jobs)"),
        (["--nj", "--speed", "3"], "--nj: its value is missing"),
        (["--nj", "many"], "expected a number such as 2"),
        (["--nj", "0"], "--nj 0: expected a whole number, 1 or more"),
        (["--nj=-1"], "--nj -1: expected a whole number, 1 or more"),
        (["--nj", "1.5"], "--nj 1.5: expected a whole number, 1 or more"),
        (["--nj", ""], "--nj : expected a whole number, 1 or more"),
        (["--use_lm=maybe"], "expected true or false"),
        (["exp"], "found 'exp', expected --option value"),
        (["--stage", "asr_trian"], "no stage asr_trian; did you mean asr_train"),
        (["--stage", "2"], "no stage 2 (there are 1 data, 3 format"),
        (["--stage", "12", "--stop_stage", "3"], "nothing to run"),
    ],
)
def test_bad_usage_exits_2_and_names_the_cure(recipe, options, message):
    assert message in recipe(*options, status=2)
    assert recipe.ran() == []


@pytest.mark.parametrize(
    "options", [["--train-set", "a b"], ["--train_set", "a b"], ["--train-set=a b"]]
)
def test_options_take_dash_underscore_and_equals(recipe, options):
    assert "sh local/work.sh decode 'a b'" in recipe("--dry-run", *options)


def test_values_that_the_shell_would_expand_stay_as_they_are(recipe):
    value = "$(touch hacked) `x` \"q\" '*'"
    recipe("--train_set", value, "--stop_stage", "1")
    assert not (recipe.directory / "hacked").exists()


def test_a_misspelt_name_in_the_recipe_is_an_error(recipe):
    recipe.script.write_text(recipe.script.read_text().replace("speed=2", "sped=2"))
    assert "sets sped, which" in recipe(status=2)
    assert "did you mean speed?" in recipe(status=2)


def test_a_stage_after_an_unknown_one_is_an_error(recipe):
    template = recipe.root / "egs2/TEMPLATE/toy/toy.sh"
    template.write_text(template.read_text().replace("after asr_decode", "after asr_decoding"))
    assert "comes after {'asr_decoding'}" in recipe(status=2)


# Which stages run


def test_dry_run_prints_commands_and_does_nothing(recipe):
    text = recipe("--dry_run")
    assert "sh local/work.sh format JOB/2" in text
    assert recipe.ran() == [] and not (recipe.directory / "exp").exists()


def test_a_second_run_skips_everything(recipe):
    first = recipe()
    assert recipe.ran() == ALL
    assert "stage 3 format: Write audio" in first
    assert "done in" in first and "log exp/logs/format.*.log" in first
    assert "lm at work" in first  # a single job is shown as it runs
    assert recipe().count("up to date, skipped") == 6
    assert recipe.ran() == []


def test_record_follows_the_contract(recipe):
    recipe("--stop_stage", "format")
    record = recipe.record("format")
    assert (record["number"], record["name"], record["title"]) == (3, "format", "Write audio")
    assert record["seconds"] > 0
    assert "local/work.sh format" in record["command"]
    assert len(record["fingerprint"]) == 64 and record["run_id"]
    assert time.strptime(record["finished"], "%Y-%m-%dT%H:%M:%S%z")


def test_stage_and_stop_stage_force_by_number_or_name(recipe):
    recipe("--stop_stage", "format")
    assert recipe.ran() == ["data", "format"]
    recipe("--stop-stage=7")
    assert recipe.ran() == ["lm"]
    recipe("--stage", "3", "--stop_stage", "lm_train")
    assert recipe.ran() == ["format", "lm"]
    recipe("--stage", "asr_train")
    assert recipe.ran() == ["asr", "decode", "score"]


def test_skip_stages(recipe):
    assert "stage 7 lm_train: left out" in recipe("--skip_stages", "lm_train 13")
    assert recipe.ran() == ["data", "format", "asr", "decode"]


@pytest.mark.parametrize(
    ("change", "reason", "again"),
    [
        ("conf/lm.yaml", "conf/lm.yaml changed", ["lm", "decode", "score"]),
        ("conf/asr.yaml", "conf/asr.yaml changed", ["asr", "decode", "score"]),
        ("local/data.sh", "local/data.sh changed", ALL),
        ("README.md", "", []),
    ],
)
def test_a_changed_file_reruns_what_depends_on_it_and_nothing_else(recipe, change, reason, again):
    recipe()
    recipe.ran()
    path = recipe.directory / change
    recipe.write(change, (path.read_text() if path.exists() else "") + "# changed\n")
    if again:
        dry = recipe("--dry_run")
        assert dry.count("would run: ") == len(again) and reason in dry
    assert reason in recipe()
    assert recipe.ran() == again


def test_a_changed_option_reruns_its_stage_and_the_number_of_jobs_does_not(recipe):
    recipe()
    recipe.ran()
    assert "skipped" in recipe("--nj", "3")
    assert recipe.ran() == []
    assert "command changed: train clean -> other" in recipe("--train_set", "other")
    assert recipe.ran() == ["decode", "score"]


def test_touching_a_file_without_changing_it_reruns_nothing(recipe):
    recipe()
    recipe.ran()
    os.utime(recipe.directory / "conf/asr.yaml")
    recipe()
    assert recipe.ran() == []


def test_an_upstream_stage_that_ran_again_makes_later_ones_stale(recipe):
    recipe()
    recipe.ran()
    recipe("--stage", "lm_train", "--stop_stage", "lm_train")
    recipe.ran()
    assert "stage lm_train ran again" in recipe()
    assert recipe.ran() == ["decode", "score"]


@pytest.mark.slow
def test_a_lost_output_is_made_again_and_a_new_one_is_not_taken_for_an_input(recipe):
    recipe()
    recipe("--stage", "13")  # writes another scores.json
    recipe.ran()
    recipe()
    assert recipe.ran() == []
    (recipe.directory / "exp/scores.json").unlink()
    assert "exp/scores.json is missing" in recipe()
    assert recipe.ran() == ["score"]


def test_a_broken_record_means_not_finished(recipe):
    recipe()
    recipe.ran()
    recipe.write("exp/.stages/lm_train.json", '{"half')
    recipe()
    assert recipe.ran() == ["lm", "decode", "score"]


# Optional stages, which have high numbers wherever they stand


@pytest.fixture
def optional(recipe):
    """The recipe with stage 24 before stage 7, in a part of the template."""
    part = recipe.root / "egs2/TEMPLATE/toy/look.sh"
    part.write_text('run_stage 24 look "Look" after format -- sh local/work.sh look\n')
    part = '. "$ROOT/egs2/TEMPLATE/toy/look.sh"\n'
    recipe.edit_template("if $use_lm; then\n", f"if $use_lm; then\n{part}")
    recipe.edit_template("after data -- sh local/work.sh lm", "after look -- sh local/work.sh lm")
    return recipe


def test_an_earlier_stage_of_a_higher_number_is_not_dropped(optional):
    """Past bug: --stop_stage compared numbers, so stage 7 used what an older stage 24 had made."""
    dry = optional("--dry_run", "--stop_stage", "lm_train")
    assert "stage 24 look" in dry and "stage 11 asr_train" not in dry
    optional("--stop_stage", "7")
    assert optional.ran() == ["data", "format", "look", "lm"]


def test_a_higher_number_is_not_forced_by_a_later_stage(optional):
    optional()
    optional.ran()
    optional("--stage", "asr_train")
    assert optional.ran() == ["asr", "decode", "score"]
    optional("--stage", "24", "--stop_stage", "lm_train")
    assert optional.ran() == ["look", "lm"]
    optional("--stage", "look", "--stop_stage", "look")
    assert optional.ran() == ["look"]


def test_what_is_told_of_stages_follows_their_order(optional):
    listed = [line.split()[0] for line in optional("--help").partition("Stages:\n")[2].splitlines()]
    assert listed == ["1", "3", "24", "7", "11", "12", "13"]
    told = optional("--stage", "lm_train", "--stop_stage", "look", status=2)
    assert "--stage lm_train comes after --stop_stage look: nothing to run" in told
    assert "3 format, 24 look, 7 lm_train" in optional("--stage", "2", status=2)


def test_going_on_at_a_higher_number_does_all_that_follows(optional):
    optional.write("bad.look", "")
    assert "--stage 24" in optional(status=3)
    (optional.directory / "bad.look").unlink()
    optional.ran()
    optional("--stage", "24")
    assert optional.ran() == ["look", "lm", "asr", "decode", "score"]


def test_a_recipe_may_say_itself_where_it_ends(optional):
    optional.script.write_text(optional.script.read_text().replace("speed=2", "stop_stage=look"))
    optional()
    assert optional.ran() == ["data", "format", "look"]
    optional("--stop_stage", "lm_train")
    assert optional.ran() == ["lm"]


def test_a_stage_that_the_text_does_not_tell_of_stands_where_the_one_before_it_does(optional):
    optional.edit_template(
        "run_stage 11 asr",
        'run_stage "3$nj" more "More" -- sh local/work.sh more\nrun_stage 11 asr',
    )
    optional("--stop_stage", "look")
    assert optional.ran() == ["data", "format", "look"]
    optional("--stop_stage", "asr_train")
    assert optional.ran() == ["lm", "more", "asr"]
    optional("--stage", "asr_train", "--stop_stage", "asr_train")
    assert optional.ran() == ["asr"]


# Failures


def test_a_failure_shows_the_job_and_how_to_go_on(recipe):
    recipe.write("bad.format", "")
    text = recipe("--speed", "3", status=3)
    assert "| format cannot go on: no such phoneme" in text
    assert "log: exp/logs/format." in text
    assert f"to go on: {recipe.script} --speed 3 --stage 3" in text
    assert recipe.ran() == ["data", "format"]
    assert not (recipe.directory / "exp/.stages/format.json").exists()
    (recipe.directory / "bad.format").unlink()
    recipe()
    assert recipe.ran() == ALL[1:]


def test_a_failing_rerun_leaves_no_old_record_behind(recipe):
    recipe()
    recipe.ran()
    recipe.write("bad.asr", "")
    recipe("--stage", "11", status=3)
    (recipe.directory / "bad.asr").unlink()
    recipe.ran()
    recipe()
    assert recipe.ran() == ["asr", "decode", "score"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_process_and_goes_on_where_it_was(recipe, how):
    recipe.write("slow.asr", "")
    with open(recipe.directory / "out.txt", "w") as out:
        running = subprocess.Popen(
            [str(recipe.script)], stdout=out, stderr=out, start_new_session=True
        )
    wait_for(recipe.directory / "pid.asr")
    if how == signal.SIGINT:
        os.killpg(running.pid, how)  # what a terminal does on Ctrl-C
    else:
        running.send_signal(how)
    running.wait(20)
    assert gone(int((recipe.directory / "pid.asr").read_text()))
    assert running.returncode != 0
    until = time.monotonic() + 10
    while "--stage 11" not in (recipe.directory / "out.txt").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    (recipe.directory / "slow.asr").unlink()
    recipe.ran()
    recipe()
    assert recipe.ran() == ["asr", "decode", "score"]


def test_two_runs_at_once_do_not_meet_in_a_stage(recipe):
    recipe.write("slow.data", "")
    running = subprocess.Popen([str(recipe.script)], stdout=subprocess.DEVNULL)
    wait_for(recipe.directory / "pid.data")
    assert "already, by process" in recipe(status=2)
    running.terminate()
    running.wait(20)


def test_a_place_that_cannot_be_written_is_one_line(recipe):
    recipe.write("exp", "a file where a directory should be")
    text = recipe(status=1)
    assert "stage 1 data: error: exp" in text
    assert len(text.splitlines()) == 1


def test_a_full_disk_is_one_line(recipe):
    recipe.write("exp/logs/.keep", "")
    (recipe.directory / "exp/logs/data.log").symlink_to("/dev/full")
    text = recipe(status=1)
    assert "the disk is full" in text and "Traceback" not in text
    assert not (recipe.directory / "exp/.stages/data.json").exists()


def test_a_missing_program_is_named(recipe):
    (recipe.directory / "local/data.sh").unlink()
    assert "no program 'local/data.sh'" in recipe(status=2)
