"""Which utterances are searched together: such of like length, and no more than memory holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")

#: Encoder frames x hypotheses that each thread of a CPU searches at once: four utterances of 7 seconds at 25 frames a
#: second, with a beam of 10. More at once are no faster and cost memory.
MOST = 7_000
#: The same on a GPU, where what does not fit is halved.
MOST_THERE = 1_500_000


def room(device: str) -> int:
    """Encoder frames x hypotheses that are searched at once on a device."""
    return MOST * torch.get_num_threads() if device == "cpu" else MOST_THERE


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


def flowing(search: Any, encoded: Sequence[Tensor], most: int) -> list[Any]:
    """Search utterances, as many at a time as `most` frames hold; where memory does not, half as many.

    What has been found by then is kept.
    """
    kept: dict[int, Any] = {}
    while True:
        try:
            found: list[Any] = search(encoded, most, kept)
            return found
        except (RuntimeError, MemoryError) as error:
            # one without a hypothesis may be searched for a shorter one
            longest = max(len(x) for n, x in enumerate(encoded) if not kept.get(n))
            if not is_out_of_memory(error) or most <= longest:
                raise
            logging.warning("out of memory with %d frames at once: halved", most)
        most //= 2


def search_all(search: Any, encoded: Sequence[Tensor], most: int) -> list[Any]:
    """Search any number of utterances, in batches, or one after the other as there is room.

    Args:
        search: of one batch; one that `flows` takes utterances while it searches others.
        encoded: the encoder's output of each, (T, D).
        most: frames searched at once, padding included.
    """
    if getattr(search, "flows", False):
        return flowing(search, encoded, most) if encoded else []
    found: dict[int, Any] = {}
    for group in by_length([len(x) for x in encoded], most):
        results = in_halves(search, [encoded[number] for number in group])
        found.update(zip(group, results, strict=True))
    return [found[number] for number in range(len(encoded))]
