"""What a recogniser calculates in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from espnet_ext.errors import UserError


def named_dtype(name: str) -> torch.dtype:
    """Raises UserError for a name that is none of those known."""
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise UserError(f"dtype: found {name!r}, expected {', '.join(known)}")
    return known[name]


def keep_features_exact(model: Any, device: str) -> None:
    """Keep a model's features in float32 when the rest of it is cast: their powers are beyond float16's range."""

    def outside(forward: Callable[..., Any], *given: Any) -> Any:
        with torch.autocast(device, enabled=False):
            return forward(*given)

    for part in (model.frontend, model.normalize):
        if part is not None:
            part.forward = partial(outside, part.forward)
