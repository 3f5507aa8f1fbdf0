"""Where a model runs."""

from __future__ import annotations

import os

import torch

from espnet_ext.errors import UserError


def choose_device(name: str | None, training: bool = False) -> str:
    """A device that is there.

    Args:
        name: "cpu", "cuda", "cuda:1", ...; None = "cuda" where there is one, else "cpu".
        training: one device trains; "cuda" among several that a job was given would leave the others idle.

    Raises:
        UserError: for a name that means no device, or a GPU that is not there.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device: found {name!r}, expected cpu, cuda, cuda:1 ...") from error
    if device.type == "cuda":
        _require_gpu(name, device.index)
        given = [n for n in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if n]
        if training and device.index is None and len(given) > 1:
            raise UserError(
                f"--device {name}: found {len(given)} GPUs (CUDA_VISIBLE_DEVICES={','.join(given)}), expected one, "
                "as training uses one: ask for gpu=1 (--gpu 1), or name one with --device cuda:0"
            )
    return name


def _require_gpu(name: str, index: int | None) -> None:
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number <= (index or 0):
        here = "no GPU" if number == 0 else f"{number} GPU{'s' * (number > 1)}"
        raise UserError(
            f"--device {name}: found {here} that torch can use, expected {'one' if not index else 'more'}: use the "
            "CPU (gpu=0 in the recipe, --device cpu), or run it on a machine with a GPU and its driver (nvidia-smi)"
        )
