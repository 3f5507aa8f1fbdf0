"""What goes wrong in a recipe is said in a line that helps, and nothing half-written has a final name."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.recipes.checkout import Checkout, debug

#: Recipe -> its sets. The audio of all comes from `tones`, not from the corpora.
SETS = {"an4/asr1": "train dev test", "mini/asr1": "train dev test", "mini/tts1": "train dev eval1"}
#: One recipe in the quick run, the others besides in the whole one.
EVERY = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "mini/asr1" else pytest.mark.slow) for n in SETS],
)
FORMAT = ("--stage", "format", "--stop_stage", "filter")


class Tones:
    """A recipe of the checkout with data directories of tones, and a way to spoil them."""

    def __init__(self, checkout: Checkout, name: str) -> None:
        self.checkout, self.name = checkout, name
        self.directory = checkout.recipe(name)
        for made in ("data", "dump", "exp"):
            shutil.rmtree(self.directory / made, ignore_errors=True)
        for dataset in SETS[name].split():
            self._write(self.directory / "data" / dataset)

    def _write(self, folder: Path) -> None:
        (folder / "wav").mkdir(parents=True)
        tables: dict[str, str] = dict.fromkeys(("wav.scp", "text", "utt2spk"), "")
        for index in range(4):
            utt, wav = f"spk-{folder.name}-{index}", folder / "wav" / f"{index}.wav"
            soundfile.write(wav, 0.3 * np.sin(np.arange(16000 + index) * 0.05 * (index + 1)), 16000)
            for table, value in (
                ("wav.scp", wav),
                ("text", f"ONE TWO {index}"),
                ("utt2spk", "spk"),
            ):
                tables[table] += f"{utt} {value}\n"
        for table, text in tables.items():
            (folder / table).write_text(text)
        (folder / "spk2utt").write_text(
            "spk " + " ".join(f"spk-{folder.name}-{i}" for i in range(4)) + "\n"
        )

    @property
    def train(self) -> Path:
        return self.directory / "data" / "train"

    def options(self) -> list[str]:
        """With one speed only and one job, which is quicker."""
        speeds = ["--speed_perturb_factors", ""] if self.name.endswith("asr1") else []
        return ["--recipe", self.name, "--nj", "1", *speeds]

    def run(self, *options: str, status: int | None = 0) -> str:
        return self.checkout.run(*self.options(), *(options or FORMAT), status=status)

    def fails(self, *expected: str, options: tuple[str, ...] = FORMAT) -> str:
        """The run fails in words that contain each of `expected`, and says how to go on."""
        said = self.run(*options, status=None)
        for words in expected:
            assert words in said, said
        assert "Traceback" not in said, said
        assert f"run.sh --recipe {self.name}" in said.rpartition("to go on:")[2], said
        self.nothing_half_written()
        return said

    def nothing_half_written(self) -> None:
        """No table of the training set, and every sound that has its final name can be read."""
        assert not (self.directory / "dump/raw/train/wav.scp").exists()
        for path in self.directory.glob("dump/**/*.flac"):
            if not path.name.startswith("."):
                soundfile.read(path)


@pytest.fixture
def tones(new_checkout: Callable[[], Checkout], request: pytest.FixtureRequest) -> Tones:
    """The recipe that the test is about (mini/asr1 if it is about none)."""
    values = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    return Tones(new_checkout(), values.get("name", "mini/asr1"))


def replace(path: Path, old: str, new: str) -> None:
    """In a file, once."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# -- options and corpora ------------------------------------------------------------------------------------------


@EVERY
def test_help_names_options_and_stages(checkout: Checkout, name: str):
    said = checkout.run("--recipe", name, "--help")
    assert "--nj 2 " in said and "parallel jobs" in said
    assert "Stages:" in said and " 1 data " in said and "pack" in said


@EVERY
def test_an_unknown_option_exits_2_and_names_the_near_one(checkout: Checkout, name: str):
    said = checkout.run("--recipe", name, "--train-st", "x", status=2)
    assert "no option --train-st; did you mean --train_set" in said
    assert len(said.splitlines()) <= 3


