"""What tests of several rooms share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.recipes.checkout import Checkout

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Directory of small pieces of real corpora (ESPNET_EXT_REALDATA); the test is skipped where it is absent."""
    path = Path(os.environ.get("ESPNET_EXT_REALDATA") or ROOT.parent / "shared/realdata")
    if not path.is_dir():
        pytest.skip(f"no real recordings: {path} is not there; set ESPNET_EXT_REALDATA")
    return path


# -- the recipes as they are, somewhere else ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Checkout]:
    """Makes checkouts."""

    def make(name: str = "checkout") -> Checkout:
        return Checkout(tmp_path_factory.mktemp(name))

    return make


@pytest.fixture(scope="session")
def checkout(new_checkout: Callable[..., Checkout]) -> Checkout:
    """One checkout for all tests that leave no marks in the recipes they do not own."""
    return new_checkout()


# -- a corpus of four tones, and small models trained on it -------------------------------------------------------

RATE = 8000
TONES = {"a": 300.0, "b": 700.0, "c": 1300.0, "d": 2300.0}
ASR = {
    "frontend_conf": {"fs": RATE, "n_fft": 256, "win_length": 256, "hop_length": 80, "n_mels": 20},
    "specaug": "specaug",
    "specaug_conf": {
        "apply_time_warp": False,
        "apply_time_mask": False,
        "freq_mask_width_range": [0, 3],
    },
    "encoder": "espnet_ext.asr.encoder:CnnConformerEncoder",
    "encoder_conf": {
        "output_size": 16,
        "num_blocks": 1,
        "attention_heads": 2,
        "linear_units": 32,
        "kernel": 5,
        "strides": [2, 2],
        "dropout_rate": 0.1,
    },
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 1},
    "model_conf": {"ctc_weight": 0.3, "lsm_weight": 0.1, "report_cer": False, "report_wer": False},
    "batch_size": 3,
    "max_epoch": 2,
    "num_workers": 0,
    "optim_conf": {"lr": 0.005},
    "scheduler": "warmuplr",
    "scheduler_conf": {"warmup_steps": 20},
    "best_model_criterion": [["valid", "acc", "max"], ["valid", "loss", "min"]],
    "keep_nbest_models": 2,
}
LM = {
    "lm": "transformer",
    "lm_conf": {
        "pos_enc": None,
        "embed_unit": 8,
        "att_unit": 16,
        "head": 2,
        "unit": 16,
        "layer": 1,
    },
    "batch_type": "tokens",
    "batch_size": 40,
    "max_epoch": 2,
    "num_workers": 0,
    "optim_conf": {"lr": 0.01},
}
_FEATS = {"fs": RATE, "n_fft": 256, "hop_length": 80}
TTS = {
    "tts": "espnet_ext.tts.aligned_fastspeech:AlignedFastSpeech",
    "tts_conf": {
        "width": 16,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "encoder_inner": 16,
        "decoder_inner": 16,
        "binarise_after": 4,
    },
    "feats_extract": "fbank",
    "feats_extract_conf": {**_FEATS, "win_length": 256, "n_mels": 20, "fmin": 60, "fmax": 3800},
    "pitch_extract": "dio",
    "pitch_extract_conf": {
        **_FEATS,
        "f0min": 80,
        "f0max": 400,
        "use_token_averaged_f0": False,
        "use_continuous_f0": False,
    },
    "pitch_normalize": "global_mvn",
    "energy_extract": "energy",
    "energy_extract_conf": {**_FEATS, "win_length": 256, "use_token_averaged_energy": False},
    "energy_normalize": "global_mvn",
    "batch_size": 4,
    "max_epoch": 2,
    "num_workers": 0,
    "optim_conf": {"lr": 0.005},
    "best_model_criterion": [["valid", "mel", "min"], ["valid", "loss", "min"]],
}


class Tiny:
    """Twelve training and three validation utterances of tones, and models trained on them when first asked for."""

    base: ClassVar = {"asr": ASR, "lm": LM, "tts": TTS}

    def __init__(self, root: Path) -> None:
        self.root, self.tokens = root, root / "tokens"
        self.tokens.mkdir(parents=True)
        tokens = ["<blank>", "<unk>", "<space>", *TONES, "<sos/eos>"]
        (self.tokens / "tokens.txt").write_text("\n".join(tokens) + "\n")
        (self.tokens / "text.json").write_text(json.dumps({"token_type": "char"}))
        self.train, self.valid = self._data("train", 12), self._data("valid", 3)

    def _data(self, name: str, number: int) -> Path:
        import numpy as np
        import soundfile

        random = np.random.default_rng(number)
        folder = self.root / "dump" / name
        (folder / "wav").mkdir(parents=True)
        tables: dict[str, list[str]] = {
            k: [] for k in ("wav.scp", "text", "utt2spk", "utt2dur", "utt2num_samples")
        }
        for index in range(number):
            utt = f"{name}-{index:02d}"
            text = "".join(random.choice(list(TONES), size=2 + index % 4))
            parts = [self._tone(TONES[letter], random) for letter in text]
            wave = np.concatenate([*parts, np.zeros(400)])
            soundfile.write(folder / "wav" / f"{utt}.wav", wave, RATE, subtype="PCM_16")
            values = (
                folder / "wav" / f"{utt}.wav",
                text,
                "spk",
                f"{len(wave) / RATE:.6f}",
                len(wave),
            )
            for table, value in zip(tables.values(), values, strict=True):
                table.append(f"{utt} {value}\n")
        for table_name, lines in tables.items():
            (folder / table_name).write_text("".join(lines))
        return folder

    @staticmethod
    def _tone(frequency: float, random: Any) -> Any:
        import numpy as np

        time = np.arange(int(RATE * random.uniform(0.15, 0.3))) / RATE
        voiced = np.sin(2 * np.pi * 110 * time) * 0.1  # a pitch to be found
        return (
            voiced
            + 0.3 * np.sin(2 * np.pi * frequency * time)
            + 0.005 * random.standard_normal(len(time))
        )

    def places(
        self, task: str, output: Path, changes: dict[str, Any] | None = None, **more: Any
    ) -> Any:
        """Arguments of train_model; `changes` to the task's configuration."""
        import yaml

        from espnet_ext.train.run import Places

        output.mkdir(parents=True, exist_ok=True)
        config = output / "wanted.yaml"
        config.write_text(yaml.safe_dump({**self.base[task], **(changes or {})}))
        lm = task == "lm"
        given = {
            "config": config,
            "train": [self.train / "text" if lm else self.train],
            "valid": [self.valid / "text" if lm else self.valid],
            "tokens": self.tokens,
            "output_dir": output,
            "stats_dir": None if lm else self.stats(task),
        }
        return Places(**{**given, **more})

    def stats(self, task: str) -> Path:
        """The statistics of a task's features."""
        folder = self.root / f"{task}_stats"
        if not folder.is_dir():
            from espnet_ext.train.stats import collect_stats

            folder.mkdir()
            collect_stats(task, self.places(task, folder))
        return folder

    def model(self, task: str) -> Path:
        """Folder of a trained model of a task."""
        folder = self.root / "exp" / task
        if not (folder / "valid.loss.ave.pth").is_file():
            from espnet_ext.train.run import train_model

            train_model(task, self.places(task, folder), "cpu")
        return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A corpus of tones and models trained on it."""
    return Tiny(tmp_path_factory.mktemp("tiny"))
