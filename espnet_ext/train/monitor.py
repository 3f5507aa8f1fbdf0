"""Averages of what a model reports, and the file that the report reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from espnet_ext.files import write_text


class Averages:
    """Weighted means of a model's `stats` over an epoch; plain numbers, so that a checkpoint can hold them."""

    def __init__(self, sums: Mapping[str, list[float]] | None = None) -> None:
        self.sums: dict[str, list[float]] = {k: list(v) for k, v in (sums or {}).items()}

    def add(self, stats: Mapping[str, Any], weight: float) -> None:
        """Add one batch; a value that is None (a loss that this batch does not have) is left out."""
        for name, value in stats.items():
            if value is not None:
                total = self.sums.setdefault(name, [0.0, 0.0])
                total[0] += float(value) * weight
                total[1] += weight

    def means(self) -> dict[str, float]:
        """Name -> weighted mean."""
        return {name: total / weight for name, (total, weight) in self.sums.items() if weight}


def merged(shares: Sequence[Mapping[str, list[float]]]) -> dict[str, list[float]]:
    """The `sums` of several processes as one."""
    found: dict[str, list[float]] = {}
    for share in shares:
        for name, (total, weight) in share.items():
            sums = found.setdefault(name, [0.0, 0.0])
            sums[0] += total
            sums[1] += weight
    return found


def record(
    epoch: int, updates: int, split: str, means: Mapping[str, float], **more: Any
) -> dict[str, Any]:
    """One line of metrics.jsonl."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"epoch": epoch, "updates": updates, "split": split, **means, **more, "time": now}


def write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """Write metrics.jsonl anew, so that after a resumed run it holds each epoch once.

    A figure that is not finite is left out of its line: JSON has no NaN.
    """
    lines = [
        {k: v for k, v in line.items() if not isinstance(v, float) or math.isfinite(v)}
        for line in history
    ]
    write_text(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
