"""Mean and variance of features over the training data, and pitch computed once, in ESPnet's file layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.datadir import write_table
from espnet_ext.files import atomic_open
from espnet_ext.progress import progress
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.config import Config
from espnet_ext.train.data import Collate, Utterances, loader
from espnet_ext.train.run import Places, read_config, read_data
from espnet_ext.train.sampler import BucketSampler


@dataclass
class Moments:
    """Count, sum and sum of squares, as ESPnet's GlobalMVN reads them."""

    count: int = 0
    total: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0

    def add(self, feats: np.ndarray) -> None:
        """Add one utterance, (frames, dimensions)."""
        feats = feats.astype(np.float64)
        self.count += len(feats)
        self.total = self.total + feats.sum(0)
        self.squares = self.squares + (feats**2).sum(0)

    def save(self, path: Path) -> None:
        """Write `<name>_stats.npz`."""
        with atomic_open(path, "wb") as stream:
            np.savez(stream, count=self.count, sum=self.total, sum_square=self.squares)


def _without_normalisation(config: Config) -> Config:
    keys = ("normalize", "pitch_normalize", "energy_normalize")
    return {**config, **{key: None for key in keys if key in config}}


def _write_shapes(data: Utterances, folder: Path, token_type: str) -> None:
    """ESPnet's shape file of the texts; lengths of the audio are in utt2num_samples."""
    lengths = {utt: str(len(ids)) for utt, ids in zip(data.ids, data.tokens, strict=True)}
    write_table(folder / f"text_shape.{token_type}", lengths)


class _Collector:
    """Adds up features of one split and, where asked, keeps the pitch of each utterance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.moments: dict[str, Moments] = {}
        self.pitch: dict[str, np.ndarray] = {}

    def add(self, ids: list[str], feats: dict[str, torch.Tensor]) -> None:
        for name in [n for n in feats if f"{n}_lengths" in feats]:
            for utt, row, length in zip(ids, feats[name], feats[f"{name}_lengths"], strict=True):
                array = row[: int(length)].detach().cpu().numpy()
                self.moments.setdefault(name, Moments()).add(array)
                if name == "pitch":
                    self.pitch[utt] = array

    def save(self) -> None:
        for name, moments in self.moments.items():
            moments.save(self.folder / f"{name}_stats.npz")
        if self.pitch:
            _write_ark(self.folder / "collect_feats" / "pitch", self.pitch)


def _write_ark(stem: Path, arrays: dict[str, np.ndarray]) -> None:
    """`stem.ark` and `stem.scp`, each whole or not at all."""
    import kaldiio

    ark = stem.with_suffix(".ark")
    table = {}
    with atomic_open(ark, "wb") as stream:
        for utt in sorted(arrays):
            header = len(utt.encode()) + 1
            table[utt] = f"{ark}:{stream.tell() + header}"
            kaldiio.save_ark(stream, {utt: arrays[utt].astype(np.float32)})
    write_table(stem.with_suffix(".scp"), table)


def collect_stats(task_name: str, places: Places, device: str = "cpu") -> None:
    """Write `<output_dir>/{train,valid}/<feature>_stats.npz` and lengths.

    Features are those that the model of the configuration computes from the waveform. Pitch, which is slow
    to estimate, is kept per utterance (`collect_feats/pitch.scp`), so that training need not estimate it again.

    Args:
        task_name: "asr", "lm" (lengths only), "tts" or "gan_tts".
        places: inputs; `output_dir` receives the statistics.
        device: where the features are computed.
    """
    task = TASKS[task_name]
    pipeline = TextPipeline.from_dir(places.tokens)
    config = read_config(task, places.config, places.overrides)
    splits = dict(zip(("train", "valid"), read_data(task, places, pipeline), strict=True))
    for split, data in splits.items():
        _write_shapes(data, places.output_dir / split, pipeline.token_type)
    if task.feats_key is None:
        return
    config = _without_normalisation({**config, "token_list": pipeline.token_list})
    model = task.build(config).to(device).eval()
    for split, data in splits.items():
        _collect(model, data, Collate(task.text_pad), places.output_dir / split, split, device)


@torch.no_grad()
def _collect(
    model: Any, data: Utterances, collate: Collate, folder: Path, split: str, device: str
) -> None:
    batches = BucketSampler(data.lengths("seconds"), 120.0).batches(1, shuffle=False)
    collector = _Collector(folder)
    for ids, batch in progress(
        loader(data, batches, collate, 0), len(batches), f"statistics of {split}"
    ):
        collector.add(ids, model.collect_feats(**{name: t.to(device) for name, t in batch.items()}))
    collector.save()
