"""A recipe of two languages, from utt2lang to a packed model that is told which one to speak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.datadir import read_table, write_table
from espnet_ext.inference.text2speech import Text2Speech
from tests.recipes.checkout import Checkout

TEXTS = {"de": ("die katze", "ein hund", "das haus", "der baum"), "en": ("a cat", "the dog")}


def write(folder: Path) -> None:
    """Buzzes, low ones for German and high ones for English."""
    (folder / "wav").mkdir(parents=True)
    tables: dict[str, dict[str, str]] = {}
    for language, texts in TEXTS.items():
        for number, text in enumerate(texts):
            utt = f"{language}-{folder.name}-{number}"
            phase = np.arange(12000) * 2 * np.pi * (120 if language == "de" else 200) / 16000
            wave = sum(np.sin(k * phase) / k for k in range(1, 9))
            soundfile.write(folder / "wav" / f"{utt}.wav", 0.2 * wave, 16000)
            row = {"wav.scp": str(folder / "wav" / f"{utt}.wav"), "text": text, "utt2spk": language}
            for name, value in {**row, "utt2lang": language}.items():
                tables.setdefault(name, {})[utt] = value
    speakers = {one: " ".join(u for u in tables["text"] if u.startswith(one)) for one in TEXTS}
    for name, table in {**tables, "spk2utt": speakers}.items():
        write_table(folder / name, table)


@pytest.mark.slow
def test_two_languages_from_the_data_to_a_packed_model(
    new_checkout: Callable[[], Checkout], tmp_path: Path
):
    mine = new_checkout()
    recipe = mine.recipe("mini/tts1")
    for name in ("train", "dev", "eval1"):
        write(recipe / "data" / name)
    options = ["--recipe", "mini/tts1", "--use_lid", "--nj", "1", "--token_type", "char"]
    options += ["--tts_config", "conf/debug_tts.yaml", "--tts_args", "--set tts_conf.langs=3"]
    said = mine.run(*options, "--stage", "format")
    assert "2 languages in train" in said + "".join(
        path.read_text() for path in recipe.glob("exp/logs/*")
    )
    assert set(read_table(recipe / "dump/raw/eval1/utt2lid").values()) == {"1", "2"}
    (packed,) = recipe.glob("exp/*/*.zip")
    mels = []
    for language in ("de", "en"):
        voice = Text2Speech.from_pretrained(
            packed, language=language, cache=tmp_path, griffin_lim_iters=1
        )
        assert voice.languages == {"de": 1, "en": 2}
        mels.append(voice("a").mel)
    assert mels[0].shape != mels[1].shape or not np.allclose(*mels)
