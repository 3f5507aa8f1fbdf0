"""One update: forward and backward over its batches, gradients of all processes, the optimisers' steps."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.train.ema import MovingAverage
from espnet_ext.train.journal import Journal, gradient_norms
from espnet_ext.train.monitor import Averages
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.precision import computing
from espnet_ext.train.processes import (
    ALONE,
    Processes,
    draw_from,
    forget_figures,
    share_buffers,
    shared_buffers,
    tells_of_a_loss,
)
from espnet_ext.train.state import Position

Batch = dict[str, torch.Tensor]
#: One turn of training on a batch: extra arguments of the model and which optimiser follows.
Turn = tuple[dict[str, Any], int]
#: Number of a batch in the epoch; its utterances and tensors.
Taken = tuple[int, tuple[list[str], Batch]]
#: The turns that are next, and on what.
Round = tuple[list[Turn], int, tuple[list[str], Batch]]
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
        precision: of the forward pass.
        journal: is told of updates.
        average: of the weights, which follows them.
        seconds: what a message says of a batch's size.
        stops: whether a loss that is not finite ends the training; otherwise the update is left out.
        sharded: whether the processes share the weights, too (`fsdp: true`): all compute as often, and gradients
            are added up while they do.
        not_finite: batches of this update whose loss is infinite or NaN, with it.
        loss: of the last batch.
        told: parts of the model with a method `begin_update(number)`, which hear how many updates are done.
        keeping: GANs that keep what the generator makes in a batch's first turn for the second.
    """

    model: torch.nn.Module
    optimisers: list[Optimiser]
    turns: list[Turn]
    seed: int
    device: str = "cpu"
    processes: Processes = ALONE
    precision: str = "tf32"
    journal: Journal | None = None
    average: MovingAverage | None = None
    seconds: Callable[[Sequence[str]], str] = lambda ids: f"{len(ids)} utterances"
    stops: bool = False
    sharded: bool = False
    not_finite: list[tuple[list[str], float]] = field(default_factory=list)
    loss: float = math.nan
    told: list[Any] = field(init=False)
    keeping: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        parts = list(self.model.modules())
        self.told = [part for part in parts if hasattr(part, "begin_update")]
        self.keeping = [p for p in parts if getattr(p, "cache_generator_outputs", False)]

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
        mine, ids = self.processes.share(group), list[str]()
        batch: Batch = {}
        for module in self.told:
            module.begin_update(at.updates)
        before, skipped = shared_buffers(self.model, copied=True), at.skipped
        self.not_finite = []
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        taken = zip(mine, batches, strict=False)
        if self.sharded and len(group) < self.processes.size:  # some have no batch, and need one
            held = list(taken)
            batch = self.processes.from_first(held[0][1][1] if held else batch)
            taken = iter(held)  # type: ignore[assignment]
        for turns, index, (ids, batch) in self._rounds(taken, len(mine)):
            self._sync(index, group)
            draw_from(self.seed, at.epoch, index)
            moved = self.moved(batch)
            for extra, which in turns:
                self._backward(moved, extra, which, ids, len(group), averages, at)
                if index == mine[-1] and not self.sharded:
                    self._end(which, at, ids)
        if self.sharded:
            self._keep_up(group, batch)
        for _, which in self.turns if self.sharded or not mine else ():
            self._end(which, at, ids)
        if self.processes.size > 1:
            share_buffers(self.model, before, group, self.processes)
        if at.skipped > skipped:
            forget_figures(self.model, before)
        else:
            at.skipped_in_a_row = 0
        at.updates += 1
        if self.average is not None:
            self.average.update(at.updates)

    def _rounds(self, taken: Iterable[Taken], number: int) -> Iterator[Round]:
        """Which turns are next on which of an update's `number` batches.

        Of several batches a GAN's first side takes all, and makes its step, before the second does: that one judges
        by the same discriminators as if they were one batch. What the generator makes is then made anew (with
        `generator_first` by one that has made its step, where of one batch its outputs before that are judged).
        """
        several = number > 1 and len(self.turns) > 1
        for part in self.keeping:
            part.cache_generator_outputs = not several
        held = list(taken) if several else taken
        for turns in [[turn] for turn in self.turns] if several else [self.turns]:
            for index, batch in held:
                yield turns, index, batch

    def _backward(
        self,
        batch: Batch,
        extra: dict[str, Any],
        which: int,
        ids: list[str],
        number: int,
        averages: Averages,
        at: Position,
    ) -> None:
        """Gradients of one batch of `number`, added to those that are there."""
        with naming(ids, self.seconds):
            loss, stats, weight = self.forward(batch, extra)
            # a generator's turn leaves no gradient in the discriminator it goes through
            if self.sharded:  # torch takes the mean over the processes
                (loss * self.processes.size / number).backward()
            else:
                self.optimisers[which].backward(loss / number)
        self.loss = float(loss.detach())
        if math.isfinite(self.loss):
            averages.add(stats, weight)
        else:
            size, ids = self.seconds(ids), self.guilty(batch, extra, ids)
            self.not_finite.append((ids, self.loss))
            if self.stops:
                raise UserError(
                    f"update {at.updates + 1}: the loss is {self.loss} on a batch of {size}, expected a "
                    f"number: look at {', '.join(ids)}, or lower optim_conf.lr; not_finite: skip leaves it out"
                )

    def guilty(self, batch: Batch, extra: dict[str, Any], ids: list[str]) -> list[str]:
        """Those utterances whose loss is not finite by themselves either; where it cannot be told, all."""
        if self.sharded:  # the others would have to compute, too
            return ids
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                alone = [{name: x[i : i + 1] for name, x in batch.items()} for i in range(len(ids))]
                losses = [float(self.forward(one, extra)[0]) for one in alone]
        except Exception:  # a model may want more than one utterance, or what only training has
            return ids
        finally:
            self.model.train(training)
        found = [utt for utt, loss in zip(ids, losses, strict=True) if not math.isfinite(loss)]
        return found or ids

    def _sync(self, index: int, group: range) -> None:
        """Of a sharded model gradients travel with the last round of an update alone."""
        if self.sharded:
            last = group[(len(group) - 1) // self.processes.size * self.processes.size]
            self.model.set_requires_gradient_sync(index >= last)  # type: ignore[operator]

    def _keep_up(self, group: range, batch: Batch) -> None:
        """Compute for nothing where others have one batch more, for all put each block together together."""
        size = self.processes.size
        if self.processes.rank < len(group) % size or len(group) % size == 0:
            return
        before = shared_buffers(self.model, copied=True)
        self._sync(group[-1], group)
        loss, _, _ = self.forward(self.moved(batch), self.turns[0][0])
        (0 * loss).backward()
        for name, tensor in shared_buffers(self.model).items():
            with torch.no_grad():
                tensor.copy_(before[name])

    def moved(self, batch: Batch) -> Batch:
        """The batch where the model is."""
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def forward(
        self, batch: Batch, extra: dict[str, Any]
    ) -> tuple[torch.Tensor, dict[str, Any], float]:
        """The model's answer in one form: (scalar loss, stats, weight)."""
        with computing(self.device, self.precision):
            answer = self.model(**batch, **extra)
        if isinstance(answer, dict):
            answer = answer["loss"], answer["stats"], answer["weight"]
        loss, stats, weight = answer
        loss = loss.float()
        found = {k: v for k, v in stats.items() if v is not None}
        if extra.get(
            "forward_generator"
        ):  # ESPnet's GANs report no "loss", which schedules and criteria ask for
            found.setdefault("loss", loss.detach().mean())
        return loss.mean(), found, float(weight.sum())

    def _end(self, which: int, at: Position, ids: list[str]) -> None:
        """The optimiser's step when all batches are done."""
        optimiser = self.optimisers[which]
        if not self.sharded:
            self.processes.sum_gradients(optimiser.parameters)
        if self.journal is not None and self.journal.due(at.updates + 1):
            self._note(optimiser, at, self.journal)
        searching = optimiser.searching
        if optimiser.update() is None:
            self._leave_out(at, ids, searching)

    def _note(self, optimiser: Optimiser, at: Position, journal: Journal) -> None:
        """Tell the journal of this optimiser's gradients."""
        scale = 1.0 if optimiser.scaler is None else optimiser.scaler.get_scale()
        norms = gradient_norms(self.model, scale, self.processes if self.sharded else ALONE)
        if math.isfinite(self.loss):
            journal.update(at.updates + 1, norms, epoch=at.epoch, loss=self.loss, lr=optimiser.lr)

    def _leave_out(self, at: Position, ids: list[str], searching: bool) -> None:
        """Count an update whose gradient is infinite or NaN; give up when that becomes the rule."""
        at.skipped += 1
        if searching and not any(self.processes.all(bool(self.not_finite))):
            return  # fp16's scale was too large
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


class DoesNotFit(UserError):
    """A batch needs more memory than there is."""


@contextmanager
def naming(ids: Sequence[str], size: Callable[[Sequence[str]], str]) -> Iterator[None]:
    """Errors within the block speak of the utterances they are about.

    A model may raise an exception with an attribute `indices`, places in the batch of the utterances it is about.

    Raises:
        UserError: for such an exception, and for a batch that does not fit into memory.
    """
    try:
        yield
    except Exception as error:
        guilty = [ids[index] for index in getattr(error, "indices", ()) if index < len(ids)]
        if guilty:
            raise UserError(f"{error}; they are {_some(guilty)}") from error
        if not _is_out_of_memory(error):
            if not tells_of_a_loss(error):
                logging.error("while training on %s", _some(ids))
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DoesNotFit(
            f"a batch of {size(ids)} does not fit into memory ({reason}): {_some(ids)}. Lower "
            "batch_size (--find_batch says what fits) and raise accum_grad by as much, leave out the longest "
            "utterances (max_seconds), or set precision: bf16"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    """A GPU's error, or a CPU's, which has no class of its own."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    memory = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return memory or (isinstance(error, RuntimeError) and any(w in str(error) for w in words))


def _some(ids: Sequence[str]) -> str:
    """Names of utterances, not too many."""
    return ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
