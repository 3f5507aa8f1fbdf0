"""One update: forward and backward over its batches, gradients of all processes, the optimisers' steps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.train.monitor import Averages
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.processes import (
    ALONE,
    Processes,
    draw_from,
    share_buffers,
    shared_buffers,
)
from espnet_ext.train.state import Position

Batch = dict[str, torch.Tensor]
#: One turn of training on a batch: extra arguments of the model and which optimiser follows.
Turn = tuple[dict[str, Any], int]
#: So many updates in a row may have gradients that are not finite.
PATIENCE = 20


@dataclass
class Step:
    """What makes an update of a model.

    Attributes:
        model: ESPnet's interface: `model(**batch)` gives (loss, stats, weight), or a mapping with these keys.
        optimisers: one, or generator's and discriminator's.
        turns: what happens on a batch, in order; one turn except for GANs.
        seed: of all that is drawn on a batch.
        device: "cpu", "cuda", ...
        processes: who shares the batches of an update.
    """

    model: torch.nn.Module
    optimisers: list[Optimiser]
    turns: list[Turn]
    seed: int
    device: str = "cpu"
    processes: Processes = ALONE
    not_finite: list[tuple[list[str], float]] = field(default_factory=list)

    def update(
        self,
        at: Position,
        group: range,
        batches: Iterator[tuple[list[str], Batch]],
        averages: Averages,
    ) -> None:
        """One update.

        Args:
            at: where training is; its counters of updates go up.
            group: places of the update's batches in the epoch.
            batches: gives those that this process takes, (ids, tensors).
            averages: receive the model's figures.

        Raises:
            UserError: when no gradient has been finite for long.
        """
        mine = self.processes.share(group)
        before = shared_buffers(self.model, copied=True) if self.processes.size > 1 else {}
        self.not_finite = []
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        for index, (ids, batch) in zip(mine, batches, strict=False):
            draw_from(self.seed, at.epoch, index)
            moved = self.moved(batch)
            for extra, which in self.turns:
                self._backward(moved, extra, which, ids, len(group), averages)
                if index == mine[-1]:
                    self._end(which, at, ids)
        for _, which in self.turns if not mine else ():
            self._end(which, at, [])
        if before:
            share_buffers(self.model, before, group, self.processes)
        at.updates += 1

    def _backward(
        self,
        batch: Batch,
        extra: dict[str, Any],
        which: int,
        ids: list[str],
        number: int,
        averages: Averages,
    ) -> None:
        """Gradients of one batch of `number`, added to those that are there."""
        loss, stats, weight = self.forward(batch, extra)
        # a generator's turn leaves no gradient in the discriminator it goes through
        (loss / number).backward(inputs=self.optimisers[which].parameters)
        if bool(torch.isfinite(loss)):
            averages.add(stats, weight)
        else:
            self.not_finite.append((ids, float(loss.detach())))

    def moved(self, batch: Batch) -> Batch:
        """The batch where the model is."""
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def forward(
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

    def _end(self, which: int, at: Position, ids: list[str]) -> None:
        """The optimiser's step when all batches are done."""
        optimiser = self.optimisers[which]
        self.processes.sum_gradients(optimiser.parameters)
        if optimiser.update() is None:
            self._leave_out(at, ids)
        else:
            at.skipped_in_a_row = 0

    def _leave_out(self, at: Position, ids: list[str]) -> None:
        """Count an update whose gradient is infinite or NaN; give up when that becomes the rule."""
        at.skipped += 1
        at.skipped_in_a_row += 1
        found = self.not_finite or [(ids, float("nan"))]
        named = [pair for share in self.processes.all(found) for pair in share]
        guilty = [utt for utts, _ in named for utt in utts][:8]
        logging.warning(
            "update %d left out: loss %.3g, gradient not finite; batch %s",
            at.updates + 1,
            named[0][1],
            guilty,
        )
        if at.skipped_in_a_row > PATIENCE:
            raise UserError(
                f"{at.skipped_in_a_row} updates in a row had gradients that were not finite; lower the "
                f"learning rate (optim_conf.lr) or look at these utterances: {', '.join(guilty)}"
            )
