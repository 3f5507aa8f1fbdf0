"""States of a `Stack` whose utterances began at different times, as one.

Letters in shapes: U utterances, W hypotheses of each, R columns of the pool, T encoder frames, H heads, C width of a
head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.search import known
from espnet_ext.search.stack import Memory, StackState


def join(one: StackState, two: StackState, width: int, frames: int) -> StackState:
    """The utterances of both, with `width` hypotheses each and memories of `frames` frames; each has its age."""
    columns = max(one.visible.shape[2], two.visible.shape[2])
    room = max(one.pool.shape[4], two.pool.shape[4])
    pool, visible, looked = [], [], []
    for state in (one, two):
        less = width - state.visible.shape[1]
        visible.append(F.pad(state.visible, (0, columns - state.visible.shape[2], 0, less)))
        pool.append(F.pad(state.pool, (0, 0, 0, room - state.pool.shape[4])))
        if state.looked is not None:
            looked.append(F.pad(state.looked, (0, frames - state.looked.shape[2], 0, less)))
    return StackState(
        _joined(one.memory, two.memory, frames),
        torch.cat(pool, dim=2),
        torch.cat(visible),
        torch.cat((one.ages, two.ages)),
        max(one.tidy, two.tidy),
        torch.cat(looked) if looked else None,
        known.join(one.known, two.known, width),
    )


def _joined(one: Memory, two: Memory, frames: int) -> Memory:
    """Memories of both with `frames` frames (DecoderAlone's have one in any case)."""
    if not one.keys:
        return one
    before = one.keys[0].shape[2], two.keys[0].shape[2]
    frames = min(frames, max(before))

    def grown(pair: tuple[Tensor, Tensor]) -> Tensor:
        """(U, H, T, C) of each."""
        return torch.cat(
            [F.pad(x[:, :, :frames], (0, 0, 0, max(0, frames - x.shape[2]))) for x in pair]
        )

    masks = []
    for memory, length in zip((one, two), before, strict=True):
        mask = memory.mask
        if mask is None:
            mask = memory.keys[0].new_zeros(len(memory.keys[0]), 1, 1, length)
        masks.append(F.pad(mask, (0, max(0, frames - length)), value=float("-inf"))[..., :frames])
    mask = torch.cat(masks)
    return Memory(
        tuple(map(grown, zip(one.keys, two.keys, strict=True))),
        tuple(map(grown, zip(one.values, two.values, strict=True))),
        mask if bool(mask.any()) else None,
    )
