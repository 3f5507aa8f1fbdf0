"""The training loop: epochs of updates, validation, checkpoints, the best epochs averaged.

Whatever moment the process is killed at, the same command goes on from the last checkpoint and ends with the
same weights: a checkpoint holds the place within the epoch, the order of the data follows from (seed, epoch), what is
drawn on a batch from (seed, epoch, batch), and every file is renamed into place. Nor does the number of processes
matter: those of an update share its batches.
"""

from __future__ import annotations

import logging
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from espnet_ext.progress import clock, progress
from espnet_ext.train import checkpoint
from espnet_ext.train.average import average_best, forget_epochs
from espnet_ext.train.config import write_config
from espnet_ext.train.data import Collate, Utterances, loader
from espnet_ext.train.ema import MovingAverage
from espnet_ext.train.journal import Journal
from espnet_ext.train.lora import merged_state
from espnet_ext.train.monitor import Averages, merged, record, write_history
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.phases import Curriculum
from espnet_ext.train.processes import ALONE, Processes, draw_from
from espnet_ext.train.sampler import BucketSampler
from espnet_ext.train.sharded import Sharded, Whole
from espnet_ext.train.state import Progress, Store
from espnet_ext.train.step import Batch, Step, Turn, naming


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
        curriculum: changes all this from phase to phase.
        average: of the weights, which is validated and kept too.
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
        curriculum: Curriculum | None = None,
        average: MovingAverage | None = None,
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
        self.step.precision, self.step.stops = config["precision"], config["not_finite"] == "stop"
        self.step.average = average
        self.step.seconds = _sizes(train)
        self.curriculum = curriculum or Curriculum([], model, optimisers, train)
        self.step.sharded = sharded = bool(config["fsdp"]) and processes.size > 1
        self.step.journal = self.journal = Journal(folder, config, processes.first, sharded)
        self.form = Sharded() if self.step.sharded else Whole()
        self.store = Store(folder, fingerprint, config, processes, self.form)
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
            self.progress = self.store.restore(
                state, self.model, self.step.optimisers, self.step.average
            )
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
        self.journal.open(self.progress.at.updates)

    def _save(self) -> None:
        self.store.save(self.model, self.step.optimisers, self.progress, self.step.average)
        self.saved_at = time.monotonic()

    # -- an epoch ------------------------------------------------------------------------------------------

    def _epoch(self) -> None:
        at = self.progress.at
        if self.curriculum.enter(at.epoch, at.batch) and self.step.average is not None:
            self.step.average.load(self.model.state_dict())
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
            return found
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
            self._stop()

    def _stop(self) -> NoReturn:
        """End where the state has just been saved, as SIGTERM asked."""
        self.processes.any(
            False
        )  # the first one still writes, and is killed soon after another one has ended
        if self.processes.first:
            print("stopped by SIGTERM; the same command goes on from here", file=sys.stderr)
        raise Stopped(143)

    def _end_epoch(self, averages: Averages) -> None:
        at, optimisers = self.progress.at, self.step.optimisers
        phase = self.curriculum.name(at.epoch)
        train: dict[str, Any] = {"lr": optimisers[0].lr, "seconds": at.seconds}
        lines = [
            record(at.epoch, at.updates, "train", self._together(averages), **train, **phase),
            self._validated("valid", phase),
        ]
        if self.step.average is not None:
            with self.step.average.in_place():
                lines.append(self._validated("ema", phase))
        lines = self.processes.from_first(lines)
        self.progress.history += lines
        for optimiser in optimisers:
            optimiser.end_epoch(lines[1].get("loss", 0.0))
        self._keep_epoch(lines)
        (stop,) = self.processes.any(self.stop_asked)
        if stop:
            self._stop()

    def _validated(self, split: str, phase: dict[str, str]) -> dict[str, Any]:
        """A line of metrics.jsonl about the validation data."""
        started, at = time.monotonic(), self.progress.at
        means = self.validate()
        more: dict[str, Any] = {"seconds": time.monotonic() - started, **phase}
        return record(at.epoch, at.updates, split, means, **more)

    def _keep_epoch(self, lines: list[dict[str, Any]]) -> None:
        """Write what an epoch leaves: weights, checkpoint, history."""
        epoch, average = self.progress.at.epoch, self.step.average
        weights = self.form.final(self.model)
        if self.processes.first:
            checkpoint.save_tensors(self.folder / f"{epoch}epoch.pth", weights)
            if average is not None:
                with average.in_place():
                    state = merged_state(self.model)
                    checkpoint.save_tensors(self.folder / f"{epoch}epoch.ema.pth", state)
        self.progress.at = replace(self.progress.at, epoch=epoch + 1, batch=0, seconds=0.0, sums={})
        self._save()
        if self.processes.first:
            forget_epochs(self.folder, self.history, self.config)
            write_history(self.folder, self.history)
            self.journal.epoch(lines)
            self._report(lines[0], lines[1])

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
        mine = list(self.processes.share(range(len(batches))))
        judged = len(mine)
        if self.step.sharded:  # all compute as often
            mine += [0] * (len(range(len(batches))[:: self.processes.size]) - judged)
        found = loader(
            self.valid_data,
            [batches[index] for index in mine],
            self.collate,
            self.config["num_workers"],
        )
        bad: list[str] = []
        for place, (index, (ids, batch)) in enumerate(zip(mine, found, strict=True)):
            draw_from(self.config["seed"], self.progress.at.epoch, index, 1)  # VITS draws here, too
            moved = self.step.moved(batch)
            for extra, _ in self.step.turns:
                with naming(ids, self.step.seconds):
                    loss, stats, weight = self.step.forward(moved, extra)
                if place < judged:
                    averages.add(stats, weight)
                    bad += [] if math.isfinite(loss) else self.step.guilty(moved, extra, ids)
        _say_of(self.processes.all(bad), self.processes)
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


def _say_of(bad: Sequence[list[str]], processes: Processes) -> None:
    """Name utterances of all processes whose validation loss is not finite."""
    named = [utt for share in bad for utt in share]
    if named and processes.first:
        logging.warning(
            "the loss of %d validation utterances is not finite, so that no mean of it compares epochs: %s",
            len(named),
            ", ".join(named[:8]),
        )


def _sizes(data: Utterances) -> Callable[[Sequence[str]], str]:
    """What a message says of a batch of these utterances."""

    def size(ids: Sequence[str]) -> str:
        seconds = dict(zip(data.ids, getattr(data, "seconds", ()), strict=False))
        if not seconds:
            return f"{len(ids)} utterances"
        longest = max(seconds.get(utt, 0.0) for utt in ids)
        return f"{len(ids)} utterances of up to {longest:.1f} s ({len(ids) * longest:.0f} s with padding)"

    return size


def _groups(done: int, batches: int, size: int) -> list[range]:
    """The batches of each update that is left; the epoch's last update may have fewer."""
    return [range(first, min(first + size, batches)) for first in range(done, batches, size)]
