"""The training loop: epochs of updates, validation, checkpoints, the best epochs averaged.

Whatever moment the process is killed at, the same command goes on from the last checkpoint and ends with the
same weights: a checkpoint holds the generators' states and the place within the epoch, the order of the data
follows from (seed, epoch), and every file is renamed into place.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.progress import clock, progress
from espnet_ext.train import checkpoint
from espnet_ext.train.average import average_best, best_epochs, forget_epochs, lost_epochs
from espnet_ext.train.config import write_config
from espnet_ext.train.data import Collate, Utterances, loader
from espnet_ext.train.monitor import Averages, record, write_history
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.sampler import BucketSampler

Batch = dict[str, torch.Tensor]
#: One turn of training on a batch: extra arguments of the model and which optimiser follows.
Turn = tuple[dict[str, Any], int]


class Stopped(SystemExit):
    """SIGTERM came; the state is saved."""


@dataclass
class Position:
    """Where training is; part of every checkpoint."""

    epoch: int = 1
    batch: int = 0  # batches of this epoch that are done
    updates: int = 0
    skipped: int = 0  # updates left out because a gradient was not finite
    skipped_in_a_row: int = 0
    seconds: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)


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
    ) -> None:
        self.model, self.optimisers, self.turns, self.config = model, optimisers, turns, config
        self.train_data, self.valid_data, self.collate, self.sampler = (
            train,
            valid,
            collate,
            sampler,
        )
        self.folder, self.fingerprint, self.device = folder, fingerprint, device
        self.anew = anew
        self.at = Position()
        self.history: list[dict[str, Any]] = []
        self.stop_asked = False
        self.saved_at = time.monotonic()

    def fit(self) -> list[Path]:
        """Train to the end; the averaged models, best criterion first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        previous = signal.signal(signal.SIGTERM, self._ask_stop)
        try:
            self._resume()
            write_config(self.folder / "config.yaml", self.config)
            while not self._finished():
                self._epoch()
        finally:
            signal.signal(signal.SIGTERM, previous)
        return average_best(self.folder, self.history, self.config)

    # -- resuming ------------------------------------------------------------------------------------------

    def _ask_stop(self, number: int, frame: Any) -> None:
        self.stop_asked = True

    def _resume(self) -> None:
        state = checkpoint.load(self.folder, self.fingerprint)
        if state is None:
            return
        self.at, self.history = Position(**state["position"]), state["history"]
        why = self._why_anew(state)
        if why:
            checkpoint.set_aside(self.folder, why)
            self.at, self.history = Position(), []
            return
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        write_history(
            self.folder, self.history
        )  # the process may have ended between checkpoint and history
        checkpoint.restore_random_states(state["random"])
        done = "; nothing is left to do (--anew trains again)" if self._finished() else ""
        print(
            f"resuming at epoch {self.at.epoch}, batch {self.at.batch}, update {self.at.updates}{done}",
            flush=True,
        )

    def _why_anew(self, state: dict[str, Any]) -> str:
        """Why a checkpoint of the same training is not gone on from; "" if it is."""
        if self.anew and self._finished():
            return "is finished and is to be trained anew"
        lost = lost_epochs(self.folder, self.history, self.config)
        # under the same criteria an epoch may lack only because the checkpoint after this one was broken
        if lost and state.get("wanted") != self._wanted():
            keys = "best_model_criterion or keep_nbest_models"
            return f"has not kept epoch {lost[0]}, which {keys} now wants"
        return ""

    def _wanted(self) -> list[Any]:
        return [self.config["best_model_criterion"], self.config["keep_nbest_models"]]

    def _save(self) -> None:
        checkpoint.save(
            self.folder,
            {
                "fingerprint": self.fingerprint,
                "model": self.model.state_dict(),
                "optimisers": [o.state_dict() for o in self.optimisers],
                "position": vars(self.at),
                "history": self.history,
                "wanted": self._wanted(),
                "random": checkpoint.random_states(),
            },
        )
        self.saved_at = time.monotonic()

    # -- an epoch ------------------------------------------------------------------------------------------

    def _epoch(self) -> None:
        batches = self.sampler.batches(self.at.epoch)
        self.train_data.seed = (self.config["seed"], self.at.epoch)
        averages = Averages(self.at.sums)
        started, before = time.monotonic(), self.at.seconds
        self.model.train()
        for ids, batch in self._ahead(batches):
            self._step(ids, batch, averages, len(batches))
            self.at.seconds = before + time.monotonic() - started
            self._maybe_checkpoint(averages, len(batches))
        self._end_epoch(averages)

    def _ahead(self, batches: list[list[int]]) -> Iterator[tuple[list[str], Batch]]:
        """The rest of this epoch's batches, with progress."""
        rest = batches[self.at.batch :]
        found = loader(self.train_data, rest, self.collate, self.config["num_workers"])
        label = f"epoch {self.at.epoch}/{self.config['max_epoch']}"
        yield from progress(found, len(rest), label, quiet_end=True)

    def _step(self, ids: list[str], batch: Batch, averages: Averages, batches: int) -> None:
        """One batch; an update when enough batches are added up, and at the end of the epoch."""
        first = self.at.batch - self.at.batch % self.config["accum_grad"]
        group = min(
            self.config["accum_grad"], batches - first
        )  # the epoch's last group may be smaller
        end = self.at.batch + 1 == first + group
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        if self.at.batch == first:
            for optimiser in self.optimisers:
                optimiser.zero_grad()
        for extra, index in self.turns:
            loss, stats, weight = self._forward(batch, extra)
            # a generator's turn leaves no gradient in the discriminator it goes through
            (loss / group).backward(inputs=self.optimisers[index].parameters)
            if end:
                self._update(index, ids, float(loss.detach()))
            if bool(torch.isfinite(loss)):
                averages.add(stats, weight)
        self.at.batch += 1
        self.at.updates += end

    def _update(self, index: int, ids: list[str], loss: float) -> None:
        if self.optimisers[index].update() is None:
            self._not_finite(ids, loss)
        else:
            self.at.skipped_in_a_row = 0

    def _forward(
        self, batch: Batch, extra: dict[str, Any]
    ) -> tuple[torch.Tensor, dict[str, Any], float]:
        """The model's answer in one form: (scalar loss, stats, weight)."""
        answer = self.model(**batch, **extra)
        if isinstance(answer, dict):
            answer = answer["loss"], answer["stats"], answer["weight"]
        loss, stats, weight = answer
        found = {k: v for k, v in stats.items() if v is not None}
        if extra.get(
            "forward_generator"
        ):  # ESPnet's GANs report no "loss", which schedules and criteria ask for
            found.setdefault("loss", loss.detach().mean())
        return loss.mean(), found, float(weight.sum())

    def _not_finite(self, ids: list[str], loss: float) -> None:
        """Leave out an update whose gradient is infinite or NaN; give up when that becomes the rule."""
        self.at.skipped += 1
        self.at.skipped_in_a_row += 1
        logging.warning(
            "update %d left out: loss %.3g, gradient not finite; batch %s",
            self.at.updates,
            loss,
            ids[:8],
        )
        if self.at.skipped_in_a_row > 20:
            raise UserError(
                f"{self.at.skipped_in_a_row} updates in a row had gradients that were not finite; lower the "
                f"learning rate (optim_conf.lr) or look at these utterances: {', '.join(ids[:8])}"
            )

    def _maybe_checkpoint(self, averages: Averages, batches: int) -> None:
        """Between two updates: save now and then, and when the process is asked to stop."""
        between = self.at.batch % self.config["accum_grad"] == 0 and self.at.batch < batches
        due = time.monotonic() - self.saved_at > 60 * self.config["checkpoint_minutes"]
        if between and (due or self.stop_asked):
            self.at.sums = averages.sums
            self._save()
            if self.stop_asked:
                print("stopped by SIGTERM; the same command goes on from here", file=sys.stderr)
                raise Stopped(143)

    def _end_epoch(self, averages: Averages) -> None:
        started = time.monotonic()
        valid = self.validate()
        epoch, rates = self.at.epoch, {"lr": self.optimisers[0].lr}
        self.history += [
            record(
                epoch, self.at.updates, "train", averages.means(), **rates, seconds=self.at.seconds
            ),
            record(epoch, self.at.updates, "valid", valid, seconds=time.monotonic() - started),
        ]
        for optimiser in self.optimisers:
            optimiser.end_epoch(valid.get("loss", 0.0))
        checkpoint.save_tensors(self.folder / f"{epoch}epoch.pth", self.model.state_dict())
        self.at = replace(self.at, epoch=epoch + 1, batch=0, seconds=0.0, sums={})
        self._save()
        forget_epochs(self.folder, self.history, self.config)
        write_history(self.folder, self.history)
        self._report(self.history[-2], self.history[-1])
        if self.stop_asked:
            raise Stopped(143)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Averages of the model's stats over the validation data."""
        self.model.eval()
        lengths = self.valid_data.lengths(self.config["batch_type"])
        batches = BucketSampler(lengths, self.config["batch_size"]).batches(1, shuffle=False)
        averages = Averages()
        for _, batch in loader(self.valid_data, batches, self.collate, self.config["num_workers"]):
            moved = {name: tensor.to(self.device) for name, tensor in batch.items()}
            for extra, _ in self.turns:
                _, stats, weight = self._forward(moved, extra)
                averages.add(stats, weight)
        return averages.means()

    # -- what to tell, when to end ---------------------------------------------------------------------------

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

    def _finished(self) -> bool:
        return self.at.epoch > self.config["max_epoch"] or self._out_of_patience()

    def _out_of_patience(self) -> bool:
        patience = self.config["patience"]
        if patience is None or not self.history:
            return False
        best = best_epochs(self.history, self.config["best_model_criterion"][0])[0]
        return bool(self.at.epoch - 1 - best >= patience)
