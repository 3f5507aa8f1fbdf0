"""Low-rank adaptation: fine-tune a model by small matrices beside its frozen ones (LoRA, Hu et al. 2021).

In a YAML: `lora: {rank: 8, alpha: 16, targets: ["encoder.*"], train: ["ctc"]}`. What training leaves has the model's
own names, with the adaptation added in, so everything loads it that loads the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from espnet_ext.train.config import check_keys
from espnet_ext.train.initial import check_patterns, matches
from espnet_ext.train.values import NAMES, check_values, numeric, whole

_DEFAULTS = {"rank": 8, "alpha": 16.0, "targets": ["*"], "train": []}
_KINDS = {
    "rank": whole(1),
    "alpha": numeric("a number above 0", lambda x: x > 0),
    "targets": NAMES,
    "train": NAMES,
}
_INSIDE = "parametrizations.weight."


class LowRank(nn.Module):
    """Makes of a weight W the weight W + (alpha / rank) U D; U begins at 0 (eq. 3).

    A parametrisation and not a layer of another kind, for some attention reads the weights of its layers itself.

    Args:
        weight: W, (out, in).
        rank: columns of U, rows of D.
        alpha: scale of the adaptation.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        self.up = nn.Parameter(weight.new_zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in) -> (out, in)."""
        return weight + self.scale * self.up @ self.down


def add_lora(model: nn.Module, conf: Mapping[str, Any] | None) -> int:
    """Put adaptation beside linear layers and freeze the rest; how many layers.

    Raises:
        UserError: if the configuration is wrong or names no layer.
    """
    if not conf:
        return 0
    check_keys(conf, _DEFAULTS, "lora")
    given = {**_DEFAULTS, **conf}
    check_values(given, _KINDS, "lora")
    chosen = [
        (name, module)
        for name, module in model.named_modules()
        if type(module) is nn.Linear and matches(name, given["targets"])
    ]
    linear = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    check_patterns(given["targets"], linear, "lora: targets", "linear layer")
    check_patterns(given["train"], [name for name, _ in model.named_parameters()], "lora: train")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(matches(name, given["train"]))
    for _, module in chosen:
        adapted = LowRank(module.weight, given["rank"], given["alpha"])
        parametrize.register_parametrization(module, "weight", adapted)
    return len(chosen)


def _adapted(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules with adaptation, by the beginning of their parameters' names."""
    return [
        (f"{name}." if name else "", module)
        for name, module in model.named_modules()
        if parametrize.is_parametrized(module, "weight")
        and any(isinstance(part, LowRank) for part in module.parametrizations["weight"])  # type: ignore[index, union-attr]
    ]


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's weights with all adaptation added in, under the names of a model without it."""
    state = dict(model.state_dict())
    for stem, module in _adapted(model):
        for name in [n for n in state if n.startswith(stem + _INSIDE)]:
            del state[name]
        state[f"{stem}weight"] = module.weight.detach()  # type: ignore[union-attr, operator]
    return state


def load_merged(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give `model` weights that `merged_state` has made; its adaptation becomes nothing."""
    given = dict(state)
    for stem, module in _adapted(model):
        low: Any = module.parametrizations["weight"][0]  # type: ignore[index, union-attr]
        given[f"{stem}{_INSIDE}original"] = given.pop(f"{stem}weight")
        given[f"{stem}{_INSIDE}0.down"] = low.down
        given[f"{stem}{_INSIDE}0.up"] = torch.zeros_like(low.up)
    model.load_state_dict(given)
