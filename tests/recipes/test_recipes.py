"""Every recipe runs all its stages, tiny. A recipe without a row in TINY fails."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import miniature
from tests.recipes.checkout import REPO, Checkout, debug

#: Recipe -> options that make it tiny. Corpora that are not rendered by the recipe come from CORPORA.
TINY: dict[str, list[str]] = {
    "an4/asr1": debug()[2:],
    "mini": [],  # see test_the_small_end_to_end_job
    "mini/asr1": [
        *("--local_data_opts", "--train 24 --dev 4 --test 4", "--nbpe", "40"),
        *("--asr_config", "conf/debug_asr.yaml", "--lm_config", "conf/debug_lm.yaml"),
    ],
    "mini/tts1": ["--local_data_opts", "--tts 26", "--tts_config", "conf/debug_tts.yaml"],
}
#: Recipe -> (variable of local/db.sh, fixture that makes the corpus).
CORPORA = {"an4/asr1": ("AN4", "small_an4")}
#: Stages of each task, all of which have to have run (upload excepted).
STAGES = {
    "asr1": "data format filter tokens lm_stats lm_train lm_perplexity asr_stats asr_train asr_decode asr_score pack",
    "tts1": "data format filter tokens tts_stats tts_train tts_synthesize tts_score pack",
}


def recipes() -> list[str]:
    """Names of all recipes, from the directories."""
    found = [*REPO.glob("egs2/*/run.sh"), *REPO.glob("egs2/*/*/run.sh")]
    return sorted(str(path.parent.relative_to(REPO / "egs2")) for path in found)


def test_every_recipe_has_a_row():
    assert recipes() == sorted(TINY)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipes() if "/" in name])
def test_recipe_runs_all_its_stages(name: str, checkout: Checkout, request: pytest.FixtureRequest):
    variable, fixture = CORPORA.get(name, ("UNUSED", ""))
    corpus = str(request.getfixturevalue(fixture)) if fixture else ""
    said = checkout.run("--recipe", name, *TINY[name], **{variable: corpus})
    records = checkout.records(name)
    task = name.rpartition("/")[2]
    assert set(STAGES[task].split()) <= set(records), said
    found = [json.loads(p.read_text()) for p in checkout.recipe(name).glob("exp/*/*/scores.json")]
    assert len(found) == 1 and found[0]["sets"]
    again = checkout.run("--recipe", name, *TINY[name], **{variable: corpus})
    assert again.count("up to date, skipped") == len(records)
    assert len([line for line in again.splitlines() if line.startswith("== stage")]) == len(records)
    (packed,) = checkout.recipe(name).glob("exp/*/*.zip")
    assert "meta.yaml" in zipfile.ZipFile(packed).namelist()


@pytest.mark.slow
def test_speeds_and_bpe_of_the_an4_form_as_it_is(
    new_checkout: Callable[[], Checkout], small_an4: Path
):
    """Stages 1 to 5 with what egs2/an4/asr1/run.sh says itself: three speeds."""
    mine = new_checkout()
    mine.run("--recipe", "an4/asr1", "--nbpe", "30", "--stop_stage", "tokens", AN4=str(small_an4))
    one, three = (
        lines(mine.recipe("an4/asr1") / f"data/{name}/text") for name in ("train", "train_sp")
    )
    assert three == 3 * one
    assert lines(mine.recipe("an4/asr1") / "dump/raw/train_sp/utt2num_samples") == three


@pytest.mark.slow
def test_an4_on_a_few_real_utterances(
    new_checkout: Callable[[], Checkout], realdata: Path, tmp_path: Path
):
    corpus = miniature.take(realdata / "an4", tmp_path / "an4")
    mine = new_checkout()
    mine.run(*debug("--use_lm", "false", "--stop_stage", "asr_stats"), AN4=str(corpus))
    words = dict(
        row.split(" ", 1)
        for row in (mine.recipe("an4/asr1") / "data/train/text").read_text().splitlines()
    )
    assert len(words) == 12 and "".join(words.values()).isupper()
    (stats,) = mine.recipe("an4/asr1").glob("exp/asr_stats_*/train/feats_stats.npz")
    assert stats.stat().st_size > 0


@pytest.mark.slow
def test_another_test_set_is_scored_without_training(
    checkout: Checkout, small_an4: Path, tmp_path: Path
):
    """AN4_TEST: the recogniser that is there hears another directory; only stage 13's second half runs."""
    checkout.run(*debug(), AN4=str(small_an4))
    model = next(checkout.recipe("an4/asr1").glob("exp/asr_debug*/valid.acc.ave.pth"))
    before = (
        model.stat().st_mtime_ns,
        {n: r["run_id"] for n, r in checkout.records("an4/asr1").items()},
    )
    more = shutil.copytree(small_an4, tmp_path / "more")
    (more / "etc/an4_train.transcription").unlink()
    said = checkout.run(*debug(), AN4=str(small_an4), AN4_TEST=os.path.relpath(more, checkout.root))
    after = {n: r["run_id"] for n, r in checkout.records("an4/asr1").items() if n != "score_more"}
    assert before == (model.stat().st_mtime_ns, after)
    assert "stage 13 score_more" in said and "more/more" in said
    scores = json.loads((model.parent / "more/scores.json").read_text())
    assert scores["sets"]["more"]["wer"]["sentences"] == 1


@pytest.mark.slow
def test_the_small_end_to_end_job(new_checkout: Callable[[], Checkout]):
    """./run.sh without a recipe, whose recipes are made tiny by forms of their own."""
    mine = new_checkout()
    for name in ("mini/asr1", "mini/tts1"):
        shrink(mine, name)
    said = mine.run(timeout=400)
    page, summary = mine.root / "exp/mini/report.html", mine.root / "exp/mini/summary.json"
    assert "</html>" in page.read_text()
    found = json.loads(summary.read_text())
    for part, key in (("asr", "wer"), ("asr", "cer"), ("tts", "mcd"), ("tts", "round_trip_cer")):
        assert isinstance(found[part][key], float), (part, key, said)
    assert found["seconds"]["asr1/asr_train"] > 0 and found["versions"]["torch"]


def shrink(checkout: Checkout, name: str) -> None:
    """Write a recipe's tiny options into its form."""
    script = checkout.recipe(name) / "run.sh"
    options = TINY[name]
    lines = "".join(
        f'{key[2:]}="{value}"\n' for key, value in zip(options[::2], options[1::2], strict=True)
    )
    text = script.read_text()
    script.write_text(text.replace('. "$ROOT/egs2/TEMPLATE', f'{lines}. "$ROOT/egs2/TEMPLATE'))


def lines(path: Path) -> int:
    """How many there are in a file."""
    return len(path.read_text().splitlines())
