"""What makes a stage stale besides its command and files, and what its record tells."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

import attempts
import fingerprint

# What a stage makes


@pytest.fixture
def makes(recipe):
    """The recipe, its first stage naming the two directories that it makes."""
    recipe.edit_template('"Make the data" --', '"Make the data" makes "$(under data train dev)" --')
    script = "#!/bin/sh\nmkdir -p data/train data/dev\nexec sh local/work.sh data\n"
    recipe.write("local/data.sh", script, executable=True)
    recipe("--stop_stage", "format")
    recipe.ran()
    return recipe


def test_a_lost_directory_is_made_again(makes):
    shutil.rmtree(makes.directory / "data")
    assert "would run: data/train is missing" in makes("--dry_run")
    makes("--stop_stage", "format")
    assert makes.ran() == ["data", "format"]
    assert makes("--stop_stage", "format").count("up to date") == 2


def test_a_command_that_does_not_make_what_it_should_fails(makes):
    makes.edit_template("data train dev", "data train dev other")
    text = makes(status=1)
    assert "stage 1 data: error: found no data/other, expected that local/data.sh makes it" in text
    assert "to go on:" in text
    assert not (makes.directory / "exp/.stages/data.json").exists()


# What a stage reads


def test_every_file_of_a_directory_that_is_read_counts(recipe):
    recipe.edit_template('"Make the data" --', '"Make the data" reads corpus --')
    recipe.edit_template("local/data.sh\n", "local/data.sh corpus\n")
    recipe.write("corpus/a/1.wav", "sound")
    recipe()
    assert recipe().count("up to date") == 6
    recipe.ran()
    recipe.write("corpus/a/2.wav", "more")
    assert "corpus changed" in recipe("--stop_stage", "data")
    assert recipe.ran() == ["data"]


def test_a_file_that_is_read_counts(recipe):
    recipe.edit_template('"Make the data" --', '"Make the data" reads corpus.txt --')
    recipe.write("corpus.txt", "sound")
    recipe("--stop_stage", "data")
    assert "up to date" in recipe("--stop_stage", "data")
    recipe.write("corpus.txt", "more")
    assert "corpus.txt changed" in recipe("--stop_stage", "data")


def test_a_listing_tells_names_sizes_and_times(tmp_path):
    (tmp_path / "a").write_text("1")
    found = {fingerprint.listing(str(tmp_path))}
    os.utime(tmp_path / "a", (1, 1))
    found.add(fingerprint.listing(str(tmp_path)))
    (tmp_path / "a").rename(tmp_path / "b")
    found.add(fingerprint.listing(str(tmp_path)))
    (tmp_path / "b").write_text("22")
    found.add(fingerprint.listing(str(tmp_path)))
    assert len(found) == 4


def test_an_unknown_clause_is_named(recipe):
    recipe.edit_template('"Make the data" --', '"Make the data" maeks data --')
    assert "found maeks, expected after, makes or reads" in recipe(status=2)


# The code of classes that a YAML names


def test_a_changed_class_makes_its_stage_stale_and_a_comment_does_not(recipe):
    recipe.write("conf/asr.yaml", "encoder: my_encoder:Recurrent  # not other:Class\n")
    code = recipe.write("my_encoder.py", "class Recurrent:\n    size = 1\n")
    recipe()
    recipe.ran()
    code.write_text("# A comment.\nclass Recurrent:\n    size = 1\n")
    recipe()
    assert recipe.ran() == []
    code.write_text("class Recurrent:\n    size = 2\n")
    assert "the code of my_encoder:Recurrent changed" in recipe()
    assert recipe.ran() == ["asr", "decode", "score"]


def test_code_is_found_as_python_finds_it(tmp_path, monkeypatch):
    package = tmp_path / "elsewhere" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "deep.py").write_text("x = 1")
    (tmp_path / "here.py").write_text("x = 1")
    config = tmp_path / "conf.yaml"
    config.write_text("a: mine.deep:A\nb: [here:B, none:C]\n# c: here:Commented\nd: '12:30'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    found = fingerprint.codes(["--config", "conf.yaml", "--set", "encoder=here:E"])
    assert sorted(found) == ["here:B", "here:E", "mine.deep:A"]


def test_a_record_of_before_there_was_code_in_it_stays_valid():
    old = fingerprint.State(["x"], {}, {})
    assert old.difference(fingerprint.State(["x"], {}, {}, code={"a:B": "1"})) == ""


# Whether a training starts again


def test_a_finished_stage_that_is_asked_for_trains_anew_and_a_failed_one_goes_on(recipe):
    def anew(*options: str, status: int = 0) -> str:
        (recipe.directory / "anew.txt").unlink(missing_ok=True)
        recipe("--stop_stage", "asr_train", *options, status=status)
        return (recipe.directory / "anew.txt").read_text().split("asr ")[1].split()[0]

    assert anew() == "0"
    assert anew("--stage", "asr_train") == "1"
    recipe.write("bad.asr", "")
    assert anew("--stage", "asr_train", status=3) == "1"
    (recipe.directory / "bad.asr").unlink()
    assert anew("--stage", "asr_train") == "0"


# What the records tell


def test_a_stage_that_failed_first_tells_the_time_of_both_attempts(recipe):
    recipe.write("local/data.sh", "#!/bin/sh\nsleep 0.5\n[ -e ready ]\n", executable=True)
    recipe("--stop_stage", "data", status=1)
    (recipe.directory / "ready").touch()
    recipe("--stop_stage", "data")
    record = recipe.record("data")
    assert len(record["spans"]) == 2 and 1.0 <= record["seconds"] < 5
    recipe("--stage", "data", "--stop_stage", "data")
    assert len(recipe.record("data")["spans"]) == 1  # a run of its own
    assert not list(recipe.directory.glob("exp/.stages/.*.attempts"))


def test_an_attempt_on_other_inputs_counts_no_more(recipe):
    recipe.write("bad.asr", "")
    recipe("--stop_stage", "asr_train", status=3)
    (recipe.directory / "bad.asr").unlink()
    recipe.write("conf/asr.yaml", "epochs: 2\n")
    recipe("--stop_stage", "asr_train")
    assert len(recipe.record("asr_train")["spans"]) == 1


def test_a_killed_attempt_ends_with_its_last_sign_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "BEAT", 0.05)
    path = str(tmp_path / "file")
    first = attempts.Attempts(path, "key")
    first.__enter__()  # never to end
    time.sleep(0.4)
    first._over.set()  # the process is gone, and with it the beat
    second = attempts.Attempts(path, "key")
    assert 0.2 < second.last < 2.0
    with second:
        pass
    assert len(second.spans) == 2
    assert attempts.Attempts(path, "other").spans == []
    second.forget()
    assert attempts.Attempts(path, "key").spans == []


def test_what_the_recipe_has_is_noted_and_what_it_has_no_more_forgotten(recipe):
    def declared() -> list[str]:
        return list(json.loads((recipe.directory / "exp/.stages/.declared").read_text()))

    recipe("--stop_stage", "format")
    every = ["data", "format", "lm_train", "asr_train", "asr_decode", "asr_score"]
    assert sorted(declared()) == sorted(every)
    recipe("--use_lm", "false", "--dry_run")
    assert sorted(declared()) == sorted(every)
    recipe("--use_lm", "false", "--stop_stage", "format")
    assert sorted(declared()) == sorted(set(every) - {"lm_train"})


def test_stages_are_noted_in_the_order_in_which_they_run(recipe):
    """Past bug: an optional stage with a high number was never forgotten, and counted as a late one."""

    def declared() -> list[str]:
        return list(json.loads((recipe.directory / "exp/.stages/.declared").read_text()))

    recipe.edit_template("run_stage 7 lm", "run_stage 24 lm")
    every = ["data", "format", "lm_train", "asr_train", "asr_decode", "asr_score"]
    recipe("--stop_stage", "data")
    assert declared() == every
    recipe("--use_lm", "false", "--stop_stage", "data")
    assert declared() == [name for name in every if name != "lm_train"]
    recipe.write("bad.data", "")
    recipe("--stage", "data", status=3)  # nothing is known of the later ones: they stay
    assert declared() == [name for name in every if name != "lm_train"]
    recipe("--stop_stage", "data", "--skip_stages", "data")
    assert declared() == every


# Stages that a recipe adds


def test_a_recipes_own_stages_can_be_asked_for(recipe):
    more = 'run_stage 16 more "Do more" after data -- sh local/work.sh more\n'
    recipe.script.write_text(recipe.script.read_text() + more)
    assert "16 more            Do more" in recipe("--help")
    recipe("--stop_stage", "data")
    recipe.ran()
    recipe("--stage", "more")
    assert recipe.ran() == ["more"]
    recipe.script.write_text(recipe.script.read_text().replace("16 more", "13 more"))
    assert "stage 13 more is there twice" in recipe(status=2)
