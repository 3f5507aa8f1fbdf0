"""Stages 1 to 5 of the recipes on real pieces of their corpora: nothing lost, nothing longer or shorter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from espnet_ext.datadir import read_table
from tests.recipes.checkout import Checkout

#: Recipe -> variable, options that suit the piece, how to find the corpus' sounds, sets that share none.
PIECES = {
    "librispeech/asr1": (
        "LIBRISPEECH",
        ["--local_data_opts", "--partial 1", "--test_sets", "test_other"],
        "LibriSpeech/*/*/*/*.flac",
        ("train_960", "dev", "test_other"),
    ),
    "librispeech_100/asr1": (
        "LIBRISPEECH",
        ["--local_data_opts", "--partial 1", "--test_sets", "test_other dev_clean"],
        "LibriSpeech/*/*/*/*.flac",
        ("train_clean_100", "dev", "test_other"),
    ),
    "ljspeech/tts1": (
        "LJSPEECH",
        ["--local_data_opts", "--dev 2 --eval1 2"],
        "LJSpeech-1.1/wavs/*.wav",
        ("train", "dev", "eval1"),
    ),
    "an4/asr1": ("AN4", [], "an4/wav/*/*/*.raw", ("train", "dev", "test")),
    "vctk/tts1": ("VCTK", [], "VCTK-Corpus/wav48/*/*.wav", ("train", "dev", "eval1")),
}


def seconds(paths: list[str]) -> float:
    """Of all, by their headers; AN4's have none and 16,000 samples of two bytes a second."""
    if paths[0].endswith(".raw"):
        return sum(Path(path).stat().st_size for path in paths) / 32000
    infos = [soundfile.info(path) for path in paths]
    return sum(info.frames / info.samplerate for info in infos)


@pytest.mark.slow
@pytest.mark.parametrize("name", PIECES)
def test_stages_1_to_5(name: str, new_checkout: Callable[[], Checkout], realdata: Path):
    variable, options, pattern, sets = PIECES[name]
    mine = new_checkout()
    small = ("--gpu", "0", "--nj", "1", "--min_seconds", "0", "--stop_stage", "tokens")
    if name.endswith("asr1"):
        small += ("--speed_perturb_factors", "", "--nbpe", "100", "--max_seconds", "40")
    mine.run(
        "--recipe",
        name,
        *small,
        *options,
        **{variable: str(realdata / "an4" if variable == "AN4" else realdata)},
    )
    recipe = mine.recipe(name)
    corpus = sorted(str(path.resolve()) for path in realdata.resolve().glob(pattern))
    dumped = [recipe / "dump/raw" / s for s in sets]
    sounds = [
        path for d in dumped for path in read_table(recipe / "data" / d.name / "wav.scp").values()
    ]
    if name != "an4/asr1":  # which is copied, with headers
        assert sorted(sounds) == corpus
    counts = [int(n) for d in dumped for n in read_table(d / "utt2num_samples").values()]
    assert len(counts) == len(corpus)
    rate = 16000 if name.endswith("asr1") else 22050
    assert sum(counts) / rate == pytest.approx(seconds(corpus), abs=len(corpus) / rate)
    assert next(recipe.glob("data/token_list/*/tokens.txt")).stat().st_size
