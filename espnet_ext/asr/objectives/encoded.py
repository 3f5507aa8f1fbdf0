"""A batch between encoder and objectives.

Letters in shapes: B utterances, N = B or 2 B rows (see `consistency`), T encoder frames, L tokens, D encoder width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from espnet_ext.asr.objectives.consistency import twice
from espnet_ext.asr.stream import length_mask

Stats = dict[str, Any]


@dataclass
class Encoded:
    """A batch behind the encoder.

    Attributes:
        out: (N, T, D).
        lengths: (N,), in frames.
        text, text_lengths: (N, L) and (N,), in tokens.
        middle: (layer, its output (N, T, D)) where the encoder hands out intermediate ones.
        extra: what else the batch has, B rows each.
        stats: what is reported.
    """

    out: Tensor
    lengths: Tensor
    text: Tensor
    text_lengths: Tensor
    middle: list[tuple[int, Tensor]]
    extra: Stats
    stats: Stats = field(default_factory=dict)

    @property
    def mask(self) -> Tensor:
        """(N, T), true where there is speech."""
        return length_mask(self.lengths, self.out.shape[1])

    def rows(self, *names: str) -> tuple[Tensor, ...]:
        """`extra` arrays, N rows each."""
        found = tuple(self.extra[name] for name in names)
        return twice(*found) if len(found[0]) < len(self.out) else found
