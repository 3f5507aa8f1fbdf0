"""Loading weights without silence: what a file lacks or has too much is said.

Stock ESPnet loads with `strict=False`; a file without decoder weights then gives a model that recognises
nothing, and no message.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.files import refuse_bomb


def read_weights(path: str | Path, device: str = "cpu") -> dict[str, torch.Tensor]:
    """The tensors of a .pth file, never unpickling code.

    Raises:
        UserError: if the file is missing, broken, or holds anything besides tensors and plain containers.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, expected a model's weights (.pth): train the model first"
        )
    try:
        refuse_bomb(path)
        state = torch.load(path, map_location=device, weights_only=True)
    except UserError:
        raise
    except Exception as error:  # torch.load fails in many ways on what is not its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path}: not a readable weights file ({reason}): fetch or train it again"
        ) from error
    if not isinstance(state, Mapping):
        raise UserError(
            f"{path}: found a {type(state).__name__}, expected named tensors (a state_dict)"
        )
    for wrapper in ("module", "model"):  # DeepSpeed's checkpoints, and our own training state
        if isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    return dict(state)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")


def load_weights(
    model: torch.nn.Module, path: str | Path, *, strict: bool = True, device: str = "cpu"
) -> tuple[list[str], list[str]]:
    """Load a .pth file into `model`.

    Args:
        model: receives the weights.
        path: the file, written by us or by stock ESPnet.
        strict: raise on a missing or unexpected name; otherwise say it in the log.
        device: where the tensors are first put.

    Returns:
        The names that the file lacks and those that the model does not know.

    Raises:
        UserError: on any difference when strict, and on a tensor of another shape always.
    """
    state = read_weights(path, device)
    own: dict[str, Any] = model.state_dict()
    shapes = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
        for name in state
        if name in own and state[name].shape != own[name].shape
    ]
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    differences = {"other shapes": shapes, "missing": missing, "not in the model": unexpected}
    problems = "; ".join(f"{what}: {_some(names)}" for what, names in differences.items() if names)
    if shapes or (strict and problems):
        raise UserError(
            f"{path} does not fit the model of its config.yaml; {problems}. "
            "Check that both come from the same training"
        )
    if problems:
        logging.warning("%s: %s", path, problems)
    model.load_state_dict(state, strict=False)
    return missing, unexpected
