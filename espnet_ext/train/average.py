"""The best epochs by a criterion, and the average of their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.train.checkpoint import save_tensors

Criterion = Sequence[str]


def best_epochs(history: list[dict[str, Any]], criterion: Criterion) -> list[int]:
    """Epochs, best first; of equals the earlier. One whose figure is not finite comes last.

    Args:
        history: the lines of metrics.jsonl.
        criterion: (split, name, "min" or "max"), e.g. ("valid", "acc", "max").

    Raises:
        UserError: if the model does not report such a figure.
    """
    split, name, mode = criterion
    values = {
        line["epoch"]: line[name] for line in history if line["split"] == split and name in line
    }
    if history and not values:
        known = sorted({key for line in history if line["split"] == split for key in line})
        raise UserError(
            f"best_model_criterion: {split}/{name} is not reported; there are {', '.join(known)}"
        )
    if mode not in ("min", "max"):
        raise UserError(
            f"best_model_criterion: found {mode!r}, expected min or max, e.g. [valid, loss, min]"
        )
    sign = 1 if mode == "min" else -1
    return sorted(values, key=lambda e: (not math.isfinite(values[e]), sign * values[e], e))


def _chosen(history: list[dict[str, Any]], config: dict[str, Any]) -> dict[str, list[str]]:
    """Final file -> the epochs' files that it is the average of, best first."""
    number, found = config["keep_nbest_models"], {}
    for split, name, mode in config["best_model_criterion"]:
        epochs = best_epochs(history, (split, name, mode))[:number]
        found[f"{split}.{name}.ave.pth"] = [f"{epoch}epoch.pth" for epoch in epochs]
        if config.get("ema") is not None and split == "valid":
            epochs = best_epochs(history, ("ema", name, mode))[:number]
            found[f"{split}.{name}.ema.pth"] = [f"{epoch}epoch.ema.pth" for epoch in epochs]
    return found


def _kept(history: list[dict[str, Any]], config: dict[str, Any]) -> set[str]:
    """Files of weights that are still wanted."""
    return {name for names in _chosen(history, config).values() for name in names}


def lost_epochs(folder: Path, history: list[dict[str, Any]], config: dict[str, Any]) -> list[int]:
    """Epochs that are wanted and whose weights are not there: another criterion or number let them go."""
    lost = {name for name in _kept(history, config) if not (folder / name).is_file()}
    return sorted({int(name.partition("epoch")[0]) for name in lost})


def forget_epochs(folder: Path, history: list[dict[str, Any]], config: dict[str, Any]) -> None:
    """Remove the weights of epochs that are not among the best so far."""
    kept = _kept(history, config)
    for line in history:
        for name in (f"{line['epoch']}epoch.pth", f"{line['epoch']}epoch.ema.pth"):
            if name not in kept:
                (folder / name).unlink(missing_ok=True)


def average(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Mean of weights, name by name; integers (counters of batches) are taken from the first file."""
    states = [torch.load(path, map_location="cpu", weights_only=True) for path in paths]
    return {
        name: torch.stack([s[name].double() for s in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }


def average_best(folder: Path, history: list[dict[str, Any]], config: dict[str, Any]) -> list[Path]:
    """Write `<split>.<name>.best.pth` and `<split>.<name>.ave.pth` for every criterion; the averages.

    With `ema:` also `valid.<name>.ema.pth`, the average of the best moving averages.

    Raises:
        UserError: if no epoch has been trained, or the weights of one of the best are not there.
    """
    if not history or config["keep_nbest_models"] < 1:
        raise UserError(
            f"{folder} holds no trained epoch; set max_epoch and keep_nbest_models to 1 or more"
        )
    lost = lost_epochs(folder, history, config)
    if lost:
        kept = sorted({int(name.partition("epoch")[0]) for name in _kept(history, config)})
        raise UserError(
            f"{folder}: found no {lost[0]}epoch.pth, expected the weights of all epochs to be averaged "
            f"({', '.join(map(str, kept))}): put it back, or train again with --anew"
        )
    found = []
    for name, files in _chosen(history, config).items():
        paths = [folder / file for file in files]
        save_tensors(folder / name, average(paths))
        if name.endswith(".ave.pth"):
            save_tensors(folder / name.replace(".ave.pth", ".best.pth"), average(paths[:1]))
            found.append(folder / name)
    return found
