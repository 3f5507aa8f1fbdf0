"""Weight and spectral normalisation under the names that public checkpoints have (weight_g, weight_v, weight_u)."""

from __future__ import annotations

import warnings
from typing import TypeVar

from torch import nn
from torch.nn import utils

Layer = TypeVar("Layer", bound=nn.Module)


def weight_norm(layer: Layer) -> Layer:
    """The layer with its weight as direction and length (Salimans and Kingma 2016).

    The newer torch.nn.utils.parametrizations says `parametrizations.weight.original0`, which no public checkpoint does.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        utils.weight_norm(layer)
    return layer


def spectral_norm(layer: Layer) -> Layer:
    """The layer with its weight divided by its largest singular value (Miyato et al. 2018)."""
    utils.spectral_norm(layer)
    return layer


def remove_weight_norm(model: nn.Module) -> None:
    """Put plain weights in place of every direction and length below; what the model computes stays."""
    for layer in model.modules():
        if hasattr(layer, "weight_g"):
            utils.remove_weight_norm(layer)
