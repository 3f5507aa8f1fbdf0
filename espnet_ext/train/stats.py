"""Mean and variance of features over the training data, and pitch computed once, in ESPnet's file layout."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.audio.read import opened
from espnet_ext.bridge.tasks import TASKS, sampling_rate
from espnet_ext.datadir import write_table
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.progress import progress
from espnet_ext.text.token_features import with_features
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.config import Config
from espnet_ext.train.data import Collate, Utterances
from espnet_ext.train.experiment import Places, read_config, read_data
from espnet_ext.train.extraction import RECORD, check_extraction, write_record
from espnet_ext.train.feeds import DURATIONS, feed, wanted
from espnet_ext.train.sampler import BucketSampler

#: Seconds of audio in a batch. On a CPU a small one stays in the cache.
CPU_BATCH, GPU_BATCH = 30.0, 120.0


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

    def merge(self, other: Moments) -> None:
        """Add all that another has added."""
        self.count += other.count
        self.total = self.total + other.total
        self.squares = self.squares + other.squares

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
    """Adds up features; of a batch it also has the pitch of each utterance."""

    def __init__(self) -> None:
        self.moments: dict[str, Moments] = {}
        self.pitch: dict[str, np.ndarray] = {}

    def add(self, ids: list[str], feats: dict[str, torch.Tensor]) -> None:
        for name in [n for n in feats if f"{n}_lengths" in feats]:
            for utt, row, length in zip(ids, feats[name], feats[f"{name}_lengths"], strict=True):
                array = row[: int(length)].detach().cpu().numpy()
                self.moments.setdefault(name, Moments()).add(array)
                if name == "pitch":
                    self.pitch[utt] = array

    def merge(self, other: _Collector) -> None:
        for name, moments in other.moments.items():
            self.moments.setdefault(name, Moments()).merge(moments)

    def save(self, folder: Path) -> None:
        for name, moments in self.moments.items():
            moments.save(folder / f"{name}_stats.npz")


@contextmanager
def _ark(stem: Path) -> Iterator[Callable[[dict[str, np.ndarray]], None]]:
    """`stem.ark` and `stem.scp` of the arrays that what is given gets bit by bit; each whole or not at all."""
    import kaldiio

    ark, table = stem.with_suffix(".ark"), dict[str, str]()
    with atomic_open(ark, "wb") as stream:

        def add(arrays: dict[str, np.ndarray]) -> None:
            for utt in sorted(arrays):
                table[utt] = f"{ark}:{stream.tell() + len(utt.encode()) + 1}"
                kaldiio.save_ark(stream, {utt: arrays[utt].astype(np.float32)})

        yield add
    write_table(stem.with_suffix(".scp"), table)


def collect_stats(task_name: str, places: Places, device: str = "cpu", processes: int = 1) -> None:
    """Write `<output_dir>/{train,valid}/<feature>_stats.npz` and lengths, and of a synthesiser how they were made.

    Features are those that the model of the configuration computes from the waveform. Pitch, which is slow
    to estimate, is kept per utterance (`collect_feats/pitch.scp`), so that training need not estimate it again.

    Args:
        task_name: "asr", "lm" (lengths only), "tts" or "gan_tts".
        places: inputs; `output_dir` receives the statistics.
        device: where the features are computed.
        processes: on the CPU, how many share the utterances; the result is the same for any number.
    """
    task = TASKS[task_name]
    if places.tokens is None:
        raise UserError(
            f"task {task_name}: found no --tokens, expected a directory by train_tokens"
        )
    pipeline = TextPipeline.from_dir(places.tokens)
    config = read_config(task, places.config, places.overrides)
    check_extraction(task.name, config)
    found = read_data(task, places, with_features(pipeline, config))
    splits = dict(zip(("train", "valid"), found, strict=True))
    (places.output_dir / RECORD).unlink(missing_ok=True)  # what is killed halfway has none
    # pitch and energy by token need the tokens' durations; a speaker's vector changes no feature
    timed = tuple(name for name in wanted(task.name, config) if name == DURATIONS)
    for split, data in splits.items():
        feed(data, (places.train if split == "train" else places.valid)[0], timed)
        _write_shapes(data, places.output_dir / split, pipeline.token_type)
    if task.feats_key is None:
        return
    plain = _without_normalisation({**config, "token_list": pipeline.token_list})
    model = task.build(plain).to(device).eval()
    rate = sampling_rate(task.name, config)
    with _one_thread(device):
        for split, data in splits.items():
            work = _Work(model, data, Collate(task.text_pad), device, rate)
            _collect(work, places.output_dir / split, processes)
    write_record(task.name, config, places.output_dir)


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """On a CPU one thread a process: an utterance's frames are too little work to share."""
    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _Work:
    """What a process needs to collect some batches of a split."""

    model: Any
    data: Utterances
    collate: Collate
    device: str
    rate: int | None  # Hz that the front end is made for, where it says so

    @torch.no_grad()
    def __call__(self, batch: list[int]) -> _Collector:
        self._require_rate([self.data.ids[index] for index in batch])
        found = _Collector()
        ids, tensors = self.collate([self.data[index] for index in batch])
        found.add(
            ids, self.model.collect_feats(**{n: t.to(self.device) for n, t in tensors.items()})
        )
        return found

    def _require_rate(self, utts: list[str]) -> None:
        """All audio is at the front end's rate; a sum over several rates would mean nothing.

        Raises:
            UserError: naming an utterance that is not.
        """
        for utt in utts if self.rate else ():
            with opened(self.data.audio[utt], utt) as stream:
                found = stream.samplerate
            if found != self.rate:
                raise UserError(
                    f"utterance {utt!r}: found audio at {found} Hz, expected {self.rate} Hz as the front end "
                    f"is made for: format the audio with --fs {self.rate}, or set that rate in the YAML"
                )


def _collect(work: _Work, folder: Path, processes: int) -> None:
    """Write the statistics of a split, added up in the order of its batches; its pitch is written as it comes."""
    seconds = CPU_BATCH if work.device == "cpu" else GPU_BATCH
    batches = BucketSampler(work.data.lengths("seconds"), seconds).batches(1, shuffle=False)
    whole, keep = _Collector(), None
    with ExitStack() as stack:
        found = stack.enter_context(
            _mapped(work, batches, processes if work.device == "cpu" else 1)
        )
        for part in progress(found, len(batches), f"statistics of {folder.name}"):
            whole.merge(part)
            if part.pitch:
                keep = keep or stack.enter_context(_ark(folder / "collect_feats" / "pitch"))
                keep(part.pitch)
    whole.save(folder)


@contextmanager
def _mapped(
    work: _Work, batches: list[list[int]], processes: int
) -> Iterator[Iterable[_Collector]]:
    """`work` done on each batch, in order."""
    global _inherited
    if processes < 2 or len(batches) < 2:
        yield map(work, batches)
        return
    _inherited = work  # children have it by being forked; nothing is sent to them
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            yield pool.map(_in_child, batches)
    except BrokenProcessPool:
        raise UserError(
            f"one of {processes} processes was killed, expected it to end by itself (is the memory used "
            "up?): run it again with --nj 1"
        ) from None
    finally:
        _inherited = None


_inherited: _Work | None = None


def _in_child(batch: list[int]) -> _Collector:
    assert _inherited is not None
    return _inherited(batch)
