"""What a WaveNet says of the next sample: classes of a mu-law, a mixture of logistics, or a Gaussian.

Each distribution has
    size                    numbers of the network's output that it takes,
    heard(wave)             the waveform as the network hears it and is asked for it,
    log_p(out, heard)       (B, size, T), (B, T) -> (B, T), log-likelihood of each sample in nats,
    draw(out, uniform)      (B, size), (B, 2) in (0, 1) -> (B,), the next sample as heard,
    waveform(heard)         back to a waveform.
Letters in shapes: B batch, T samples, K components.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.errors import UserError


class Distribution(Protocol):
    """See above."""

    size: int

    def heard(self, wave: Tensor) -> Tensor: ...
    def log_p(self, out: Tensor, heard: Tensor) -> Tensor: ...
    def draw(self, out: Tensor, uniform: Tensor) -> Tensor: ...
    def waveform(self, heard: Tensor) -> Tensor: ...


def _choice(logits: Tensor, uniform: Tensor) -> Tensor:
    """(B, K), (B,) -> (B,): the class at which the cumulative probability passes a number in (0, 1)."""
    reached = logits.softmax(1).cumsum(1) < uniform[:, None]
    return reached.sum(1).clamp(max=logits.shape[1] - 1)


class MuLaw:
    """Classes of the companded waveform (van den Oord et al. 2016, section 2.2).

    Args:
        size: number of classes.
    """

    def __init__(self, size: int = 256) -> None:
        self.size = size

    def heard(self, wave: Tensor) -> Tensor:
        """(..., T) -> the nearest class' companded value, in [-1, 1]."""
        mu = self.size - 1
        companded = wave.sign() * torch.log1p(mu * wave.abs().clamp(max=1)) / math.log1p(mu)
        return self._value(self._class(companded))

    def waveform(self, heard: Tensor) -> Tensor:
        """Expand."""
        mu = self.size - 1
        return heard.sign() * torch.expm1(heard.abs() * math.log1p(mu)) / mu

    def log_p(self, out: Tensor, heard: Tensor) -> Tensor:
        """Of a class."""
        shares = out.float().log_softmax(1)
        return shares.gather(1, self._class(heard)[:, None])[:, 0]

    def draw(self, out: Tensor, uniform: Tensor) -> Tensor:
        """A class' value."""
        return self._value(_choice(out, uniform[:, 0])).to(out.dtype)

    def _class(self, heard: Tensor) -> Tensor:
        return torch.round((heard + 1) / 2 * (self.size - 1)).long()

    def _value(self, number: Tensor) -> Tensor:
        return 2 * number / (self.size - 1) - 1


class Logistics:
    """A mixture of logistic distributions over the 65536 steps of 16 bits (Salimans et al. 2017, equation 2).

    Args:
        components: K.
    """

    def __init__(self, components: int = 10) -> None:
        self.size = 3 * components

    def heard(self, wave: Tensor) -> Tensor:
        """As it is."""
        return wave.clamp(-1, 1)

    def waveform(self, heard: Tensor) -> Tensor:
        """As it is."""
        return heard

    def log_p(self, out: Tensor, heard: Tensor) -> Tensor:
        """Of a step; the first and the last one take the tails."""
        logits, mean, log_scale = _bounded(out.float(), -14.0)
        half, x = 1 / 65535, heard[:, None].float()
        upper, lower = ((x + way * half - mean) / log_scale.exp() for way in (1, -1))
        share = torch.sigmoid(upper) - torch.sigmoid(lower)
        middle = (x - mean) / log_scale.exp()
        dense = (
            middle - log_scale - 2 * F.softplus(middle) + math.log(2 * half)
        )  # where a step is narrow
        inner = torch.where(share > 1e-5, share.clamp(min=1e-12).log(), dense)
        edges = torch.where(x <= half - 1, F.logsigmoid(upper), F.logsigmoid(-lower))
        inside = torch.where(x.abs() < 1 - half, inner, edges)
        return torch.logsumexp(logits.log_softmax(1) + inside, 1)

    def draw(self, out: Tensor, uniform: Tensor) -> Tensor:
        """A component, then its quantile."""
        logits, mean, log_scale = _bounded(out[..., None], -14.0)
        chosen = _choice(logits[..., 0], uniform[:, 0])[:, None]
        place, scale = (x[..., 0].gather(1, chosen)[:, 0] for x in (mean, log_scale.exp()))
        return (place + scale * torch.logit(uniform[:, 1])).clamp(-1, 1)


def _bounded(out: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 3 K, T) -> logits, means and logarithms of scales, (B, K, T) each."""
    logits, mean, log_scale = out.chunk(3, dim=1)
    return logits, mean, log_scale.clamp(min=least)


class Gaussian:
    """One normal distribution (ClariNet, Ping et al. 2019, section 3.1)."""

    size = 2
    least = -9.0  # of the logarithm of the deviation: about four steps of 16 bits

    def heard(self, wave: Tensor) -> Tensor:
        """As it is."""
        return wave

    def waveform(self, heard: Tensor) -> Tensor:
        """As it is."""
        return heard

    def log_p(self, out: Tensor, heard: Tensor) -> Tensor:
        """Of the density."""
        mean, log_std = out.float().unbind(1)
        log_std = log_std.clamp(min=self.least)
        deviation = (heard.float() - mean) / log_std.exp()
        return -0.5 * deviation.square() - log_std - 0.5 * math.log(2 * math.pi)

    def draw(self, out: Tensor, uniform: Tensor) -> Tensor:
        """Its quantile."""
        mean, log_std = out.unbind(1)
        normal = math.sqrt(2) * torch.erfinv(2 * uniform[:, 1] - 1)
        return (mean + log_std.clamp(min=self.least).exp() * normal).clamp(-1, 1)


def distribution(name: str, components: int, classes: int) -> Distribution:
    """By name: softmax, mixture or gaussian.

    Raises:
        UserError: for another one.
    """
    if name == "softmax":
        return MuLaw(classes)
    if name == "mixture":
        return Logistics(components)
    if name == "gaussian":
        return Gaussian()
    raise UserError(f"generator_conf: found output {name!r}, expected softmax, mixture or gaussian")
