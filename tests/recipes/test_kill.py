"""Kill a whole recipe at random moments: repeating the command ends with the same result to the bit."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.checkout import Checkout, debug
from tests.recipes.test_recipes import TINY, shrink

pytestmark = pytest.mark.slow


def results(recipe: Path) -> dict[str, Any]:
    """All that a person would look at: tables, lists, scores, weights, as digests."""
    found: dict[str, Any] = {}
    for pattern in (
        "dump/raw/*/*",
        "data/token_list/*/*",
        "exp/asr_*/*/*/*",
        "exp/tts_*/*/*/*",
        "exp/tts_*/*/*/wav/*",
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


MANY = "--set max_epoch=3 checkpoint_minutes=0 keep_nbest_models=2"
BEGUN = r"== stage \d+ (\w+): (?!up to date|left out|done|stopped|FAILED)"
DONE = r"== stage \d+ (\w+): done"


def options() -> list[str]:
    """Three epochs with a checkpoint at every update, so that a kill meets the middle of training."""
    return debug("--asr_args", MANY, "--nj", "2", "--stop_stage", "asr_score")


def speaking() -> list[str]:
    """The same for the synthesiser of rendered speech."""
    args = ("--tts_args", MANY, "--stop_stage", "tts_score")
    return ["--recipe", "mini/tts1", *TINY["mini/tts1"], *args]


@pytest.fixture(scope="module")
def undisturbed(
    new_checkout: Callable[[], Checkout], small_an4: Path
) -> tuple[Checkout, dict[str, Any]]:
    """A recipe that ran in peace, and its results."""
    mine = new_checkout()
    mine.run(*options(), AN4=str(small_an4))
    return mine, results(mine.recipe("an4/asr1"))


@pytest.fixture(scope="module")
def spoken(new_checkout: Callable[[], Checkout]) -> dict[str, Any]:
    """Results of a synthesiser that was trained in peace."""
    mine = new_checkout()
    mine.run(*speaking())
    found = results(mine.recipe("mini/tts1"))
    assert len(found) > 12 and any(name.endswith("valid.mel.ave.pth") for name in found)
    return found


def test_a_recogniser_killed_at_random_moments_ends_the_same(
    undisturbed: tuple[Checkout, dict[str, Any]],
    new_checkout: Callable[[], Checkout],
    small_an4: Path,
    tmp_path: Path,
):
    _, wanted = undisturbed
    assert len(wanted) > 20 and any(name.endswith("valid.acc.ave.pth") for name in wanted)
    stages = ["format", "lm_train", "asr_stats", "asr_train", "asr_train", "asr_decode"]
    victim = Victim(new_checkout(), "an4/asr1", options(), tmp_path / "log", AN4=str(small_an4))
    victim.killed_in_each(stages, "exp/asr_debug*/checkpoint.pth")
    said = victim.finish()
    assert results(victim.directory) == wanted, said
    assert "up to date, skipped" in said and "resuming at epoch" in said
    assert not list(victim.directory.glob("dump/**/.*tmp*"))


def test_a_synthesiser_killed_at_random_moments_ends_the_same(
    spoken: dict[str, Any], new_checkout: Callable[[], Checkout], tmp_path: Path
):
    stages = ["data", "tts_stats", "tts_train", "tts_train", "tts_synthesize", "tts_score"]
    victim = Victim(new_checkout(), "mini/tts1", speaking(), tmp_path / "log")
    victim.killed_in_each(stages, "exp/tts_debug*/checkpoint.pth")
    said = victim.finish()
    assert results(victim.directory) == spoken, said
    assert "resuming at epoch" in said


def test_the_small_job_killed_in_both_recipes_and_after_ends_the_same(
    spoken: dict[str, Any], new_checkout: Callable[[], Checkout], tmp_path: Path
):
    """Only the leader gets kill -9: nobody that it started, at whatever depth, is left at work."""
    mine = new_checkout()
    for name in ("mini/asr1", "mini/tts1"):
        shrink(mine, name)
    words = ["--asr_args", MANY, "--tts_args", MANY]
    victim = Victim(mine, "mini/asr1", words, tmp_path / "log", only_leader=True)
    for stage in ("tts_train", "asr_train", "round_trip"):
        assert stage in victim.killed(stage)
    said = victim.finish()
    assert results(mine.recipe("mini/tts1")) == spoken, said
    assert (mine.root / "exp/mini/report.html").is_file()
    assert "asr | == stage 11 asr_train: up to date, skipped" in victim.last, victim.last
    summary = json.loads((mine.root / "exp/mini/summary.json").read_text())
    assert summary["wall_seconds"] < summary["total_seconds"]  # both ran at once


class Victim:
    """A recipe that is started and killed, again and again."""

    def __init__(
        self,
        checkout: Checkout,
        recipe: str,
        words: list[str],
        log: Path,
        only_leader: bool = False,
        **env: str,
    ) -> None:
        self.checkout, self.words, self.log, self.env = checkout, words, log, env
        self.directory, self.only_leader = checkout.recipe(recipe), only_leader
        self.choose, self.said, self.last = random.Random(7), "", ""

    def killed_in_each(self, stages: list[str], checkpoint: str) -> None:
        """Kill it at a random moment of each stage; in training once a checkpoint of this run is there."""
        hit: list[str] = []
        for stage in stages:
            since = checkpoint if stage.endswith("_train") and stage != "lm_train" else ""
            hit += self.killed(stage, since)
        assert len(set(hit)) >= 4 and len(hit) >= len(stages) - 1, hit

    def killed(self, stage: str, checkpoint: str = "") -> list[str]:
        """Start it, kill it in a stage, and say which stages the kill has met: they have no record."""
        started = time.time()
        with open(self.log, "w") as out:
            process = self.checkout.start(*self.words, out=out, **self.env)
        wait_for(lambda: stage in re.findall(BEGUN, self.log.read_text()), process)
        if checkpoint:
            wait_for(lambda: self._newer(checkpoint, started), process)
        time.sleep(
            self.choose.uniform(0, 0.2 if checkpoint or stage in ("data", "format") else 0.7)
        )
        family = descendants(process.pid)
        kill_all(process.pid, [] if self.only_leader else family)
        process.wait(20)
        until = time.monotonic() + 20
        while any(map(alive, family)):
            assert time.monotonic() < until, "somebody is left"
            time.sleep(0.05)
        text = self.log.read_text()
        self.said += text
        over = {*re.findall(DONE, text), "asr", "tts"}  # the last two are whole recipes
        met = [name for name in re.findall(BEGUN, text) if name not in over]
        records = {path.stem for path in self.checkout.root.glob("**/exp/.stages/*.json")}
        assert not records & set(met), (records, met, text)
        return met

    def _newer(self, pattern: str, when: float) -> bool:
        """Whether a file was written since then."""
        return any(path.stat().st_mtime > when for path in self.directory.glob(pattern))

    def finish(self) -> str:
        """Run it to its end in peace; all that it has ever said."""
        self.last = self.checkout.run(*self.words, **self.env)
        return self.said + self.last


def wait_for(condition: Callable[[], Any], process: Any) -> None:
    """Until something is so, or the recipe has ended."""
    until = time.monotonic() + 180
    while not condition() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)


def kill_all(leader: int, family: list[int]) -> None:
    """kill -9 to a recipe and to processes of it, also those in groups of their own."""
    for pid in (leader, *family):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


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
        (
            "debug_lm.yaml",
            "optim_conf: {lr: 0.02}",
            "lm_stats lm_train lm_perplexity asr_decode asr_score",
        ),
        (
            "debug_asr.yaml",
            "optim_conf: {lr: 0.02}",
            "asr_stats asr_train asr_decode asr_score",
        ),
        ("debug_decode.yaml", "penalty: 0.1", "asr_decode asr_score"),
    ],
)
def test_a_changed_yaml_reruns_what_depends_on_it_and_nothing_else(
    undisturbed: tuple[Checkout, dict[str, Any]], small_an4: Path, yaml: str, line: str, again: str
):
    mine, _ = undisturbed
    mine.run(*options(), AN4=str(small_an4))  # what an earlier case left
    before = {name: record["run_id"] for name, record in mine.records("an4/asr1").items()}
    weights = averages(mine)
    path = mine.recipe("an4/asr1") / "conf" / yaml
    path.write_text(path.read_text() + line + "\n")
    dry = mine.run(*options(), "--dry_run", AN4=str(small_an4))
    assert dry.count("would run: ") == len(again.split()) and f"conf/{yaml} changed" in dry
    mine.run(*options(), AN4=str(small_an4))
    after = {name: record["run_id"] for name, record in mine.records("an4/asr1").items()}
    assert {name for name in after if after[name] != before[name]} == set(again.split())
    now = averages(mine)
    trained = {"debug_lm.yaml": "lm_", "debug_asr.yaml": "asr_"}.get(yaml, "none")
    assert {name for name in now if now[name] != weights[name]} == {
        name for name in now if name.startswith(trained)
    }
    aside = mine.recipe("an4/asr1").glob(f"exp/{trained}*/before-1/*.ave.pth")
    assert bool(list(aside)) == (trained != "none")


def averages(checkout: Checkout) -> dict[str, str]:
    """Digest of the averaged weights of each model of an4/asr1."""
    paths = checkout.recipe("an4/asr1").glob("exp/*/*.ave.pth")
    return {f"{path.parent.name}/{path.name}": digest(path) for path in paths}
