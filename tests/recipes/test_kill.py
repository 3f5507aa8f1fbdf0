"""Kill a whole recipe at random moments: repeating the command ends with the same result to the bit."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.checkout import Checkout, debug

pytestmark = pytest.mark.slow


def results(recipe: Path) -> dict[str, Any]:
    """All that a person would look at: tables, lists, scores, weights, as digests."""
    found: dict[str, Any] = {}
    for pattern in (
        "dump/raw/*/*",
        "data/token_list/*/*",
        "exp/asr_*/*/*/*",
        "exp/*/*.ave.pth",
        "exp/*/perplexity.json",
    ):
        for path in sorted(recipe.glob(pattern)):
            if (
                path.is_file()
                and path.name != "rtf"
                and "shares" not in path.parts
                and "logs" not in path.parts
            ):
                found[str(path.relative_to(recipe))] = digest(path)
    for path in recipe.glob("exp/*/*/scores.json"):
        found[str(path.relative_to(recipe))] = json.loads(path.read_text())["sets"]
    return found


def digest(path: Path) -> str:
    """Of a file's content; of the tensors where it is a checkpoint (a zip has its own name in it)."""
    if path.suffix != ".pth":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    import torch

    state = torch.load(path, weights_only=True)
    parts = (name.encode() + tensor.numpy().tobytes() for name, tensor in sorted(state.items()))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def options() -> list[str]:
    """Three epochs with a checkpoint at every update, so that a kill meets the middle of training."""
    changes = "--set max_epoch=3 checkpoint_minutes=0 keep_nbest_models=2"
    return debug("--asr_args", changes, "--nj", "2", "--stop_stage", "asr_score")


@pytest.fixture(scope="module")
def undisturbed(
    new_checkout: Callable[[], Checkout], small_an4: Path
) -> tuple[Checkout, dict[str, Any]]:
    """A recipe that ran in peace, and its results."""
    mine = new_checkout()
    mine.run(*options(), AN4=str(small_an4))
    return mine, results(mine.recipe("an4/asr1"))


def test_killed_at_random_moments_it_ends_the_same(
    undisturbed: tuple[Checkout, dict[str, Any]],
    new_checkout: Callable[[], Checkout],
    small_an4: Path,
    tmp_path: Path,
):
    _, wanted = undisturbed
    assert len(wanted) > 20 and any(name.endswith("valid.acc.ave.pth") for name in wanted)
    mine, choose = new_checkout(), random.Random(7)
    # each at a random moment of it; in training once a first checkpoint is there, which is in the middle
    stages = ["format", "lm_train", "asr_stats", "asr_train", "asr_train", "asr_decode"]
    said, log = "", tmp_path / "log"
    killed_in = []
    for stage in stages:
        with open(log, "w") as out:
            process = mine.start(*options(), AN4=str(small_an4), out=out)
        wait_for_stage(log, stage, process)
        if stage == "asr_train":
            wait_for(
                lambda: list(mine.recipe("an4/asr1").glob("exp/asr_debug*/checkpoint.pth")), process
            )
        time.sleep(choose.uniform(0, 1.0 if stage != "format" else 0.2))
        kill_all(process.pid)
        process.wait(20)
        said += log.read_text()
        killed_in += [stage] if process.returncode < 0 else []
    assert len(killed_in) >= 5, killed_in
    last = mine.run(*options(), AN4=str(small_an4))
    assert results(mine.recipe("an4/asr1")) == wanted, said + last
    assert "up to date, skipped" in last and "resuming at epoch" in said + last
    assert not list(mine.recipe("an4/asr1").glob("dump/**/.*tmp*"))


def wait_for_stage(log: Path, stage: str, process: Any) -> None:
    """Until the stage begins."""
    wait_for(lambda: f" {stage}: " in log.read_text().replace("up to date", ""), process)


def wait_for(condition: Callable[[], Any], process: Any) -> None:
    """Until something is so, or the recipe has ended."""
    until = time.monotonic() + 180
    while not condition() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)


def kill_all(leader: int) -> None:
    """kill -9 to every process of a recipe, also those in groups of their own; then nobody is left."""
    family = descendants(leader)
    for pid in (leader, *family):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def descendants(pid: int) -> list[int]:
    """Children of a process, theirs, and so on."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *descendants(child))]


@pytest.mark.parametrize(
    ("yaml", "line", "again"),
    [
        ("debug_lm.yaml", "patience: 9", "lm_stats lm_train lm_perplexity asr_decode asr_score"),
        ("debug_asr.yaml", "patience: 9", "asr_stats asr_train asr_decode asr_score"),
        ("debug_decode.yaml", "penalty: 0.1", "asr_decode asr_score"),
    ],
)
def test_a_changed_yaml_reruns_what_depends_on_it_and_nothing_else(
    undisturbed: tuple[Checkout, dict[str, Any]], small_an4: Path, yaml: str, line: str, again: str
):
    mine, _ = undisturbed
    mine.run(*options(), AN4=str(small_an4))  # what an earlier case left
    before = {name: record["run_id"] for name, record in mine.records("an4/asr1").items()}
    path = mine.recipe("an4/asr1") / "conf" / yaml
    path.write_text(path.read_text() + line + "\n")
    dry = mine.run(*options(), "--dry_run", AN4=str(small_an4))
    assert dry.count("would run: ") == len(again.split()) and f"conf/{yaml} changed" in dry
    mine.run(*options(), AN4=str(small_an4))
    after = {name: record["run_id"] for name, record in mine.records("an4/asr1").items()}
    assert {name for name in after if after[name] != before[name]} == set(again.split())
