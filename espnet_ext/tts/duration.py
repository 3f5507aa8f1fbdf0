"""How long each token lasts.

Letters in shapes: B batch, N tokens, D width. Durations are counted in frames and learned as log(1 + frames).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.tts.blocks import Block
from espnet_ext.tts.flow_matching import TimeEmbedding, flow_loss, noise_like, solve
from espnet_ext.tts.masks import masked_mean, time_means
from espnet_ext.tts.options import number, one_of

#: log(1 + frames) before training
START = 1.8


@dataclass(frozen=True)
class DurationOptions:
    """The duration predictor.

    Attributes:
        kind: regression (the mean, the same every time) or flow (draws durations).
        heads: of its attention.
        layers: fully connected ones, 2 to 4.
        dropout: in all of it.
        variance_weight: of the squared difference between the deviations of predicted and true log durations within
            an utterance; a regression alone is too even. Without effect with flow, which is not.
        steps: of the flow's solver; without effect with regression.
    """

    kind: str = "regression"
    heads: int = number(2, 1)
    layers: int = number(2, 2, 4)
    dropout: float = number(0.2, 0, 0.99)
    variance_weight: float = number(0.1, 0)
    steps: int = number(8, 1)


class _Layers(nn.Sequential):
    """Fully connected layers with ReLU, LayerNorm and dropout, and one number at the end, `start` at first."""

    def __init__(self, width: int, layers: int, dropout: float, start: float) -> None:
        last = nn.Linear(width, 1)
        nn.init.constant_(last.bias, start)
        super().__init__(
            *(
                nn.Sequential(
                    nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width), ByteDropout(dropout)
                )
                for _ in range(layers)
            ),
            last,
        )


class DurationPredictor(nn.Module):
    """Attention over the tokens, then fully connected layers: the mean of log(1 + frames).

    Args:
        width: D.
        options: see there.
    """

    start = START

    def __init__(self, width: int, options: DurationOptions) -> None:
        super().__init__()
        self.variance_weight = options.variance_weight
        self.context = Block(width, options.heads, 2 * width, 3, options.dropout)
        self.layers = _Layers(width, options.layers, options.dropout, self.start)

    def look_around(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, N, D), mask (B, N) -> (B, N, D)."""
        table = self.context.attention.table(x.shape[1], x.shape[1], x.device)
        return self.context(x, mask, table)

    def predict(self, x: Tensor, mask: Tensor, spread: float = 0.0) -> Tensor:
        """(B, N, D), mask (B, N) -> log(1 + frames), (B, N); `spread` has no meaning here."""
        return self.layers(self.look_around(x, mask))[..., 0]

    def losses(self, x: Tensor, mask: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Mean squared error and variance regularisation.

        Args:
            x: (B, N, D), mask: (B, N).
            frames: (B, N), the true durations.
        """
        found, true = self.predict(x, mask), frames.float().log1p()
        losses = {"duration": masked_mean((found - true).square(), mask)}
        if self.variance_weight:
            gap = _deviation(found, mask) - _deviation(true, mask)
            losses["duration_spread"] = self.variance_weight * gap.square().mean()
        return losses


def _deviation(values: Tensor, mask: Tensor) -> Tensor:
    """Standard deviation of each row's true places, (B, N) -> (B,); its gradient is finite where all are alike."""
    centred = values - time_means(values, mask)[:, None]
    return (time_means(centred.square(), mask) + 1e-4).sqrt()


class DurationFlow(DurationPredictor):
    """Draws log durations by flow matching.

    Mehta et al. 2024, "Should you use a probabilistic duration model in TTS? Probably! Especially for spontaneous
    speech". Log durations are moved with their mean and deviation made about 0 and 1.
    """

    start, centre, scale = 0.0, START, 0.7

    def __init__(self, width: int, options: DurationOptions) -> None:
        super().__init__(width, options)
        self.steps = options.steps
        self.time = TimeEmbedding(width)
        self.enter = nn.Linear(1, width)

    def _speed(self, x: Tensor, place: Tensor, t: Tensor) -> Tensor:
        """Context (B, N, D), place (B, N, 1), time (B,) -> (B, N, 1)."""
        return self.layers(x + self.enter(place) + self.time(t)[:, None])

    def losses(self, x: Tensor, mask: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Of the flow; whole frames are spread over the width of a frame, as they were before rounding."""
        lasts = (frames.float() - torch.rand_like(x[..., 0])).clamp(min=0)
        target = (lasts.log1p() - self.centre) / self.scale
        context = self.look_around(x, mask)
        loss = flow_loss(lambda at, t: self._speed(context, at, t), target[..., None], mask)
        return {"duration": loss}

    def predict(self, x: Tensor, mask: Tensor, spread: float = 0.0) -> Tensor:
        """(B, N, D), mask (B, N), deviation of what is drawn -> log(1 + frames), (B, N)."""
        context = self.look_around(x, mask)
        start = spread * noise_like(x[..., :1])
        drawn = solve(lambda at, t: self._speed(context, at, t), start, self.steps)
        frames = (drawn[..., 0] * self.scale + self.centre).expm1() + 0.5
        return frames.clamp(min=0).log1p()


def make_durations(width: int, options: DurationOptions) -> DurationPredictor:
    """The predictor of a kind."""
    one_of("duration.kind", options.kind, ("regression", "flow"))
    return (DurationFlow if options.kind == "flow" else DurationPredictor)(width, options)


def whole_frames(lengths: Tensor, mask: Tensor) -> Tensor:
    """Frames of each token so that the sum is within half a frame of that of the real lengths.

    The ends are rounded, not the lengths: many short tokens would all be rounded one way. A token of a frame or more
    keeps one at least, a shorter one may be passed over; an utterance has one at least.

    Args:
        lengths: (B, N), in frames; mask: (B, N).

    Returns:
        (B, N) int64, 0 where padded.

    Example:
        >>> whole_frames(torch.full((1, 4), 1.25), torch.ones(1, 4, dtype=torch.bool)).tolist()
        [[1, 2, 1, 1]]
    """
    ends = (lengths * mask).double().cumsum(1)
    rounded = (ends + 0.5).floor().long()
    rounded = rounded.where(rounded[:, -1:] > 0, rounded.clamp(min=1))
    return torch.diff(rounded, dim=1, prepend=torch.zeros_like(rounded[:, :1])) * mask


def stretched(lengths: Tensor, factors: Tensor | float, mask: Tensor) -> Tensor:
    """Frames of each token so that speech is as many times as long as it would be, and each word within it, too.

    What is multiplied are whole frames. Each run of tokens with the same factor is rounded by itself: it is within half
    a frame of what was asked for, and what is not changed stays to the frame.

    Args:
        lengths: (B, N), in frames, as predicted; mask: (B, N).
        factors: (B, N), or one for all.

    Returns:
        (B, N) int64, 0 where padded.

    Example:
        >>> mask = torch.ones(1, 5, dtype=torch.bool)
        >>> stretched(torch.full((1, 5), 3.0), torch.tensor([[1, 1, 0.5, 0.5, 1]]), mask).tolist()
        [[3, 3, 2, 1, 3]]
    """
    frames = whole_frames(lengths, mask)
    factors = torch.as_tensor(factors, dtype=torch.float64, device=frames.device)
    if bool((factors == 1).all()):
        return frames
    factors = factors.expand(frames.shape)
    wanted = frames * factors
    ends = wanted.cumsum(1)
    begins = ends - wanted
    first = torch.diff(factors, dim=1, prepend=factors[:, :1] - 1) != 0
    start = begins.where(first, torch.zeros_like(begins)).cummax(1).values
    found = ((ends - start + 0.5).floor() - (begins - start + 0.5).floor()).long()
    found[:, 0] += found.sum(1) == 0
    return found
