"""Guided attention: a text is spoken from its beginning to its end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espnet_ext.errors import UserError


def penalties(tokens: Tensor, frames: Tensor, sigma: float) -> Tensor:
    """(N,) and (N,) -> (N, L, T), 1 - exp(-(l/L_n - t/T_n)^2 / (2 sigma^2)), 0 outside an utterance.

    (Tachibana et al. 2017, section 3.2.)
    """
    line, column = (torch.arange(int(n.max()), device=n.device) for n in (tokens, frames))
    across = line[:, None] / tokens[:, None, None] - column / frames[:, None, None]
    inside = (line[:, None] < tokens[:, None, None]) & (column < frames[:, None, None])
    return (1 - torch.exp(-across.square() / (2 * sigma**2))) * inside


@dataclass(frozen=True)
class GuidedAttention:
    """How attention over the input is led along the diagonal.

    Attributes:
        sigma: width of the way, as a share of the utterance.
        layers: the last ones of the decoder, that many, are led.
        heads: of each of those layers the first ones are; the others look where they like.
    """

    sigma: float = 0.4
    layers: int = 2
    heads: int = 2

    def __call__(self, attention: list[Tensor], tokens: Tensor, frames: Tensor) -> Tensor:
        """Mean penalty of the attention's weights, between 0 and 1.

        Args:
            attention: of each layer, (N, H, L, T); what a decoder says is longer than the text by <eos>.
            tokens: (N,), with <eos>.
            frames: (N,).

        Returns:
            A scalar: sum of weight x penalty over cells, divided by the number of tokens (the weights of a token add
            up to 1), mean over heads and layers.
        """
        wall = penalties(tokens, frames, self.sigma)[:, None]
        led = [layer[:, : self.heads] for layer in attention[-self.layers :]]
        return torch.stack([(w * wall).sum() / (tokens.sum() * w.shape[1]) for w in led]).mean()


def cross_attention(decoder: nn.Module) -> list[Tensor]:
    """What the layers of a Transformer decoder looked at in its last forward, (N, H, L, T) each.

    They are ESPnet's attention modules called `src_attn`, or ours; ours keep weights when asked to. The modules let
    go of them: a model that holds a part of a graph can be neither copied nor saved.

    Raises:
        UserError: for a decoder without such modules, e.g. a recurrent one.
    """
    modules = [m for name, m in decoder.named_modules() if name.endswith("src_attn")]
    found = [m.attn for m in modules if isinstance(getattr(m, "attn", None), Tensor)]
    if not found:
        raise UserError(
            "guided_attention_weight: the decoder shows no attention; expected decoder: transformer or "
            "espnet_ext.asr.decoder:CachedTransformerDecoder"
        )
    for module in modules:
        module.attn = None
    return found
