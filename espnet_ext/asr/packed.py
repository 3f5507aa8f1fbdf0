"""Linear layers and convolutions as a CPU likes them: weights in oneDNN's own order, packed once.

Torch takes float32 products through MKL, which on processors of AMD reaches half of what oneDNN does (measured: 2.2
times on an EPYC with AVX-512), and puts a convolution's weights in order anew in every call. The packed operation is
that of torch's own compiler; where a torch has it not, or it gives something else, layers stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: rows that weights are packed for; others are as right
ROWS = 256
#: a smaller matrix is not worth it
LEAST = 64 * 64


def pack(model: nn.Module) -> nn.Module:
    """Make a model's layers fast for inference on the CPU; their weights must not change afterwards.

    Where a gradient is wanted, or a graph is traced, they compute as before.
    """
    if _works():
        for layer in model.modules():
            packed = _packed(layer)
            if packed is not None:
                layer.forward = packed  # type: ignore[method-assign]
    return model


def product(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor] | None:
    """x (..., I) -> x W^T + b, fast, without gradients; None where the plain product is as fast or the only one.

    Args:
        weight: (O, I), which must not change afterwards; bias: (O,).
    """
    if not _worth_it(weight) or not _works():
        return None
    return functools.partial(_product, _linear_weight(weight), bias)


def _worth_it(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() >= LEAST


@functools.cache
def _works() -> bool:
    """Whether this torch has the operation, and it computes what it should."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    x, linear, conv = drawn(2, 7, 32), drawn(48, 32), drawn(48, 32, 3)
    try:
        with torch.inference_mode():
            products = _linear(linear, None, x), _conv(conv, None, 1, 1, x.transpose(1, 2))
            wanted = F.linear(x, linear), F.conv1d(x.transpose(1, 2), conv, padding=1)
        pairs = zip(products, wanted, strict=True)
        return all(torch.allclose(found, right, atol=1e-3) for found, right in pairs)
    except (RuntimeError, AttributeError):  # what torch does without oneDNN
        return False


def _linear(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return _product(_linear_weight(weight), bias, x)


def _linear_weight(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), ROWS)


def _product(packed: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """(..., I) -> (..., O)."""
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def _conv(weight: Tensor, bias: Tensor | None, padding: int, dilation: int, x: Tensor) -> Tensor:
    packed = _linear_weight(_as_matrix(weight))
    return _convolved(packed, bias, weight.shape[2], padding, dilation, x)


def _as_matrix(weight: Tensor) -> Tensor:
    """(O, I, K) -> (O, K * I)."""
    return weight.detach().transpose(1, 2).flatten(1)


def _convolved(
    packed: Tensor, bias: Tensor | None, kernel: int, padding: int, dilation: int, x: Tensor
) -> Tensor:
    """(B, I, L) -> (B, O, L'): a product of what each frame sees.

    oneDNN's packed convolution is a hundred times slower on lengths that its weights were not packed for.
    """
    frames = F.pad(x.transpose(1, 2), (0, 0, padding, padding)) if padding else x.transpose(1, 2)
    length = frames.shape[1] - (kernel - 1) * dilation
    seen = [frames[:, at : at + length] for at in range(0, kernel * dilation, dilation)]
    return _product(packed, bias, torch.cat(seen, -1) if kernel > 1 else frames).transpose(1, 2)


def _packed(layer: nn.Module) -> Any:
    """The `forward` of a layer with packed weights; None for one that stays as it is."""
    weight = layer._parameters.get("weight")  # a normalised one is no parameter
    if weight is None or not _worth_it(weight):
        return None
    if type(layer) is nn.Linear:
        return _forward(layer, functools.partial(_product, _linear_weight(weight), layer.bias))
    if type(layer) is nn.Conv1d and _plain(layer):
        sizes = int(layer.padding[0]), layer.dilation[0]
        packed = _linear_weight(_as_matrix(weight))
        kernel = layer.kernel_size[0]
        return _forward(layer, functools.partial(_convolved, packed, layer.bias, kernel, *sizes))
    return None


def _plain(layer: nn.Conv1d) -> bool:
    """Whether it is a convolution of all channels, frame by frame, with a size of padding in numbers."""
    return (
        layer.groups == 1
        and layer.stride[0] == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def _forward(layer: nn.Module, fast: Any) -> Any:
    plain, least = type(layer).forward, 3 if type(layer) is nn.Conv1d else 1

    def forward(x: Tensor) -> Tensor:
        alone = not torch.is_grad_enabled() and not torch.jit.is_tracing()
        if alone and x.dtype == torch.float32 and x.device.type == "cpu" and x.dim() >= least:
            return fast(x)
        found: Tensor = plain(layer, x)
        return found

    return forward
