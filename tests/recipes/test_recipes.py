"""Every recipe runs all its stages, tiny. A recipe without a row in TINY fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import miniature
from tests.corpora import miniatures
from tests.recipes.checkout import REPO, Checkout, debug

DEBUG_ASR = ("--asr_config", "conf/debug_asr.yaml", "--inference_config", "conf/debug_decode.yaml")
DEBUG_LM = (*DEBUG_ASR, "--lm_config", "conf/debug_lm.yaml")
DEBUG_TTS = ("--tts_config", "conf/debug_vits.yaml", "--inference_config", "conf/debug_decode.yaml")
#: An AcousticModel in place of the form's VITS.
ACOUSTIC = (
    *("--tts_task", "tts", "--inference_model", "valid.mel.ave.pth"),
    *("--tts_config", "conf/debug_tts.yaml", "--inference_config", "conf/debug_decode.yaml"),
)
DEBUG_VOC = ("--voc_config", "conf/debug_hifigan.yaml", "--griffin_lim", "2")
#: A CPU, one job and one speed: for recipes that expect a GPU and many cores.
SMALL = ("--gpu", "0", "--nj", "1")
ONE_SPEED = (*SMALL, "--speed_perturb_factors", "")

#: Recipe -> options that make it tiny. Corpora that are not rendered by the recipe come from CORPORA.
TINY: dict[str, list[str]] = {
    "an4/asr1": [*debug()[2:], "--filter_opts", "--rule snr>=-60 --rule clipped<=0.5"],
    "an4_6ch/asr1": [*debug()[2:], "--local_data_opts", "--scenes 2 --updates 1"],
    "chime4/asr1": [*ONE_SPEED, *DEBUG_LM, "--local_data_opts", "--workers 1"],
    "commonvoice/asr1": [*SMALL, *DEBUG_LM, "--nbpe", "30"],
    "commonvoice/tts1": [
        *(*SMALL, *DEBUG_TTS, "--min_seconds", "0.3"),
        *("--local_data_opts", "--language de --min_clips 5 --held_out 1"),
    ],
    "jsut/tts1": [*SMALL, *DEBUG_TTS, "--local_data_opts", "--dev 1 --eval1 1"],
    "libritts/tts1": [*SMALL, *DEBUG_TTS],
    "librispeech/asr1": [*ONE_SPEED, *DEBUG_LM, "--nbpe", "30"],
    "librispeech_100/asr1": [*ONE_SPEED, *DEBUG_ASR, "--nbpe", "20", "--use_ngram", "true"],
    "ljspeech/tts1": [*SMALL, *DEBUG_TTS, "--local_data_opts", "--dev 1 --eval1 1"],
    "ljspeech/voc1": [*SMALL, *DEBUG_VOC, "--local_data_opts", "--dev 1 --eval1 1"],
    "mini": [],  # see test_the_small_end_to_end_job
    "mini/asr1": [
        *("--local_data_opts", "--train 24 --dev 4 --test 4", "--nbpe", "40"),
        *("--asr_config", "conf/debug_asr.yaml", "--lm_config", "conf/debug_lm.yaml"),
    ],
    "mini/tts1": ["--local_data_opts", "--tts 26", "--tts_config", "conf/debug_tts.yaml"],
    "mini/voc1": [
        *("--local_data_opts", "--tts 26", "--voc_config", "conf/debug_vocos.yaml"),
        *("--griffin_lim", "2"),
    ],
    "vctk/voc1": [*SMALL, *DEBUG_VOC, "--local_data_opts", "--dev 1 --eval1 1"],
    "vctk/tts1": [
        *(*SMALL, *DEBUG_TTS, "--min_seconds", "0.3"),
        *("--local_data_opts", "--dev 1 --eval1 1"),
    ],
    "wsj/asr1": [*ONE_SPEED, *DEBUG_LM],
}
#: Recipes that also have a text-to-mel model.
MEL = ("jsut/tts1", "libritts/tts1", "ljspeech/tts1", "vctk/tts1")


def wsj(root: Path) -> dict[str, str]:
    """WSJ's two corpora."""
    made = miniatures.wsj(root)
    return {"WSJ0": str(made / "WSJ0"), "WSJ1": str(made / "WSJ1")}


