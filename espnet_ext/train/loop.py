"""The training loop: epochs of updates, validation, checkpoints, the best epochs averaged.

Whatever moment the process is killed at, the same command goes on from the last checkpoint and ends with the
same weights: a checkpoint holds the place within the epoch, the order of the data follows from (seed, epoch), what is
drawn on a batch from (seed, epoch, batch), and every file is renamed into place. Nor does the number of processes
matter: those of an update share its batches.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from espnet_ext.progress import clock, progress
from espnet_ext.train import checkpoint
from espnet_ext.train.average import average_best, forget_epochs
from espnet_ext.train.config import write_config
from espnet_ext.train.data import Collate, Utterances, loader
from espnet_ext.train.monitor import Averages, merged, record, write_history
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.processes import ALONE, Processes, draw_from
from espnet_ext.train.sampler import BucketSampler
from espnet_ext.train.state import Progress, Store
from espnet_ext.train.step import Batch, Step, Turn


class Stopped(SystemExit):
    """SIGTERM came; the state is saved."""


class Trainer:
    """Trains one model.

    Args:
        model: ESPnet's interface: `model(**batch)` gives (loss, stats, weight), or a mapping with these keys.
        optimisers: one, or generator's and discriminator's.
        turns: what happens on a batch, in order; one turn except for GANs.
        config: the whole configuration.
        train, valid: the data.
        collate: pads a batch.
        sampler: forms batches of the training data.
        folder: receives checkpoints, epochs' weights and metrics.jsonl.
        fingerprint: of configuration and data; another one's checkpoint is not resumed.
        device: "cpu", "cuda", ...
        anew: set a finished training aside and train again; one that is not finished goes on.
        processes: who trains together; the first one writes.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimisers: list[Optimiser],
        turns: list[Turn],
        config: dict[str, Any],
        train: Utterances,
        valid: Utterances,
        collate: Collate,
        sampler: Any,
        folder: Path,
        fingerprint: str,
        device: str = "cpu",
        anew: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        self.model, self.config = model, config
        self.train_data, self.valid_data, self.collate, self.sampler = (
            train,
            valid,
            collate,
            sampler,
        )
        self.folder, self.anew, self.processes = folder, anew, processes
        self.step = Step(model, optimisers, turns, config["seed"], device, processes)
        self.store = Store(folder, fingerprint, config, processes)
        self.progress = Progress()
        self.stop_asked = False
        self.saved_at = time.monotonic()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return self.progress.history

    def fit(self) -> list[Path]:
        """Train to the end; the averaged models, best criterion first. Of several processes the first one's answer."""
        previous = signal.signal(signal.SIGTERM, self._ask_stop)
        try:
            self._resume()
            while not self.progress.finished(self.config):
                self._epoch()
        finally:
            signal.signal(signal.SIGTERM, previous)
        if not self.processes.first:
            return []
        return average_best(self.folder, self.history, self.config)

    # -- resuming ------------------------------------------------------------------------------------------

    def _ask_stop(self, number: int, frame: Any) -> None:
        self.stop_asked = True

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state = self.store.load(self.anew)
        if state is not None:
            self.progress = self.store.restore(state, self.model, self.step.optimisers)
        if self.processes.first:
            write_config(self.folder / "config.yaml", self.config)
        if self.processes.first and state is not None:
            # the process may have ended between checkpoint and history
            write_history(self.folder, self.history)
            at, finished = self.progress.at, self.progress.finished(self.config)
            done = "; nothing is left to do (--anew trains again)" if finished else ""
            print(
                f"resuming at epoch {at.epoch}, batch {at.batch}, update {at.updates}{done}",
                flush=True,
            )

    def _save(self) -> None:
        self.store.save(self.model, self.step.optimisers, self.progress)
        self.saved_at = time.monotonic()

    # -- an epoch ------------------------------------------------------------------------------------------

    def _epoch(self) -> None:
        at = self.progress.at
        batches = self.sampler.batches(at.epoch)
        self.train_data.seed = (self.config["seed"], at.epoch)
        averages = Averages(at.sums)
        started, before = time.monotonic(), at.seconds
        groups = _groups(at.batch, len(batches), self.config["accum_grad"])
        ahead = self._ahead([batches[i] for group in groups for i in self.processes.share(group)])
        self.model.train()
        for group in groups:
            self.step.update(at, group, ahead, averages)
            at.batch = group.stop
            at.seconds = before + time.monotonic() - started
            if at.batch < len(batches):
                self._maybe_checkpoint(averages)
        next(ahead, None)  # clears the bar
        self._end_epoch(averages)

    def _ahead(self, batches: list[list[int]]) -> Iterator[tuple[list[str], Batch]]:
        """This process' part of the rest of this epoch's batches, with progress."""
        found = loader(self.train_data, batches, self.collate, self.config["num_workers"])
        if not self.processes.first:
            return iter(found)
        label = f"epoch {self.progress.at.epoch}/{self.config['max_epoch']}"
        return progress(found, len(batches), label, quiet_end=True)

    def _maybe_checkpoint(self, averages: Averages) -> None:
        """Between two updates: save now and then, and when a process is asked to stop."""
        due = time.monotonic() - self.saved_at > 60 * self.config["checkpoint_minutes"]
        due, stop = self.processes.any(due and self.processes.first, self.stop_asked)
        if not (due or stop):
            return
        self.progress.at.sums = averages.sums
        self._save()
        if stop:
            if self.processes.first:
                print("stopped by SIGTERM; the same command goes on from here", file=sys.stderr)
            raise Stopped(143)

    def _end_epoch(self, averages: Averages) -> None:
        started = time.monotonic()
        valid, train = self.validate(), self._together(averages)
        at, optimisers = self.progress.at, self.step.optimisers
        took = time.monotonic() - started
        self.progress.history += self.processes.from_first(
            [
                record(
                    at.epoch, at.updates, "train", train, lr=optimisers[0].lr, seconds=at.seconds
                ),
                record(at.epoch, at.updates, "valid", valid, seconds=took),
            ]
        )
        for optimiser in optimisers:
            optimiser.end_epoch(valid.get("loss", 0.0))
        self._keep_epoch(at.epoch)
        (stop,) = self.processes.any(self.stop_asked)
        if stop:
            raise Stopped(143)

    def _keep_epoch(self, epoch: int) -> None:
        """Write what an epoch leaves: weights, checkpoint, history."""
        path = self.folder / f"{epoch}epoch.pth"
        if self.processes.first:
            checkpoint.save_tensors(path, self.model.state_dict())
        self.progress.at = replace(self.progress.at, epoch=epoch + 1, batch=0, seconds=0.0, sums={})
        self._save()
        if self.processes.first:
            forget_epochs(self.folder, self.history, self.config)
            write_history(self.folder, self.history)
            self._report(self.history[-2], self.history[-1])

    def _together(self, averages: Averages) -> dict[str, float]:
        """Means over the batches of all processes."""
        return Averages(merged(self.processes.all(averages.sums))).means()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Averages of the model's stats over the validation data."""
        self.model.eval()
        lengths = self.valid_data.lengths(self.config["batch_type"])
        batches = BucketSampler(lengths, self.config["batch_size"]).batches(1, shuffle=False)
        averages = Averages()
        mine = self.processes.share(range(len(batches)))
        found = loader(
            self.valid_data,
            [batches[index] for index in mine],
            self.collate,
            self.config["num_workers"],
        )
        for index, (_, batch) in zip(mine, found, strict=True):
            draw_from(self.config["seed"], self.progress.at.epoch, index, 1)  # VITS draws here, too
            moved = self.step.moved(batch)
            for extra, _ in self.step.turns:
                _, stats, weight = self.step.forward(moved, extra)
                averages.add(stats, weight)
        return self._together(averages)

    def _report(self, train: dict[str, Any], valid: dict[str, Any]) -> None:
        """One line an epoch."""
        nan = float("nan")  # an epoch without one finite loss has no figure
        shown = [f"loss {train.get('loss', nan):.3f} / {valid.get('loss', nan):.3f}"]
        shown += [
            f"{name} {valid[name]:.3f}" for name in ("acc", "cer_ctc", "cer") if name in valid
        ]
        took = train["seconds"] + valid["seconds"]
        left = took * (self.config["max_epoch"] - train["epoch"])
        print(
            f"epoch {train['epoch']}/{self.config['max_epoch']}: {', '.join(shown)} (train / valid), "
            f"lr {train['lr']:.2e}, {clock(took)}, at most {clock(left)} left",
            flush=True,
        )


def _groups(done: int, batches: int, size: int) -> list[range]:
    """The batches of each update that is left; the epoch's last update may have fewer."""
    return [range(first, min(first + size, batches)) for first in range(done, batches, size)]
