"""Where a training is, and how it is saved and gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from espnet_ext.train import checkpoint
from espnet_ext.train.average import best_epochs, lost_epochs
from espnet_ext.train.ema import MovingAverage
from espnet_ext.train.monitor import merged
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.processes import Processes
from espnet_ext.train.sharded import Whole


@dataclass
class Position:
    """Where training is; part of every checkpoint."""

    epoch: int = 1
    batch: int = 0  # batches of this epoch that are done, by all processes
    updates: int = 0
    skipped: int = 0  # updates left out because a gradient was not finite
    skipped_in_a_row: int = 0
    seconds: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)


def last_begins(config: dict[str, Any]) -> int:
    """The first epoch of the last phase; 1 without phases."""
    phases = config.get("phases") or []
    return 1 + sum(int(phase["epochs"]) for phase in phases[:-1])


@dataclass
class Progress:
    """Position and history: what decides whether training is finished."""

    at: Position = field(default_factory=Position)
    history: list[dict[str, Any]] = field(default_factory=list)

    def finished(self, config: dict[str, Any]) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        if self.at.epoch > config["max_epoch"]:
            return True
        first = last_begins(config)  # an earlier phase does not end the training
        history = [line for line in self.history if line["epoch"] >= first]
        if config["patience"] is None or not history:
            return False
        best = best_epochs(history, config["best_model_criterion"][0])[0]
        return bool(self.at.epoch - 1 - best >= config["patience"])


@dataclass(frozen=True)
class Store:
    """The checkpoints of one training.

    Attributes:
        folder: where they lie.
        fingerprint: of configuration and data; another one's checkpoint is not resumed.
        config: the whole configuration.
        processes: who trains; the first one writes, all read.
        form: how states are taken and given.
    """

    folder: Path
    fingerprint: str
    config: dict[str, Any]
    processes: Processes
    form: Whole = field(default_factory=Whole)

    def load(self, anew: bool) -> dict[str, Any] | None:
        """The state to go on from; None to begin. What another run has left is set aside.

        Args:
            anew: begin again if the training is finished.
        """
        # sent, not read by each: other machines may not have the folder
        return self.processes.from_first(
            self._to_go_on_from(anew) if self.processes.first else None
        )

    def _to_go_on_from(self, anew: bool) -> dict[str, Any] | None:
        state = checkpoint.load(self.folder, self.fingerprint)
        why = "" if state is None else self._why_not(state, anew)
        if why:
            checkpoint.set_aside(self.folder, why)
            return None
        return state

    def _why_not(self, state: dict[str, Any], anew: bool) -> str:
        """Why a checkpoint of the same training is not gone on from; "" if it is."""
        progress = Progress(Position(**state["position"]), state["history"])
        if anew and progress.finished(self.config):
            return "is finished and is to be trained anew"
        lost = lost_epochs(self.folder, progress.history, self.config)
        # under the same criteria an epoch may lack only because the checkpoint after this one was broken
        if lost and state.get("wanted") != self._wanted():
            keys = "best_model_criterion or keep_nbest_models"
            return f"has not kept epoch {lost[0]}, which {keys} now wants"
        return ""

    def _wanted(self) -> list[Any]:
        return [self.config["best_model_criterion"], self.config["keep_nbest_models"]]

    def save(
        self,
        model: torch.nn.Module,
        optimisers: Sequence[Optimiser],
        progress: Progress,
        average: MovingAverage | None = None,
    ) -> None:
        """Make this the latest checkpoint; every process calls it."""
        shares = self.processes.all(progress.at.sums)
        weights = self.form.weights(model)
        steps = [self.form.optimiser(model, optimiser) for optimiser in optimisers]
        if self.processes.first:
            state = {
                "fingerprint": self.fingerprint,
                "model": weights,
                "optimisers": steps,
                "position": vars(progress.at),
                "shares": shares,
                "history": progress.history,
                "wanted": self._wanted(),
                **({} if average is None else {"ema": average.state}),
            }
            checkpoint.save(self.folder, state)

    def restore(
        self,
        state: dict[str, Any],
        model: torch.nn.Module,
        optimisers: Sequence[Optimiser],
        average: MovingAverage | None = None,
    ) -> Progress:
        """Set model and optimisers as they were; where training was."""
        self.form.load(model, state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            self.form.load_optimiser(model, optimiser, saved)
        if average is not None:
            average.load(state["ema"])
        at = Position(**state["position"])
        at.sums = _my_share(state.get("shares") or [at.sums], self.processes)
        return Progress(at, state["history"])


def _my_share(shares: Sequence[dict[str, list[float]]], processes: Processes) -> dict[str, Any]:
    """What this process had added up; of another number of processes' sums the first one takes all."""
    if len(shares) == processes.size:
        return dict(shares[processes.rank])
    return merged(shares) if processes.first else {}
