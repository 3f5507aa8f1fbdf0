"""Optimisers and learning-rate schedules from a configuration."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import torch

from espnet_ext.bridge.choices import find_class, meant
from espnet_ext.bridge.imports import prepare
from espnet_ext.errors import UserError
from espnet_ext.train.precision import scaler


class Optimiser:
    """An optimiser with its schedule and gradient clipping: everything that one `update` does.

    Args:
        parameters: what it trains.
        config: the whole configuration.
        suffix: "" for `optim` and `scheduler`, "2" for `optim2` and `scheduler2`.
        spared: ids of parameters that do not decay (`weight_decay_groups: true`).
        device: where the parameters are, for the scaling of fp16.

    Attributes:
        factor: a phase of the training multiplies the schedule's learning rate by it.

    Raises:
        UserError: if the class does not take its `_conf`.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        config: dict[str, Any],
        suffix: str = "",
        spared: Collection[int] = (),
        device: str = "cpu",
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        # ESPnet's configurations say -1 for no clipping; torch would turn the gradient around
        self.clip = (
            float(config["grad_clip"])
            if config["grad_clip"] and config["grad_clip"] > 0
            else math.inf
        )
        self.optim = _make("optim", suffix, config, _groups(self.parameters, spared))
        self.scaler = scaler(device, config["precision"])
        self.factor = 1.0
        self.scheduler = None
        self.each_update = False
        if config[f"scheduler{suffix}"] is not None:
            self.scheduler = _make("scheduler", suffix, config, self.optim)
            self.each_update = _is_batch_scheduler(self.scheduler)

    @property
    def lr(self) -> float:
        """Learning rate of the first parameter group."""
        return float(self.optim.param_groups[0]["lr"]) * self.factor

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        """Parameters that a phase has not frozen."""
        return [p for p in self.parameters if p.requires_grad]

    def backward(self, loss: torch.Tensor) -> None:
        """Add the loss' gradients to those that are there; to no other parameter's."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward(inputs=self.trained)

    def update(self) -> float | None:
        """One update from the gradients at hand; the gradient's norm, or None if it was not finite (no update)."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optim)
        found = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        # of a model that is spread over processes each has a part
        norm = float(found.full_tensor() if hasattr(found, "full_tensor") else found)
        finite = math.isfinite(norm)
        if finite:
            self._step()
            if self.each_update and not self._schedule_is_over():
                self.scheduler.step()  # type: ignore[union-attr]
        if self.scaler is not None:
            self.scaler.update()
        self.zero_grad()
        return norm if finite else None

    @property
    def searching(self) -> bool:
        """Whether a gradient that is not finite may come from fp16's scale, which the next updates lower."""
        return self.scaler is not None and self.scaler.get_scale() > 1

    def _step(self) -> None:
        rates = [group["lr"] for group in self.optim.param_groups]
        for group in self.optim.param_groups:
            group["lr"] = group["lr"] * self.factor
        self.optim.step()
        for group, rate in zip(self.optim.param_groups, rates, strict=True):
            group["lr"] = rate

    def _schedule_is_over(self) -> bool:
        """OneCycleLR fails past its `total_steps`; training goes on at the rate it ended with."""
        total = getattr(self.scheduler, "total_steps", None)
        return total is not None and self.scheduler.last_epoch >= total - 1  # type: ignore[union-attr]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.optim.zero_grad(set_to_none=True)

    def end_epoch(self, criterion: float) -> None:
        """Step a schedule that goes by epochs; ReduceLROnPlateau looks at the validation loss."""
        if self.scheduler is None or self.each_update:
            return
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(criterion)
        else:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        state = {
            "optim": self.optim.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
        }
        return state if self.scaler is None else {**state, "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.optim.load_state_dict(state["optim"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])


def without_decay(model: torch.nn.Module) -> set[int]:
    """Ids of the parameters that weight decay would only harm: biases, scales of norms, embeddings."""
    embeddings = {
        id(p)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
        for p in module.parameters(recurse=False)
    }
    return embeddings | {id(p) for p in model.parameters() if p.dim() < 2}


def _groups(parameters: list[torch.nn.Parameter], spared: Collection[int]) -> list[Any]:
    """Parameters as an optimiser takes them: those that decay, and those that do not."""
    if not spared:
        return parameters
    decaying = [p for p in parameters if id(p) not in spared]
    rest = [p for p in parameters if id(p) in spared]
    return [{"params": decaying}, {"params": rest, "weight_decay": 0.0}]


def _make(kind: str, suffix: str, config: dict[str, Any], first: Any) -> Any:
    name, conf = config[kind + suffix], config[f"{kind}{suffix}_conf"]
    cls = find_class("abs_task", kind, name)
    try:
        return cls(first, **conf)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{kind}{suffix}_conf {conf} does not fit {kind}{suffix}: {name} ({error}){meant(cls, error)}"
        ) from error


def _is_batch_scheduler(scheduler: Any) -> bool:
    """Whether ESPnet would step this schedule after every update."""
    prepare()
    from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler

    return isinstance(scheduler, AbsBatchStepScheduler)
