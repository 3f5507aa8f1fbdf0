"""Batches of utterances of similar length, the same for the same (seed, epoch)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from espnet_ext.errors import UserError


class BucketSampler:
    """Sort by length, cut where a padded batch would exceed its size, shuffle the batches.

    Lengths are perturbed a little before sorting so that an utterance meets other company each epoch.

    Args:
        lengths: length of every utterance, in the unit of `batch_size`.
        batch_size: the most that (longest length) x (number of utterances) of a batch may reach.
        seed: of the shuffling.
        noise: standard deviation of the perturbation, relative to the length.
        sorted_epochs: so many first epochs go from short to long utterances (SortaGrad, Amodei et al. 2016),
            which helps CTC out of its first plateau.
        max_utterances: the most utterances in a batch.

    Raises:
        UserError: if there is nothing to train on.
    """

    def __init__(
        self,
        lengths: Sequence[float],
        batch_size: float,
        seed: int = 0,
        noise: float = 0.05,
        sorted_epochs: int = 0,
        max_utterances: int = 512,
    ) -> None:
        if len(lengths) == 0:
            raise UserError(
                "found no utterance to train on; check the data directory and the filter's limits"
            )
        self.lengths = np.asarray(lengths, dtype=np.float64)
        self.batch_size, self.seed = float(batch_size), seed
        self.noise, self.max_utterances = noise, max_utterances
        self.sorted_epochs = sorted_epochs

    def batches(self, epoch: int, shuffle: bool = True) -> list[list[int]]:
        """Indices of the utterances of each batch of `epoch` (counted from 1); every utterance once."""
        random = np.random.default_rng([self.seed, epoch])
        keys = self.lengths
        if shuffle:
            keys = keys * (1 + self.noise * random.standard_normal(len(keys)))
        found: list[list[int]] = []
        current: list[int] = []
        longest = 0.0
        for index in np.argsort(keys, kind="stable").tolist():
            longest = max(longest, float(self.lengths[index]))
            full = (
                longest * (len(current) + 1) > self.batch_size
                or len(current) == self.max_utterances
            )
            if current and full:
                found.append(current)
                current, longest = [], float(self.lengths[index])
            current.append(index)
        found.append(current)
        if not shuffle or epoch <= self.sorted_epochs:
            return found
        return [found[i] for i in random.permutation(len(found))]
