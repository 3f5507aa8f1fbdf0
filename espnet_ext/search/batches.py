"""Which utterances are searched together: such of like length, and no more than memory holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Encoder frames x hypotheses that each thread of a CPU searches at once: four utterances of 7 seconds at 25 frames a
#: second, with a beam of 10. More at once are no faster and cost memory.
MOST = 7_000
#: The same on a GPU, where what does not fit is halved.
MOST_THERE = 1_500_000
#: Encoder frames x tokens likewise: CTC's table, of which there are several copies, has a row for each frame however
#: narrow the beam. With 10,000 tokens or fewer it does not narrow a beam of 10.
TABLE = 7_000_000
TABLE_THERE = 1_500_000_000

#: How libraries say, in errors of no kind of their own, that there is no memory.
_SAID = (
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "Failed to allocate memory",
    "could not create a memory object",
    "STATUS_ALLOC_FAILED",
)


def room(device: str, beam_size: int, tokens: int) -> int:
    """Encoder frames that are searched at once on a device, padding included.

    Args:
        device: "cpu", or a GPU.
        beam_size: hypotheses of each utterance.
        tokens: size of the vocabulary.
    """
    here = device == "cpu"
    scale = torch.get_num_threads() if here else 1
    hypotheses, table = (MOST, TABLE) if here else (MOST_THERE, TABLE_THERE)
    return scale * min(hypotheses // beam_size, table // tokens)


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
    """Of a GPU or of the machine, whichever library says it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, Exception) and any(words in str(error) for words in _SAID)


def if_it_fits(call: Callable[[], Result]) -> Result | None:
    """What a call gives; None where memory does not hold it: what it held is free again when this returns."""
    try:
        return call()
    except Exception as error:  # ONNX Runtime has errors of its own
        if not is_out_of_memory(error):
            raise
    return None


def in_halves(
    search: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item]
) -> list[Result | None]:
    """Search utterances; where memory does not hold them, each half of them by itself.

    Returns:
        what was found of each; None for one that memory does not hold even alone.
    """
    found = if_it_fits(lambda: search(items))
    if found is not None:
        return list(found)
    if len(items) == 1:
        return [None]
    logging.warning("out of memory with %d utterances at once: halved", len(items))
    middle = len(items) // 2
    return in_halves(search, items[:middle]) + in_halves(search, items[middle:])


def flowing(search: Any, encoded: Sequence[Tensor], most: int) -> list[Any]:
    """Search utterances, as many at a time as `most` frames hold; where memory does not, half as many.

    What has been found by then is kept.

    Returns:
        what was found of each; None for one that memory does not hold even alone.
    """
    found: dict[int, Any] = {}
    while waiting := [n for n in range(len(encoded)) if n not in found]:
        kept: dict[int, Any] = {}
        some = [encoded[n] for n in waiting]
        results = if_it_fits(partial(search, some, most, kept))
        if results is not None:
            found.update(zip(waiting, results, strict=True))
            continue
        # one without a hypothesis may be searched for a shorter one
        found |= {waiting[place]: hyps for place, hyps in kept.items() if hyps}
        left = [n for n in waiting if n not in found]
        if not left:  # memory ended behind the last
            break
        longest = max(left, key=lambda n: len(encoded[n]))
        if most > len(encoded[longest]):
            logging.warning("out of memory with %d frames at once: halved", most)
            most //= 2
        else:  # it was searched alone, or those beside it are too many: then it fits
            found[longest] = in_halves(search, [encoded[longest]])[0]
    return [found[number] for number in range(len(encoded))]


def search_all(search: Any, encoded: Sequence[Tensor], most: int) -> list[Any]:
    """Search any number of utterances, in batches, or one after the other as there is room.

    Args:
        search: of one batch; one that `flows` takes utterances while it searches others.
        encoded: the encoder's output of each, (T, D).
        most: frames searched at once, padding included.

    Returns:
        what was found of each; None for one that memory does not hold even alone.
    """
    if getattr(search, "flows", False):
        return flowing(search, encoded, most)
    found: dict[int, Any] = {}
    for group in by_length([len(x) for x in encoded], most):
        results = in_halves(search, [encoded[number] for number in group])
        found.update(zip(group, results, strict=True))
    return [found[number] for number in range(len(encoded))]
