"""Where a frame stands: rotary, sinusoidal, learned and relative positions.

Letters in shapes: B batch, H heads, Q queries, K keys (the queries are the last of them), C width of one head,
D model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espnet_ext.errors import UserError

KINDS = ("rotary", "relative", "absolute", "learned", "none")


def rotary_table(length: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles t / 10000^(2i/C), each (T, C/2) (Su et al. 2021, eq. 15)."""
    rates = 10000 ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(length, device=device)[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the pairs (x_i, x_{i+C/2}) of (B, H, T, C) by their position's angle; in half precision at the end only."""
    cosine, sine = table
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return turned.to(x.dtype)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """(T,) -> (T, D): sin and cos of t / 10000^(2i/D) in turn (Vaswani et al. 2017, section 3.5)."""
    steps = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device)
    angles = positions[:, None] * 10000 ** (-steps / width)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def relative_table(queries: int, keys: int, width: int, device: torch.device) -> Tensor:
    """Sinusoids of the distances query - key from keys - 1 down to -queries, (K + Q, D).

    The last one is never looked at; it makes the rows as long as `skew` wants them.
    """
    return sinusoids(torch.arange(keys - 1, -queries - 1, -1, device=device), width)


def skew(scores: Tensor, keys: int) -> Tensor:
    """Scores by distance (B, H, Q, K + Q), as `relative_table` orders them -> by key (B, H, Q, K).

    Query i looks at key j over distance K - Q + i - j, column Q - 1 - i + j: a view with shorter rows that begins
    later (Dai et al. 2019, appendix B).
    """
    queries, row = scores.shape[2], scores.shape[3] - 1
    flat = scores.flatten(2)[:, :, queries - 1 : queries - 1 + queries * row]
    return flat.unflatten(2, (queries, row))[..., :keys]


class Unplaced(nn.Module):
    """Adds nothing: positions are attention's business, or nobody's."""

    def forward(self, x: Tensor, start: int) -> Tensor:
        """(B, T, D), whose first frame is frame `start` of the utterance -> (B, T, D)."""
        return x


class Absolute(nn.Module):
    """Adds sinusoids. The input is not scaled up as in the paper: a LayerNorm stands before it."""

    def forward(self, x: Tensor, start: int) -> Tensor:
        """(B, T, D), whose first frame is frame `start` of the utterance -> (B, T, D)."""
        places = torch.arange(start, start + x.shape[1], device=x.device)
        return x + sinusoids(places, x.shape[2]).to(x.dtype)


class Learned(nn.Module):
    """Adds a learned vector for each position (Gehring et al. 2017).

    Args:
        longest: frames that there are vectors for.
        width: D.
    """

    def __init__(self, longest: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(0.02 * torch.randn(longest, width))

    def forward(self, x: Tensor, start: int) -> Tensor:
        """(B, T, D), whose first frame is frame `start` of the utterance -> (B, T, D).

        Raises:
            UserError: for more frames than there are vectors.
        """
        end, longest = start + x.shape[1], len(self.vectors)
        if end > longest:
            raise UserError(
                f"found an utterance of {end} encoder frames, expected at most {longest}, for which positions were "
                "learned: set `longest`, take other `positions`, or filter by length"
            )
        return x + self.vectors[start:end]


def make_places(kind: str, longest: int, width: int) -> nn.Module:
    """What adds positions of one of KINDS to the blocks' input."""
    if kind == "learned":
        return Learned(longest, width)
    return Absolute() if kind == "absolute" else Unplaced()
