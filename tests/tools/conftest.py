"""A small recipe of its own, in a directory of its own, that drives the real tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]

TEMPLATE = """
. "$ROOT/tools/recipe.sh"
## Data
nj=2                      # parallel jobs
train_set=train           # training set
speed=1                   # how fast
use_lm=true               # train a language model
asr_config=conf/asr.yaml  # model and training
lm_config=conf/lm.yaml    # language model
parse_options "$@"
log=exp/logs
run_stage 1 data "Make the data" -- local/data.sh
run_stage 3 format "Write audio" after data -- \\
  "$ROOT/tools/run_jobs.py" JOB=1:$nj $log/format.JOB.log sh local/work.sh format JOB/$nj
if $use_lm; then
  run_stage 7 lm_train "Train the LM" after data -- sh local/work.sh lm $lm_config
fi
run_stage 11 asr_train "Train the recogniser" after format -- \\
  "$ROOT/tools/run_jobs.py" --gpu 0 exp/asr/train.log sh local/work.sh asr --config=$asr_config
run_stage 12 asr_decode "Decode" after asr_train,lm_train -- sh local/work.sh decode "$train_set"
run_stage 13 asr_score "Score" after asr_decode -- sh local/work.sh score --out exp/scores.json
"""

RUN = """#!/usr/bin/env bash
# Toy: does next to nothing, and does it well.
#: task=ASR hours=0.5 needs="nothing at all"
cd "$(dirname "${BASH_SOURCE[0]}")" && . ../../../path.sh || exit 1

train_set="train clean"  # our training set
speed=2
. "$ROOT/egs2/TEMPLATE/toy/toy.sh"
"""

# Each stage writes its name to ran.txt; a file bad.NAME makes it fail, slow.NAME makes it wait.
WORK = """
echo "$1" >> ran.txt
echo "$1 at work with $2"
echo "$1 $ESPNET_EXT_ANEW" >> anew.txt
[ "$1" = score ] && date +%N > exp/scores.json
[ -e slow.$1 ] && { sleep 60 & echo $! > pid.$1; wait; }
[ -e bad.$1 ] && { echo "$1 cannot go on: no such phoneme"; exit 3; }
exit 0
"""


class Recipe:
    """The small recipe: run it, look at it, change it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / "egs2" / "toy" / "asr1"
        self.script = self.directory / "run.sh"

    def write(self, name: str, text: str, executable: bool = False) -> Path:
        """Write a file of the recipe."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if executable:
            path.chmod(0o755)
        return path

    def __call__(self, *options: str, status: int = 0, **env: str) -> str:
        """Run it; everything it prints, after checking the exit status."""
        done = subprocess.run(
            [str(self.script), *options],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **env},
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def ran(self) -> list[str]:
        """Names of the stages' commands that ran since the last call, in order."""
        path = self.directory / "ran.txt"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return list(dict.fromkeys(names))

    def record(self, name: str) -> dict[str, object]:
        """A stage's record."""
        return json.loads((self.directory / "exp" / ".stages" / f"{name}.json").read_text())

    def edit_template(self, old: str, new: str) -> None:
        """Put `new` for `old` in the template, where `old` is there once."""
        path = self.root / "egs2" / "TEMPLATE" / "toy" / "toy.sh"
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the real tools and the small recipe."""
    (tmp_path / "tools").symlink_to(REPO / "tools")
    (tmp_path / "run.sh").write_bytes((REPO / "run.sh").read_bytes())
    (tmp_path / "run.sh").chmod(0o755)
    here = 'ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)\n'
    here += f"PATH={Path(sys.executable).parent}:$PATH\n"  # as the real one does
    (tmp_path / "path.sh").write_text(here)
    template = tmp_path / "egs2" / "TEMPLATE" / "toy" / "toy.sh"
    template.parent.mkdir(parents=True)
    template.write_text(TEMPLATE)
    recipe = Recipe(tmp_path)
    recipe.write("run.sh", RUN, executable=True)
    recipe.write("local/data.sh", "#!/bin/sh\nexec sh local/work.sh data\n", executable=True)
    recipe.write("local/work.sh", WORK)
    recipe.write("conf/asr.yaml", "epochs: 1\n")
    recipe.write("conf/lm.yaml", "epochs: 1\n")
    return tmp_path


@pytest.fixture
def recipe(root: Path) -> Recipe:
    """The small recipe in `root`."""
    return Recipe(root)
