"""What README.md says works literally: its commands, its recipe in six steps, its module, its Python."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recipes.checkout import REPO, Checkout, environment

README = (REPO / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a language, without the indentation that a list gives them."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def commands(text: str) -> list[str]:
    """Lines `$ command   # remark` of console blocks, without remarks."""
    lines = "".join(blocks(text, "console")).splitlines()
    return [re.sub(r"\s+#.*", "", line[2:]) for line in lines if line.startswith("$ ")]


def shell(script: str, root: Path, **env: str) -> str:
    """What a script prints, run as one would paste it at the repository."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=root,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_table_names_every_recipe():
    named = re.findall(r"^\| `(\S+)` \|", section("Recipes"), re.MULTILINE)
    there = [path.parent.relative_to(REPO / "egs2") for path in REPO.glob("egs2/*/*/run.sh")]
    assert sorted(named) == sorted(map(str, there))


def test_every_link_to_a_file_leads_somewhere():
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert links and not [link for link in links if not (REPO / link).exists()]


def test_every_folder_that_is_named_is_there():
    named = re.findall(
        r"^([a-z2_]+(?:/[a-z_{},]+)?)/ ", "".join(blocks(section("The house"), "")), re.MULTILINE
    )
    assert "benchmarks" in named and not [
        name for name in named if not (REPO / name.partition("/")[0]).is_dir()
    ]


def test_the_console_commands_are_accepted(checkout: Checkout):
    """Each in its form that only says what would happen."""
    harmless = ("--list", "--help", "--dry_run")
    shown = commands(section("Recipes"))
    assert len(shown) >= 4
    for command in shown:
        said = shell(
            command if command.endswith(harmless) else f"{command} --dry_run", checkout.root
        )
        assert said.strip(), command
    assert commands(section("The two commands")) == ["./run.sh", "tests/run.sh"]
    assert "stage 4 report" in shell("./run.sh --dry_run", checkout.root)
    assert "--fast" in shell(f"{REPO}/tests/run.sh --help", checkout.root)


@pytest.fixture(scope="module")
def digits(new_checkout: Callable[..., Checkout]) -> tuple[Checkout, str]:
    """A checkout in which the six steps have been pasted one by one, and what the last one printed."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng: run tools/setup.sh")
    mine = new_checkout("readme")
    steps = blocks(section("A recipe in six steps"), "bash")
    assert len(steps) == 6
    said = [shell(step, mine.root) for step in steps]
    return mine, said[-1]


@pytest.mark.slow
def test_the_six_steps_make_a_recipe_that_is_scored_and_listed(digits: tuple[Checkout, str]):
    mine, listed = digits
    (row,) = [line for line in listed.splitlines() if line.startswith("digits/asr1")]
    assert row.split()[1:3] == ["ASR", "0.02"] and "WER test" in row
    assert "### WER" in (mine.recipe("digits/asr1") / "README.md").read_text()


@pytest.mark.slow
def test_a_module_by_its_dotted_path_trains_and_decodes(digits: tuple[Checkout, str]):
    mine, _ = digits
    text = section("Your own module, by dotted path")
    (module,) = blocks(text, "python")
    (lines,) = blocks(text, "yaml")
    (mine.root / "mine").mkdir()
    (mine.root / "mine/my_encoder.py").write_text(module)
    config = mine.recipe("digits/asr1") / "conf/train_asr.yaml"
    kept = [line for line in config.read_text().splitlines(True) if not line.startswith("encoder")]
    (config.parent / "train_mine.yaml").write_text("".join(kept) + lines)
    said = mine.run(
        *(
            "--recipe",
            "digits/asr1",
            "--asr_config",
            "conf/train_mine.yaml",
            "--asr_args",
            "--set max_epoch=1",
        ),
        *("--stop_stage", "asr_score"),
        PYTHONPATH=str(mine.root / "mine"),
    )
    assert "stage 5 tokens: up to date, skipped" in said
    (written,) = mine.recipe("digits/asr1").glob("exp/asr_train_mine_*/config.yaml")
    assert "encoder: my_encoder:Recurrent" in written.read_text()
    assert list(written.parent.glob("decode_asr/scores.json"))


@pytest.mark.slow
def test_the_python_snippet(digits: tuple[Checkout, str], tmp_path: Path):
    mine, _ = digits
    snippet, _ = blocks(
        section("From Python"), "python"
    )  # the other: inference/test_streaming_live.py
    (model,) = [
        path.parent for path in mine.recipe("digits/asr1").glob("exp/asr_train_asr_*/config.yaml")
    ]
    sound = next((mine.recipe("digits/asr1") / "downloads/test").glob("*.wav"))
    shutil.copy(sound, tmp_path / "some.wav")
    path = re.search(r'from_dir\("(.*?)"\)', snippet)
    assert path is not None
    form = (REPO / "egs2/mini/asr1/run.sh").read_text()
    nbpe = re.search(r"^nbpe=(\d+)", form, re.MULTILINE)
    assert nbpe is not None and path[1] == f"egs2/mini/asr1/exp/asr_train_asr_bpe_unigram{nbpe[1]}"
    (tmp_path / "snippet.py").write_text(snippet.replace(path[1], str(model)))
    said = shell(f". ./path.sh; cd {tmp_path}; python snippet.py", mine.root)
    assert said.count("\n") == 1