@EVERY
def test_a_stage_that_is_not_there_exits_2(checkout: Checkout, name: str):
    assert "no stage 77" in checkout.run("--recipe", name, "--stage", "77", status=2)


def test_a_missing_corpus_says_which_variable_to_set(checkout: Checkout, tmp_path: Path):
    said = checkout.run(
        *debug("--stage", "1", "--stop_stage", "1"), status=None, AN4=str(tmp_path / "nowhere")
    )
    assert "expected AN4: set AN4=/path/to/an4 in local/db.sh" in said and "Traceback" not in said
    assert not (checkout.recipe("an4/asr1") / "data/train").exists()


def test_a_corpus_that_cannot_be_fetched_is_told(checkout: Checkout):
    """No test has a network: the download fails at once."""
    said = checkout.run(*debug("--stage", "1", "--stop_stage", "1"), status=None)
    assert "an4_raw.bigendian.tar.gz" in said and "set AN4=/path/to/an4" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["mini/asr1", "mini/tts1"])
def test_files_of_somebody_else_where_the_corpus_would_be_rendered(tones: Tones, name: str):
    corpus = {"mini/asr1": "LibriSpeech", "mini/tts1": "LJSpeech-1.1"}[name]
    mine = tones.directory / "downloads" / corpus / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    tones.fails(
        "not rendered here", "choose another one", options=("--stage", "1", "--stop_stage", "1")
    )
    assert mine.read_text() == "precious"


# -- audio --------------------------------------------------------------------------------------------------------


@EVERY
def test_unreadable_audio(tones: Tones, name: str):
    (tones.train / "wav/2.wav").write_bytes(b"RIFF and then nothing that makes sense" * 40)
    tones.fails("spk-train-2", "2.wav")


@EVERY
def test_audio_that_is_not_there(tones: Tones, name: str):
    (tones.train / "wav/2.wav").unlink()
    tones.fails("spk-train-2", "2.wav")


@EVERY
def test_zero_length_audio(tones: Tones, name: str):
    soundfile.write(tones.train / "wav/2.wav", np.zeros(0), 16000)
    tones.fails("spk-train-2", "2.wav")


@EVERY
def test_what_the_message_says_leaves_broken_audio_out(tones: Tones, name: str):
    (tones.train / "wav/2.wav").write_bytes(b"RIFF and then nothing that makes sense" * 40)
    assert '--format_opts "--skip_broken"' in tones.fails("spk-train-2")
    tones.run(*FORMAT, "--format_opts", "--skip_broken")
    kept = (tones.directory / "dump/raw/train/text").read_text()
    assert "spk-train-1 " in kept and "spk-train-2 " not in kept


@EVERY
def test_lost_data_is_made_again(tones: Tones, name: str):
    """rm -rf data, or dump, and the same command: no stage has to be named."""
    (tones.directory / "data").rename(tones.directory / "kept")
    script = tones.directory / "local/data.sh"
    script.write_text("#!/bin/sh\nmkdir -p data && cp -r kept/* data\n")
    to_filter = ("--stop_stage", "filter")
    tones.run(*to_filter)
    for lost, reason in (("data", "data/train"), ("dump", "dump/raw/org"), ("dump/raw/dev", "dev")):
        shutil.rmtree(tones.directory / lost)
        assert f"{reason} is missing" in tones.run(*to_filter)
        assert (tones.directory / "dump/raw/dev/wav.scp").exists()
    assert "is missing" not in tones.run(*to_filter)


@EVERY
def test_another_sampling_rate_is_brought_to_the_recipes(tones: Tones, name: str):
    """Half of the set at 8 kHz: resampled, as everything is at the recipe's --fs afterwards."""
    soundfile.write(tones.train / "wav/2.wav", 0.3 * np.sin(np.arange(8000) * 0.1), 8000)
    tones.run()
    rows = (tones.directory / "dump/raw/train/utt2num_samples").read_text().split()
    found = dict(zip(rows[::2], map(int, rows[1::2]), strict=True))
    assert found["spk-train-2"] == 16000 and found["spk-train-0"] == 16000


