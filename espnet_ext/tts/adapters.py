"""New voices for a trained model, by small layers that only they pass through (Houlsby et al. 2019).

A model that has learned many voices learns another from minutes of speech: all its weights stay as they are, and what
is learned is a vector for the voice and, behind each block, a bottleneck. What the other voices say does not change by
a bit. A new voice's number follows those of the known ones.
Letters in shapes: B batch, L tokens or frames, D width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.tts.blocks import Block
from espnet_ext.tts.contour import ResidualConvs
from espnet_ext.tts.inputs import known_numbers
from espnet_ext.tts.options import number
from espnet_ext.tts.statistics import Standardise
from espnet_ext.tts.voices import Who


@dataclass(frozen=True)
class AdapterOptions:
    """Adaptation to new voices.

    Attributes:
        width: of the bottlenecks.
        voices: how many new ones; they share the bottlenecks.
        like: number of the known voice from which they start, one that is like them at best.
    """

    width: int = number(32, 1)
    voices: int = number(1, 1)
    like: int = number(0, 0)


class Bottleneck(nn.Module):
    """x + up(SiLU(down(LayerNorm(x)))), which is x at first (paper, section 2.1)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm, self.down, self.up = (
            nn.LayerNorm(width),
            nn.Linear(width, inner),
            nn.Linear(inner, width),
        )
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        return x + self.up(F.silu(self.down(self.norm(x))))


class Adapters(nn.Module):
    """What new voices have of their own; everything else of the model is frozen.

    They are called by the model's parts, which do not know of them and keep the names of their weights: behind each
    block, before each predictor of pitch or energy.

    Args:
        model: whole; `voices` of it too.
        width: D of the model.
        known: voices that it has.
        options: see there.
    """

    def __init__(self, model: nn.Module, width: int, known: int, options: AdapterOptions) -> None:
        super().__init__()
        if options.like >= known:
            raise ValueError(
                f"adapters.like: found {options.like}, expected a known voice, 0 to {known - 1}"
            )
        model.requires_grad_(False)
        self.known, self.like = known, options.like
        self.total = known + options.voices
        self.own = nn.Parameter(torch.zeros(options.voices, width))
        self.parts = nn.ModuleDict()
        self._new: Tensor | None = None  # (B,), the new voices' rows of the present batch
        self._numbers: Tensor | None = None
        for name, part in model.named_modules():
            if isinstance(part, Standardise):
                part.most = 0  # a semitone stays what it was
            if isinstance(part, (Block, ResidualConvs)):
                self._attach(name.replace(".", "_"), part, options.width)

    def _attach(self, name: str, part: Block | ResidualConvs, width: int) -> None:
        if isinstance(part, Block):
            self.parts[name] = Bottleneck(part.norm1.normalized_shape[0], width)
            part.register_forward_hook(_Behind(self, name))
        else:
            self.parts[name] = Bottleneck(part.convs[0].in_channels, width)  # type: ignore[arg-type]
            part.register_forward_pre_hook(_Before(self, name))

    def listen(self, who: Who) -> Who:
        """Note which voices of a batch are new, and give them the vector of the one that they are like.

        Raises:
            UserError: for an unknown voice, and in training where nobody says which it is.
        """
        self._new = self._numbers = None
        if who.sids is None and not self.training:
            return who  # the one known voice; a model of several will say so
        numbers = known_numbers(who.sids, self.total, "sids")
        new = numbers >= self.known
        if self.training or bool(new.any()):
            self._new, self._numbers = new, (numbers - self.known).clamp(min=0)
        return replace(who, sids=torch.where(new, self.like, numbers))

    def colour(self, x: Tensor) -> Tensor:
        """Add the new voices' own vectors to encoded tokens (B, L, D)."""
        if self._new is None:
            return x
        return self._where_new(x + self.own[self._numbers][:, None], x)

    def adapt(self, name: str, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D), through a bottleneck where the voice is new."""
        return x if self._new is None else self._where_new(self.parts[name](x), x)

    def _where_new(self, changed: Tensor, x: Tensor) -> Tensor:
        assert self._new is not None
        return torch.where(self._new[:, None, None], changed, x)


class _Hook:
    """An object and no function, so that a copied model's part calls the copy's adapters."""

    def __init__(self, adapters: Adapters, name: str) -> None:
        self.adapters, self.name = adapters, name


class _Behind(_Hook):
    def __call__(self, part: nn.Module, given: tuple[Any, ...], found: Tensor) -> Tensor:
        return self.adapters.adapt(self.name, found)


class _Before(_Hook):
    def __call__(self, part: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.adapters.adapt(self.name, given[0]), *given[1:])
