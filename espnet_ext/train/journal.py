"""What happens within epochs: updates.jsonl, warnings about gradients, and other programs that draw curves.

`monitor_every: 200` of a YAML writes a line each 200 updates with the norm of the gradient of every group of modules;
`trackers: [tensorboard]` sends it and each epoch's figures to TensorBoard (mlflow, wandb: where they are installed).
"""

from __future__ import annotations

import json
import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.files import write_text
from espnet_ext.train.processes import ALONE, Processes

#: A group's gradient below this share of the whole one's is as good as none; a norm this many times the usual explodes.
VANISHED, EXPLODED = 1e-7, 100.0
_LOOKS = 3  # that a gradient has to be gone for
NAME = "updates.jsonl"


def group_of(name: str) -> str:
    """The group of modules that a parameter belongs to.

    >>> group_of("encoder.layers.11.attention.query.weight"), group_of("ctc.ctc_lo.weight")
    ('encoder.layers.11', 'ctc.ctc_lo')
    """
    parts = name.split(".")[:-1] or [name]
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1 if numbers else 2])


@torch.no_grad()
def gradient_norms(
    model: torch.nn.Module, scale: float = 1.0, processes: Processes = ALONE
) -> dict[str, float]:
    """The norm of the gradient of each group that has one, divided by the scale of the loss.

    Args:
        model: after the backward pass.
        scale: of the loss.
        processes: who has the other parts of a model that is spread (`fsdp: true`); all of them ask.
    """
    squares: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            own: Any = parameter.grad
            own = own.to_local() if hasattr(own, "to_local") else own
            group = group_of(name)
            squares[group] = squares.get(group, 0) + own.float().square().sum()
    processes.sum_tensors(list(squares.values()) if processes.size > 1 else [])
    return {name: math.sqrt(float(square)) / scale for name, square in squares.items()}


class Watch:
    """Says once of a group that its gradient vanishes, and of the whole when it explodes."""

    def __init__(self) -> None:
        self.gone: dict[str, int] = {}
        self.usual: list[float] = []

    def look(self, norms: Mapping[str, float], update: int) -> None:
        """Take in the norms of an update."""
        whole = math.sqrt(sum(norm**2 for norm in norms.values()))
        if not math.isfinite(whole) or not whole:
            return  # the step itself says so; nothing at all comes of discriminators that have not begun
        for name, norm in norms.items():
            self.gone[name] = self.gone.get(name, 0) + 1 if norm <= VANISHED * whole else 0
            if self.gone[name] == _LOOKS:
                logging.warning(
                    "update %d: the gradient of %s has vanished (%.2g of %.2g): is it connected to the loss, its "
                    "input normalised, its activation saturated?",
                    update, name, norm, whole,
                )  # fmt: skip
        if len(self.usual) >= _LOOKS and whole > EXPLODED * statistics.median(self.usual):
            largest = max(norms, key=lambda name: norms[name])
            logging.warning(
                "update %d: the gradient has exploded (%.2g, usually %.2g), most in %s: lower optim_conf.lr, or warm "
                "up longer; grad_clip keeps it from doing harm",
                update, whole, statistics.median(self.usual), largest,
            )  # fmt: skip
        self.usual = [*self.usual, whole][-20:]


class Journal:
    """Writes what happens; of several processes only the first one has one that does.

    Args:
        folder: of the experiment.
        config: the whole configuration.
        writes: whether this process writes.
        together: whether all look at gradients, as each has a part of them (`fsdp: true`).
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        writes: bool = True,
        together: bool = False,
    ) -> None:
        self.folder, self.config, self.writes, self.together = folder, config, writes, together
        self.watch, self.trackers = Watch(), list[Any]()

    def due(self, update: int) -> bool:
        """Whether this update's gradients are to be looked at."""
        every = self.config["monitor_every"]
        return bool((self.writes or self.together) and every and update % every == 0)

    def open(self, updates: int) -> None:
        """Begin, or go on after `updates`: what was written of later ones is written again."""
        if not self.writes:
            return
        path = self.folder / NAME
        if path.is_file():
            lines = path.read_text("utf-8").splitlines()
            kept = [line for line in lines if _number(line) <= updates]
            write_text(path, "".join(f"{line}\n" for line in kept))
        self.trackers = [
            make_tracker(name, self.folder, updates) for name in self.config["trackers"]
        ]

    def update(self, number: int, norms: Mapping[str, float], **figures: float) -> None:
        """Note an update that was `due`."""
        if not self.writes:
            return
        self.watch.look(norms, number)
        rounded = {name: float(f"{norm:.4g}") for name, norm in norms.items()}
        line = {"update": number, **figures, "gradient": rounded}
        with open(self.folder / NAME, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        shown = {f"train/{name}": value for name, value in figures.items()}
        self._track({**shown, **{f"gradient/{n}": x for n, x in norms.items()}}, number)

    def epoch(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Note the lines that metrics.jsonl has of an epoch."""
        for line in lines:
            figures = {f"{line['split']}/{k}": v for k, v in line.items() if isinstance(v, float)}
            self._track(figures, line["updates"])

    def _track(self, figures: Mapping[str, float], update: int) -> None:
        found = {name: value for name, value in figures.items() if math.isfinite(value)}
        for tracker in self.trackers:
            tracker(found, update)


def _number(line: str) -> float:
    """The update of a line; of half a line, from a process killed while it wrote, none."""
    try:
        return float(json.loads(line)["update"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def make_tracker(name: str, folder: Path, updates: int) -> Any:
    """A function of (figures by name, update).

    Raises:
        UserError: for one that is not known or not installed.
    """
    makers = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
    if name not in makers:
        raise UserError(f"trackers: found {name!r}, expected {', '.join(makers)}")
    try:
        return makers[name](folder, updates)
    except ImportError as error:
        raise UserError(
            f"trackers: {name} is not installed ({error}): pip install {name}, or leave it out"
        ) from error


def _tensorboard(folder: Path, updates: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=updates + 1)

    def track(figures: Mapping[str, float], update: int) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, update)
        writer.flush()

    return track


def _mlflow(folder: Path, updates: int) -> Any:
    mlflow = import_module("mlflow")
    mlflow.set_experiment(folder.name)
    if mlflow.active_run() is None:
        mlflow.start_run(run_name=str(folder))
    return lambda figures, update: mlflow.log_metrics(dict(figures), step=update)


def _wandb(folder: Path, updates: int) -> Any:
    wandb = import_module("wandb")
    run = wandb.init(project="espnet_ext", name=str(folder), id=folder.name, resume="allow")
    return lambda figures, update: run.log(dict(figures), step=update)