@EVERY
def test_a_sampling_rate_that_is_no_number(checkout: Checkout, name: str):
    assert "--fs" in checkout.run("--recipe", name, "--fs", "high", status=2)


# -- text ---------------------------------------------------------------------------------------------------------


@EVERY
def test_an_empty_text(tones: Tones, name: str):
    replace(tones.train / "text", "spk-train-2 ONE TWO 2", "spk-train-2")
    tones.fails("line 3: found an empty text for 'spk-train-2'", "fix_data removes it")


@EVERY
def test_a_set_in_which_nothing_is_left(tones: Tones, name: str):
    limit = ("--max_seconds", "0.5") if "asr1" in name else ("--max_seconds", "0.6")
    tones.fails("found nothing that stays (4 long", "loosen the limits", options=(*FORMAT, *limit))


@EVERY
@pytest.mark.parametrize("table", ["text", "wav.scp", "utt2spk"])
def test_an_id_twice(tones: Tones, name: str, table: str):
    path = tones.train / table
    path.write_text(path.read_text() + path.read_text().splitlines(True)[-1])
    tones.fails("spk-train-3", table)


@EVERY
def test_text_that_is_not_utf8(tones: Tones, name: str):
    path = tones.train / "text"
    path.write_bytes(path.read_bytes().replace(b"TWO 2", b"TW\xd6 2"))
    tones.fails("text", "UTF-8")


# -- the machine --------------------------------------------------------------------------------------------------


def mount(*arguments: str) -> None:
    """Mount something, or skip the test."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tones: Tones) -> Iterator[Callable[[str, int], Path]]:
    """Make a directory of the recipe a disk of so many KiB."""
    mounted: list[Path] = []

    def make(name: str, kib: int) -> Path:
        path = tones.directory / name
        path.mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(path))
        mounted.append(path)
        return path

    yield make
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


@EVERY
def test_a_full_disk(tones: Tones, small_disk: Callable[[str, int], Path], name: str):
    small_disk("dump", 48)
    tones.fails("the disk is full: free some space")


@pytest.mark.slow
def test_a_disk_that_is_full_when_the_model_is_saved(
    tones: Tones, small_disk: Callable[[str, int], Path]
):
    tones.run("--stop_stage", "tokens", "--stage", "format", "--nbpe", "13")
    small_disk("exp/lm_small", 16)
    options = (
        "--lm_tag",
        "small",
        "--lm_config",
        "conf/debug_lm.yaml",
        "--nbpe",
        "13",
        "--stage",
        "7",
    )
    said = tones.run(*options, "--stop_stage", "7", status=None)
    assert "the disk is full: free some space" in said and "Traceback" not in said, said
    assert not list(tones.directory.glob("exp/lm_small/*.pth"))


@EVERY
def test_a_read_only_disk(tones: Tones, small_disk: Callable[[str, int], Path], name: str):
    mount("-o", "remount,ro", str(small_disk("dump", 64)))
    tones.fails("read-only: choose another output directory")


@EVERY
def test_no_permission_to_write(tones: Tones, name: str, monkeypatch: pytest.MonkeyPatch):
    """Root passes every permission: it is run without that power."""
    dump = tones.directory / "dump"
    dump.mkdir()
    dump.chmod(0o555)
    command = [str(tones.checkout.root / "run.sh"), *tones.options(), *FORMAT]
    if os.geteuid() == 0:
        powerless = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
        if (
            shutil.which("setpriv") is None
            or subprocess.run([*powerless, "true"], capture_output=True).returncode
        ):
            pytest.skip("root, and setpriv cannot take its power")
        command = [*powerless, *command]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tones.checkout.root, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "no permission: change the rights of that path" in said and "Traceback" not in said, said
    assert list(dump.iterdir()) == []
