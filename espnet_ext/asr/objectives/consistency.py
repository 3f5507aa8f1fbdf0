"""Two copies of a batch that must come to the same opinion: CR-CTC and R-Drop.

Letters in shapes: B utterances, N = 2 B rows (the first copies, then the second ones in the same order),
T frames, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def divergence(log_probs: Tensor, mask: Tensor, stop_target: bool) -> Tensor:
    """Symmetric Kullback-Leibler divergence between the two copies, summed over a sequence, mean over utterances.

    (1/2) sum_t [KL(b_t || a_t) + KL(a_t || b_t)] of utterances whose copies say a and b.

    Args:
        log_probs: (N, T, V), log-probabilities.
        mask: (N, T), true where there is something to compare.
        stop_target: no gradient into the first argument of each KL, as in CR-CTC (Yao et al. 2024, eq. 4); with it
            into both, as in R-Drop (Liang et al. 2021, eq. 2).

    Returns:
        A scalar.
    """
    target = torch.roll(log_probs, log_probs.shape[0] // 2, dims=0)
    target = target.detach() if stop_target else target
    apart = F.kl_div(log_probs, target, reduction="none", log_target=True).sum(dim=-1)
    return apart.masked_fill(~mask, 0.0).sum() / log_probs.shape[0]


class SharedWarp(nn.Module):
    """A time warp that bends both copies of an utterance alike, so that their frames stay comparable.

    Args:
        warp: SpecAugment's own, called with (x, lengths).
    """

    def __init__(self, warp: nn.Module) -> None:
        super().__init__()
        self.warp, self.shared = warp, False

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(N, T, F) and (N,) -> the same shapes."""
        if not self.shared:
            return self.warp(x, lengths)
        half = x.shape[0] // 2
        bent, _ = self.warp(x[:half], None if lengths is None else lengths[:half])
        return torch.cat((bent, bent)), lengths


def share_warps(specaug: nn.Module | None) -> list[SharedWarp]:
    """Put a SharedWarp around each `time_warp` in a SpecAugment (it has no weights of its own)."""
    found = []
    for module in list(specaug.modules()) if specaug is not None else []:
        warp = getattr(module, "time_warp", None)
        if isinstance(warp, nn.Module):
            found.append(SharedWarp(warp))
            module.time_warp = found[-1]
    return found


@contextmanager
def shared(warps: list[SharedWarp]) -> Iterator[None]:
    """Within the block `warps` treat two copies alike."""
    for warp in warps:
        warp.shared = True
    try:
        yield
    finally:
        for warp in warps:
            warp.shared = False


def twice(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Each (B, ...) -> (2 B, ...), the copies behind the originals."""
    return tuple(torch.cat((tensor, tensor)) for tensor in tensors)
