"""Which update of its training a model is in, for what begins after some."""

from __future__ import annotations

from torch import Tensor


class Counted:
    """Part of a model that knows it by the buffer `updates`: the present one's number, from 1 on.

    Our training says so (`begin_update`), also where an update has several batches; where nobody does, each batch of
    training counts as one.
    """

    updates: Tensor
    training: bool
    _told = False

    def begin_update(self, number: int) -> None:
        """So many updates are done."""
        self._told = True
        self.updates.clamp_(min=number + 1)

    def present_update(self) -> int:
        """Asked once a batch."""
        if self.training and not self._told:
            self.updates += 1
        return int(self.updates)
