"""How training went: curves of a model's losses and learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_ext.report.curves import Points, chart
from espnet_ext.report.markup import esc, figure, missing
from espnet_ext.report.sources import read_history

_MEANINGS = {
    "acc": ("accuracy", "share of the next tokens guessed right"),
    "mel": ("spectrum loss", "distance of the predicted spectrum"),
}


def series(history: Sequence[dict[str, Any]], split: str, name: str) -> Points:
    """(epoch, value) of one quantity; epochs without it are left out."""
    lines = (line for line in history if line.get("split") == split)
    return [(line["epoch"], float(line[name])) for line in lines if line.get(name) is not None]


def training(title: str, model: Path | None) -> str:
    """Charts of one model, or a sentence that it was not trained.

    Args:
        title: what the model is, such as "Recogniser".
        model: exp/<model>, or None.
    """
    history = read_history(model)
    if not history:
        why = f"{model.name} has no metrics.jsonl" if model else "it was not trained"
        return missing(f"{title}: no training curves, {why}.")
    second = next((name for name in _MEANINGS if series(history, "valid", name)), None)
    charts = [chart("loss", _both(history, "loss"))]
    caption = "The loss is what training makes small, on its own data (train) and on data held out (valid)"
    if second:
        name, meaning = _MEANINGS[second]
        charts.append(chart(name, _both(history, second)))
        caption += f"; {name}: {meaning}"
    charts.append(chart("learning rate", {"train": series(history, "train", "lr")}))
    caption += "; the learning rate is the size of its steps."
    name = esc(model.name) if model else ""
    return f"<h3>{esc(title)} <code>{name}</code></h3>" + figure(
        f'<div class="charts">{"".join(charts)}</div>', caption
    )


def _both(history: Sequence[dict[str, Any]], name: str) -> dict[str, Points]:
    return {split: series(history, split, name) for split in ("train", "valid")}
