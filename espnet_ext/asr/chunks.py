"""Dynamic chunk training: one model for whole utterances and for streams (Zhang et al. 2020, U2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chunks:
    """How training sees utterances in chunks.

    Attributes:
        sizes: encoder frames in a chunk; each batch draws one of them.
        left: chunks before its own that a frame attends to; None for all.
        offline_share: of batches that are seen whole, 0 to 1.
        decode: encoder frames in a chunk outside training; None for whole utterances.

    Raises:
        ValueError: for a value out of its range.
    """

    sizes: tuple[int, ...] = (8, 16, 32)
    left: int | None = None
    offline_share: float = 0.5
    decode: int | None = None

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Chunks:
        """From a mapping of a YAML.

        Raises:
            ValueError: for an unknown key or a value of another type.
        """
        try:
            return cls(**found)
        except TypeError as error:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(
                f"found chunk {dict(found)} ({error}), expected {known}, sizes a list of numbers"
            ) from error

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if not self.sizes or min(*self.sizes, self.decode or 1) < 1:
            raise ValueError(f"found chunks {self.sizes}, decode {self.decode}, expected 1 or more")
        if not 0 <= self.offline_share <= 1:
            raise ValueError(f"found offline_share {self.offline_share}, expected 0 to 1")
        if self.left is not None and self.left < 0:
            raise ValueError(f"found left {self.left}, expected 0 or more chunks, or null for all")

    def draw(self) -> int | None:
        """Frames in a chunk for one batch, None for whole; from torch's generator, so that a resume repeats it."""
        whole, which = torch.rand(2).tolist()
        if whole < self.offline_share:
            return None
        return self.sizes[int(which * len(self.sizes))]


def chunk_mask(length: int, chunk: int, left: int | None, device: torch.device) -> Tensor:
    """(T, T), true where a query's chunk is the key's or one of the `left` after it.

    Example:
        >>> chunk_mask(4, 2, None, torch.device("cpu")).int().tolist()
        [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    """
    number = torch.div(torch.arange(length, device=device), chunk, rounding_mode="floor")
    behind = number[:, None] - number
    seen = behind >= 0
    return seen if left is None else seen & (behind <= left)


def attention_mask(speech: Tensor | None, within: Tensor | None) -> Tensor | None:
    """Padding (B, T, 1) and chunks (T, T) together -> (B, 1, 1 or T, T), true where a query may look at a key.

    Every frame sees itself: frames of padding whose chunks hold nothing else would be 0 / 0.
    """
    if within is None:
        return None if speech is None else speech[:, None, None, :, 0]
    if speech is None:
        return within[None, None]
    places = torch.arange(within.shape[0], device=within.device)
    itself = places[:, None] == places  # no torch.eye: ONNX Runtime has none of truth values
    return (within & speech[:, None, None, :, 0]) | itself