def noisy_an4(root: Path) -> dict[str, str]:
    """AN4, and a folder of noise."""
    sound = np.random.default_rng(0).standard_normal(16000) * np.linspace(0.01, 0.1, 16000)
    (root / "noise").mkdir()
    soundfile.write(root / "noise/rain.wav", sound, 16000)
    return {"AN4": str(miniature.render(root / "an4")), "NOISE": str(root / "noise")}


#: Corpus -> what its recipes find in the environment; those not here render their corpora themselves.
CORPORA: dict[str, Callable[[Path], dict[str, str]]] = {
    "an4": lambda root: {"AN4": str(miniature.render(root / "an4"))},
    "an4_6ch": noisy_an4,
    "chime4": lambda root: {"CHIME4": str(miniatures.chime4(root)), **wsj(root)},
    "commonvoice": lambda root: {
        "COMMONVOICE": str(miniatures.commonvoice(miniatures.commonvoice(root), "de"))
    },
    "jsut": lambda root: {"JSUT": str(miniatures.jsut(root))},
    "libritts": lambda root: {"LIBRITTS": str(miniatures.libritts(root))},
    "librispeech": lambda root: {"LIBRISPEECH": str(miniatures.librispeech(root))},
    "librispeech_100": lambda root: {"LIBRISPEECH": str(miniatures.librispeech(root))},
    "ljspeech": lambda root: {"LJSPEECH": str(miniatures.ljspeech(root))},
    "vctk": lambda root: {"VCTK": str(miniatures.vctk(root, "0.92"))},
    "wsj": wsj,
}
#: Stages of each task, all of which have to have run (upload excepted).
STAGES = {
    "asr1": "data format filter tokens lm_stats lm_train lm_perplexity asr_stats asr_train asr_decode asr_score pack",
    "tts1": "data format filter tokens tts_stats tts_train tts_synthesize tts_score pack",
    "voc1": "data format voc_stats voc_train voc_copy voc_score pack",
}


def recipes() -> list[str]:
    """Names of all recipes, from the directories."""
    found = [*REPO.glob("egs2/*/run.sh"), *REPO.glob("egs2/*/*/run.sh")]
    return sorted(str(path.parent.relative_to(REPO / "egs2")) for path in found)


def test_every_recipe_has_a_row():
    assert recipes() == sorted(TINY)


