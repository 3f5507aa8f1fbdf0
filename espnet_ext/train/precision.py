"""With how many bits a model computes: `precision:` of a YAML.

- fp32: all in 32 bits.
- tf32: fp32, but matrix products on a GPU with 10 bits of mantissa and sums in fp32, several times as fast on an A100
  or newer. The default; the same as fp32 on a CPU.
- bf16: matrix products and convolutions in bfloat16, with the range of fp32 and 7 bits; weights and sums stay fp32.
- fp16: the same in half precision, 10 bits. Small gradients would vanish, so the loss is scaled (Micikevicius et al.
  2018), and the scale is part of the checkpoint.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from espnet_ext.errors import UserError

KINDS = ("fp32", "tf32", "bf16", "fp16")
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def set_precision(device: str, precision: str = "tf32") -> None:
    """How products of 32-bit matrices are made on a GPU; CPUs compute as ever.

    Raises:
        UserError: for another word.
    """
    if precision not in KINDS:
        raise UserError(f"precision: found {precision!r}, expected one of {', '.join(KINDS)}")
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")


def computing(device: str, precision: str) -> AbstractContextManager[object]:
    """The block in which a model's forward pass takes fewer bits, if it is to."""
    if precision not in _HALF:
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=_HALF[precision])


def scaler(device: str, precision: str) -> torch.amp.GradScaler | None:
    """What keeps small gradients from vanishing in fp16; None where nothing vanishes."""
    if precision != "fp16":
        return None
    found = torch.amp.GradScaler(torch.device(device).type)
    found.scale(
        torch.zeros((), device=device)
    )  # a process may have no batch of its first update, and no loss to scale
    return found


#: Parts that compute features: ESPnet keeps them whole on a GPU, and its GlobalMVN takes on its input's kind of number.
_WHOLE = ("frontend", "normalize", "feats_extract", "pitch_extract", "energy_extract")


def keep_features_whole(model: torch.nn.Module, device: str, precision: str) -> None:
    """Have features computed in 32 bits, however few the rest takes."""
    if precision in _HALF:
        for name in _WHOLE:
            part = getattr(model, name, None)
            if part is not None:
                whole = torch.autocast(torch.device(device).type, enabled=False)
                part.forward = whole(part.forward)
