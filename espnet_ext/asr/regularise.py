"""Penalties that keep the singular values of weight matrices small.

Both are means over the matrices W_1 ... W_M of a module: the weights of its linear layers and convolutions, those
flattened to outputs x everything else. They are of the order of 1 for freshly made layers of any size.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def matrices(module: nn.Module) -> Iterator[Tensor]:
    """The weights that learn, one matrix a layer. Depthwise filters are not matrices and are left out."""
    for layer in module.modules():
        if not isinstance(layer, _LAYERS) or not layer.weight.requires_grad:
            continue
        if getattr(layer, "groups", 1) == 1:
            yield layer.weight.flatten(1)


def frobenius(module: nn.Module) -> Tensor:
    """Mean square of all singular values: 1/M sum_i |W_i|_F^2 / min(rows_i, columns_i), a scalar.

    Its gradient by W_i is 2 W_i / (M min(rows_i, columns_i)).

    Raises:
        ValueError: for a module without layers that learn.
    """
    return _mean([w.square().sum() / min(w.shape) for w in matrices(module)])


def spectral(module: nn.Module, iterations: int = 5) -> Tensor:
    """Mean square of the largest singular values: 1/M sum_i sigma(W_i)^2, a scalar (Yoshida & Miyato 2017).

    sigma = u' W v with vectors found by power iteration, which carry no gradient; that of the result by W_i is
    2 sigma_i u_i v_i' / M. The start is the same at each call, so that nothing has to be remembered.

    Args:
        module: whatever has layers.
        iterations: of the power method. Few are enough where few singular values are large, which are those to be
            held down; the estimate is never too large.

    Raises:
        ValueError: for a module without layers that learn.
    """
    return _mean([_largest(w, iterations).square() for w in matrices(module)])


def _largest(matrix: Tensor, iterations: int) -> Tensor:
    """An estimate of the largest singular value of (rows, columns)."""
    with torch.no_grad():
        fixed = torch.Generator().manual_seed(0)
        v = torch.randn(matrix.shape[1], generator=fixed).to(matrix)
        for _ in range(iterations):
            u = nn.functional.normalize(matrix @ v, dim=0)
            v = nn.functional.normalize(matrix.T @ u, dim=0)
        u = nn.functional.normalize(matrix @ v, dim=0)
    return u @ matrix @ v


def _mean(penalties: list[Tensor]) -> Tensor:
    if not penalties:
        raise ValueError("found no linear or convolutional layer that learns, expected one or more")
    return torch.stack(penalties).mean()
