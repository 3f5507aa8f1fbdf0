"""What blocks share in one pass over a batch, and what they remember between the chunks of a stream.

Letters in shapes: B batch, T frames, D width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


def length_mask(lengths: Tensor, longest: int | None = None) -> Tensor:
    """(B,) -> (B, longest), true within each length; `longest` is the greatest of them unless given."""
    end = int(lengths.max()) if longest is None else longest
    return torch.arange(end, device=lengths.device) < lengths[:, None]


@dataclass
class Stream:
    """What an encoder remembers of the chunks before. Tensors in it are replaced, never written to.

    Attributes:
        chunk: encoder frames that are worked on at a time.
        left: encoder frames before a chunk that attention sees; None for all.
        position: encoder frames so far.
        ended: whether the last piece was shorter than a chunk, so that nothing can follow.
        frames: module -> its last inputs.
    """

    chunk: int
    left: int | None = None
    position: int = 0
    ended: bool = False
    frames: dict[nn.Module, Tensor] = field(default_factory=dict)

    @property
    def past(self) -> int:
        """Frames before the chunk that attention sees."""
        return self.position if self.left is None else min(self.position, self.left)

    def join(self, module: nn.Module, x: Tensor, keep: int | None) -> Tensor:
        """What the module remembers, then x (B, T, ...), along time; the last `keep` frames are remembered."""
        before = self.frames.get(module)
        whole = x if before is None else torch.cat((before, x), dim=1)
        start = 0 if keep is None else max(0, whole.shape[1] - keep)
        self.frames[module] = whole[:, start:]
        return whole

    def join_padded(self, module: nn.Module, x: Tensor, keep: int) -> Tensor:
        """As `join` with exactly `keep` frames before x: zeros where the stream begins."""
        if module not in self.frames:
            self.frames[module] = x.new_zeros(x.shape[0], keep, *x.shape[2:])
        return self.join(module, x, keep)


@dataclass(frozen=True)
class Context:
    """What all blocks of a pass share.

    Attributes:
        positions: what attention needs to know of them: cosines and sines, sinusoids of distances, or None.
        attend: (B, 1, 1, T) or (B, 1, T, T), true where a query may look at a key; None for everywhere.
        speech: (B, T, 1), true where there is speech; None without padding.
        chunk: frames that convolutions may not look beyond; None for no such bound.
        stream: the memory of a stream; None for whole utterances.
    """

    positions: Any = None
    attend: Tensor | None = None
    speech: Tensor | None = None
    chunk: int | None = None
    stream: Stream | None = None
