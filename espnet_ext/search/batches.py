"""Which utterances are searched together: such of like length, and no more than memory holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")

#: Encoder frames x hypotheses that are searched at once: 32 utterances of 6 seconds at 25 frames a second with a beam
#: of 10. A frame costs some 15 kB, and a hundred bytes more for each hypothesis.
MOST = 48_000


def by_length(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Numbers of items in groups whose size times longest length is at most `most`, one item at least.

    >>> by_length([5, 1, 9, 2], 10)
    [[1, 3], [0], [2]]
    """
    groups: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[number] <= most:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def is_out_of_memory(error: BaseException) -> bool:
    """Of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def in_halves(
    search: Callable[[Sequence[Tensor]], list[Result]], encoded: Sequence[Tensor]
) -> list[Result]:
    """Search utterances; where memory does not hold them, each half of them by itself."""
    try:
        return search(encoded)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or len(encoded) == 1:
            raise
        logging.warning("out of memory with %d utterances at once: halved", len(encoded))
    middle = len(encoded) // 2
    return in_halves(search, encoded[:middle]) + in_halves(search, encoded[middle:])


def search_all(
    search: Callable[[Sequence[Tensor]], list[Result]], encoded: Sequence[Tensor], most: int
) -> list[Result]:
    """Search any number of utterances, in batches.

    Args:
        search: of one batch.
        encoded: the encoder's output of each, (T, D).
        most: frames of a batch, padding included.
    """
    found: dict[int, Result] = {}
    for group in by_length([len(x) for x in encoded], most):
        results = in_halves(search, [encoded[number] for number in group])
        found.update(zip(group, results, strict=True))
    return [found[number] for number in range(len(encoded))]
