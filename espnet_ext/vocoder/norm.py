"""Weight and spectral normalisation under the names that public checkpoints have (weight_g, weight_v, weight_u)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch.nn import utils
from torch.nn.utils.spectral_norm import SpectralNorm

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


def normalised(spectral: bool) -> Callable[[Layer], Layer]:
    """Either of the two norms."""
    return spectral_norm if spectral else weight_norm


def estimate_spectra(model: nn.Module) -> None:
    """One power iteration of every spectral norm below, and no other until the layer's `train()` is called.

    So many an update are the paper's (algorithm 1); torch makes one every time a layer in training is used, which
    would be more often the more batches an update is made of.
    """
    for layer in model.modules():
        for hook in layer._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):
                with torch.no_grad():
                    hook.compute_weight(layer, do_power_iteration=True)
                layer.training = False  # which means nothing else to a convolution


def remove_weight_norm(model: nn.Module) -> None:
    """Put plain weights in place of every direction and length below; what the model computes stays."""
    for layer in model.modules():
        if hasattr(layer, "weight_g"):
            utils.remove_weight_norm(layer)
