"""A generator of waveforms by pieces of time side by side, each with as much around it as its samples depend on.

Runtimes give threads utterances, groups of 64 channels or rows of an image, not parts of a row: the last layers of
HiFi-GAN, a third of its work, would be done by one thread. Letters in shapes: P pieces, L samples so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from torch import nn

from espnet_ext.vocoder.hifigan import HiFiGAN


def in_pieces(
    compute: Callable[[np.ndarray], np.ndarray], x: np.ndarray, pieces: int, around: int, rate: int
) -> np.ndarray:
    """What `compute` makes of the whole.

    Args:
        compute: (P, ..., L) -> (P, ..., L * rate).
        x: (1, ..., L).
        pieces: how many at most; what lies around them is half of each, no more.
        around: samples to either side of its own that one depends on; 0 = unknown, so that all stays whole.
        rate: samples of the result for one of x.

    Returns:
        (1, ..., L * rate).
    """
    length = x.shape[-1]
    pieces = min(pieces, length // (4 * around)) if around else 1
    if pieces < 2:
        return compute(x)
    step = -(-length // pieces)
    size = step + 2 * around
    own = range(0, length, step)
    begins = [min(max(begin - around, 0), length - size) for begin in own]
    found = compute(np.concatenate([x[..., begin : begin + size] for begin in begins]))
    ends = [min(begin + step, length) for begin in own]
    parts = zip(found, begins, own, ends, strict=True)
    return np.concatenate([y[..., (a - at) * rate : (b - at) * rate] for y, at, a, b in parts], -1)[
        None
    ]


def reach(generator: HiFiGAN, stage: int = 0) -> int:
    """Samples before an upsampling (of the first: frames) to either side of its own on which one of the waveform
    depends, no fewer.

    Args:
        generator: HiFi-GAN's, ours or stock ESPnet's.
        stage: the upsampling's place.
    """
    number, rate, found = generator.num_blocks, 1.0, 0.0
    if not stage:
        found += float(generator.input_conv.padding[0])
    for place, upsample in list(enumerate(generator.upsamples))[stage:]:
        (up,) = (m for m in upsample.modules() if isinstance(m, nn.ConvTranspose1d))
        found += up.kernel_size[0] / up.stride[0] / rate
        rate *= up.stride[0]
        blocks = generator.blocks[place * number : (place + 1) * number]
        found += max(_padding(block) for block in blocks) / rate
    return math.ceil(found + _padding(generator.output_conv) / rate) + 1


def _padding(module: nn.Module) -> int:
    """Of all convolutions of a chain."""
    return sum(int(m.padding[0]) for m in module.modules() if isinstance(m, nn.Conv1d))