@pytest.mark.parametrize("name", ["wsj/asr1", "chime4/asr1"])
def test_noises_do_not_count_as_words(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the form gives to score_asr, and the template's stages pass on."""
    from espnet_ext.bin.score_asr import main

    form = (REPO / "egs2" / name / "run.sh").read_text()
    (options,) = re.findall(r'^score_opts="(.*?)"', form, re.M)
    monkeypatch.chdir(tmp_path)
    miniatures.text(tmp_path / "data/nlsyms.txt", "<NOISE>\n")
    miniatures.text(tmp_path / "dump/test/text", "a <NOISE> THE CAT SAT\n")
    miniatures.text(tmp_path / "exp/test/text", "a THE CAT SAT\n")
    main(["--hyp", "exp", "--ref", "dump", "--no_sclite", *options.split(), "test"])
    found = json.loads((tmp_path / "exp/scores.json").read_text())["sets"]["test"]
    assert (found["wer"]["substitutions"], found["wer"]["deletions"]) == (0, 0)
    for script in ("TEMPLATE/asr1/asr.sh", "an4/asr1/run.sh"):
        calls = re.findall(r"bin\.score_asr (.*)", (REPO / "egs2" / script).read_text())
        assert calls and all("$score_opts" in call for call in calls)


@pytest.mark.parametrize("script", ["asr1/asr.sh", "tts1/tts.sh", "voc1/voc.sh"])
def test_a_validation_set_that_is_a_test_set_too_is_written_once(script: str):
    text = (REPO / "egs2/TEMPLATE" / script).read_text()
    (line,) = re.findall(r"^sets=.*$", text, re.M)
    given = 'train=t train_set=t valid_set=dev test_sets="dev eval1"'
    said = subprocess.run(
        ["bash", "-c", f"{given}\n{line}\necho $sets"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "t dev eval1\n"
    assert text.count("$valid_set $test_sets") == 2  # this line, and what stage 1 makes


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipes() if "/" in name])
def test_recipe_runs_all_its_stages(name: str, checkout: Checkout, tmp_path: Path):
    run_all_stages(name, TINY[name], checkout, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEL)
def test_recipe_runs_with_its_text_to_mel_model(
    name: str, new_checkout: Callable[[], Checkout], tmp_path: Path
):
    run_all_stages(name, [*TINY[name], *ACOUSTIC], new_checkout(), tmp_path)


def run_all_stages(name: str, options: list[str], checkout: Checkout, tmp_path: Path) -> None:
    """Run a recipe with options that make it tiny, and once more, which has nothing to do."""
    corpus, _, task = name.partition("/")
    env = CORPORA[corpus](tmp_path) if corpus in CORPORA else {}
    said = checkout.run("--recipe", name, *options, **env)
    records = checkout.records(name)
    needed = set(STAGES[task].split())
    if "\nuse_lm=false" in (checkout.recipe(name) / "run.sh").read_text():
        needed = {stage for stage in needed if not stage.startswith("lm_")}
    needed |= {"ngram"} if "--use_ngram" in options else set()
    assert needed <= set(records), said
    found = [json.loads(p.read_text()) for p in checkout.recipe(name).glob("exp/*/*/scores.json")]
    assert len(found) == 1 and found[0]["sets"]
    again = checkout.run("--recipe", name, *options, **env)
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
def test_augmented_copies_and_an_audit_when_asked_for(
    new_checkout: Callable[[], Checkout], small_an4: Path
):
    mine = new_checkout()
    recipe = mine.recipe("an4/asr1")
    (recipe / "conf/augment.yaml").write_text("volume: 1\n")
    more = ["--augment_opts=--augment conf/augment.yaml", "--audit_opts", "--nj 1", "--nj", "1"]
    mine.run(*debug(*more, "--stop_stage", "filter"), AN4=str(small_an4))
    assert set(mine.records("an4/asr1")) == {"data", "speed_perturb", "format", "audit", "filter"}
    one, both = (lines(recipe / place) for place in ("data/train/text", "dump/raw/train_aug/text"))
    assert both == 2 * one
    pages = sorted(path.name for path in (recipe / "exp/audit").iterdir())
    assert pages == ["dev.html", "test.html", "train_aug.html"]


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
    """AN4_TEST: the recogniser that is there hears another directory, in stages of their own."""
    checkout.run(*debug(), AN4=str(small_an4))
    recipe = checkout.recipe("an4/asr1")
    model = next(recipe.glob("exp/asr_debug*/valid.acc.ave.pth"))
    before = model.stat().st_mtime_ns, run_ids(checkout)
    more = shutil.copytree(small_an4, tmp_path / "more")
    (more / "etc/an4_train.transcription").unlink()
    given = {"AN4": str(small_an4), "AN4_TEST": os.path.relpath(more, checkout.root)}
    said = checkout.run(*debug(), **given)
    assert "stage 19 more_score" in said and "more/more" in said
    after = {name: run for name, run in run_ids(checkout).items() if not name.startswith("more_")}
    assert before == (model.stat().st_mtime_ns, after)
    scores = json.loads((recipe / "exp/more/scores.json").read_text())
    assert scores["sets"]["more"]["wer"]["sentences"] == 1
    assert "WER more" not in checkout.run("--list")
    (more / "etc/readme.txt").write_text("another file\n")
    said = checkout.run(*debug("--stop_stage", "more_data"), **given)
    assert "stage 16 more_data" in said and "more changed" in said
    told = checkout.run(*debug("--stage", "more_score"), AN4=str(small_an4), status=2)
    assert "AN4_TEST=<dir>" in told


def run_ids(checkout: Checkout) -> dict[str, object]:
    """Run id of each stage of an4/asr1."""
    return {name: record["run_id"] for name, record in checkout.records("an4/asr1").items()}


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
