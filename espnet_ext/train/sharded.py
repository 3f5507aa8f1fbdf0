"""Models that are too large for one device: `fsdp: true` spreads weights, gradients and optimiser over the processes.

Fully sharded data parallelism (Zhao et al. 2023) as torch has it: a block's weights come together only while it
computes. Checkpoints and epochs' weights are those of a model that is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.train.lora import merged_state
from espnet_ext.train.optimise import Optimiser

State = dict[str, Any]


class Whole:
    """How the state of a model is taken and given that every process has whole."""

    def weights(self, model: torch.nn.Module) -> State:
        """What a checkpoint keeps."""
        return model.state_dict()

    def final(self, model: torch.nn.Module) -> State:
        """What everything loads."""
        return merged_state(model)

    def load(self, model: torch.nn.Module, state: Mapping[str, Any]) -> None:
        """Give back what `weights` took."""
        model.load_state_dict(state)

    def optimiser(self, model: torch.nn.Module, optimiser: Optimiser) -> State:
        """An optimiser's state."""
        return optimiser.state_dict()

    def load_optimiser(
        self, model: torch.nn.Module, optimiser: Optimiser, state: Mapping[str, Any]
    ) -> None:
        """Give back what `optimiser` took."""
        optimiser.load_state_dict(dict(state))


class Sharded(Whole):
    """The same of a model that is spread; every process calls each, only the first one is given states."""

    def weights(self, model: torch.nn.Module) -> State:
        from torch.distributed.checkpoint.state_dict import get_model_state_dict

        return get_model_state_dict(model, options=_options())

    def final(self, model: torch.nn.Module) -> State:
        return self.weights(model)

    def load(self, model: torch.nn.Module, state: Mapping[str, Any]) -> None:
        from torch.distributed.checkpoint.state_dict import set_model_state_dict

        set_model_state_dict(model, dict(state), options=_options())

    def optimiser(self, model: torch.nn.Module, optimiser: Optimiser) -> State:
        from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

        found = get_optimizer_state_dict(model, optimiser.optim, options=_options())
        scheduler = None if optimiser.scheduler is None else optimiser.scheduler.state_dict()
        return {"optim": found, "scheduler": scheduler}

    def load_optimiser(
        self, model: torch.nn.Module, optimiser: Optimiser, state: Mapping[str, Any]
    ) -> None:
        from torch.distributed.checkpoint.state_dict import set_optimizer_state_dict

        set_optimizer_state_dict(model, optimiser.optim, dict(state["optim"]), options=_options())
        if optimiser.scheduler is not None:
            optimiser.scheduler.load_state_dict(state["scheduler"])


def _options() -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(full_state_dict=True, cpu_offload=True)


#: What modules call the chance of a batch to go past some of their weights: the other processes would wait there.
_LOTS = ("layer_drop", "layer_drop_rate", "stochastic_depth_rate", "bypass")


def check(config: Mapping[str, Any], task: str, model: torch.nn.Module) -> None:
    """What does not go together with `fsdp: true`.

    Raises:
        UserError: naming it.
    """
    others = [name for name in ("ema", "lora", "phases") if config[name]]
    others += ["precision: fp16 (bf16 does)"] if config["precision"] == "fp16" else []
    others += ["a GAN"] if task in ("gan_tts", "vocoder") else []
    others += _lots(model)
    if others:
        raise UserError(f"fsdp: found {', '.join(others)} beside it, expected fsdp alone: drop one")


def _lots(model: torch.nn.Module) -> list[str]:
    """Options, by the part of the model that has them, which leave out weights by lot."""
    found = {}
    for name, module in model.named_modules():
        part = name.partition(".")[0]
        for lot in _LOTS:
            chance = getattr(module, lot, 0)
            if isinstance(chance, (int, float)) and chance > 0:
                found[f"{part}_conf: {lot}"] = chance
    return [f"{option}: {chance:g}" for option, chance in found.items()]


def shard(model: torch.nn.Module, device: str, size: int) -> None:
    """Spread a model over all processes: each block of its stacks of layers, and the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(torch.device(device).type, (size,))
    for block in _blocks(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def _blocks(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Layers of stacks, outermost only."""
    found: list[torch.nn.Module] = []
    inside: set[int] = set()
    for module in model.modules():
        stack = isinstance(module, (torch.nn.ModuleList, torch.nn.Sequential))
        if stack and id(module) not in inside:
            for child in module.children():
                if any(True for _ in child.parameters()):
                    found.append(child)
                inside.update(id(part) for part in child.modules())
    return found
