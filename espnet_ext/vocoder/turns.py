"""What the two turns of adversarial training share: one pass of the generator, and when discriminators come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from espnet_ext.vocoder.discriminators import Discriminators

Made = TypeVar("Made")


class Turns(Generic[Made]):
    """Part of a model whose generator and discriminators take turns on each batch.

    Attributes:
        losses: whose discriminator_start says after how many updates the discriminators come in.
        cache_generator_outputs: what the generator makes in a batch's first turn serves the second, too. The training
            loop turns it off where the second turn comes after other batches (ESPnet's name, and its models' meaning).
        batches: updates done (buffer); batches, where the training does not say how many updates that are.
    """

    discriminator: Discriminators | None
    losses: Any  # Losses, of espnet_ext/vocoder/model.py
    batches: Tensor
    training: bool
    cache_generator_outputs = True
    _told = False
    _kept: tuple[Tensor, bool, Made] | None = None

    def begin_update(self, number: int) -> None:
        """So many updates are done."""
        self._told, self._kept = True, None
        self.batches.clamp_(min=number)

    def start_discriminators(self) -> None:
        """Have them at work from now on, as after many updates."""
        self.batches.clamp_(min=self.losses.discriminator_start)

    def _started(self) -> bool:
        """Whether the discriminators are at work."""
        first = self.losses.discriminator_start
        return self.discriminator is not None and (not first or int(self.batches) >= first)

    def _count(self) -> None:
        """A batch of training is done; by itself an update, as far as is known."""
        if self.training and not self._told:
            self.batches += 1

    def _once(self, key: Tensor, make: Callable[[], Made], judging: bool = False) -> Made:
        """What `make` gives on the batch with this tensor, computed once for both turns (`judging` or not)."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] is key and kept[1] != judging:
            return kept[2]
        found = make()
        if self.training and self.cache_generator_outputs and self.discriminator is not None:
            self._kept = key, judging, found
        return found

    def _judged(self, key: Tensor, make: Callable[[], Made], generator: nn.Module) -> Made:
        """The same for the discriminators' turn, which needs no gradients of the generator.

        Where nothing is kept, the generator's counters do not notice that it is asked twice.
        """
        if self.training and self.cache_generator_outputs:
            return self._once(key, make, judging=True)
        with torch.no_grad(), counters_kept(generator):
            return make()


@contextmanager
def counters_kept(model: nn.Module) -> Iterator[None]:
    """Numbers that count batches, or what was in them, are afterwards as before."""
    found: list[Any] = [b for b in model.buffers() if b.dtype == torch.int64 and b.numel() == 1]
    before = [buffer.clone() for buffer in found]
    yield
    for buffer, value in zip(found, before, strict=True):
        buffer.copy_(value)
