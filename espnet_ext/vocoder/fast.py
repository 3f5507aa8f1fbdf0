"""HiFi-GAN's generator as a CPU likes it: the same weights and the same waveform to rounding, in less time.

Samples stay beside the channels of their moment (channels last), so that no convolution has to rearrange them first;
sums are made in place; the division by the number of blocks, which a leaky ReLU lets through, goes into the weights of
the next layer. Letters in shapes: B batch, M mel bins, F frames, C channels, L samples so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.vocoder import graph
from espnet_ext.vocoder.hifigan import SLOPE, HiFiGAN
from espnet_ext.vocoder.norm import remove_weight_norm

Layer = Callable[[Tensor], Tensor]


def _flat(conv: nn.Module, scale: float = 1.0) -> Layer:
    """A convolution over (B, C, 1, L), channels last."""
    assert isinstance(conv, (nn.Conv1d, nn.ConvTranspose1d))
    weight = (conv.weight.detach() * scale)[:, :, None]
    weight = weight.contiguous(memory_format=torch.channels_last)
    bias, stride = conv.bias, conv.stride[0]
    padding = (0, int(conv.padding[0]))
    if isinstance(conv, nn.ConvTranspose1d):
        after = (0, conv.output_padding[0])
        return lambda x: F.conv_transpose2d(x, weight, bias, (1, stride), padding, after)
    dilation = (1, conv.dilation[0])
    return lambda x: F.conv2d(x, weight, bias, 1, padding, dilation)


class FastHiFiGAN:
    """What `generator.features` and its last convolution compute.

    Args:
        generator: on the CPU; its weight normalisation is removed, and its weights must not change afterwards.
    """

    def __init__(self, generator: HiFiGAN) -> None:
        remove_weight_norm(generator)
        number = generator.num_blocks
        self.first = _flat(generator.input_conv)
        self.upsamples = [
            _flat(layer[1], 1.0 / number if place else 1.0)  # type: ignore[index]
            for place, layer in enumerate(generator.upsamples)
        ]
        blocks = [_block(block) for block in generator.blocks]
        self.blocks = [blocks[i : i + number] for i in range(0, len(blocks), number)]
        self.last = _flat(generator.output_conv[1], 1.0 / number)
        self.speaker = getattr(generator, "global_conv", None)

    def __call__(self, mel: Tensor, g: Tensor | None = None) -> Tensor:
        """(B, M, F), a speaker's vector (B, G, 1) -> (B, C, L), before the generator's last function."""
        x = self.first(mel[:, :, None].contiguous(memory_format=torch.channels_last))
        if g is not None and self.speaker is not None:
            x = x + self.speaker(g)[:, :, None]
        for upsample, blocks in zip(self.upsamples, self.blocks, strict=True):
            x = upsample(F.leaky_relu_(x, SLOPE))
            x = _sum(block(x) for block in blocks)
        return self.last(F.leaky_relu_(x))[:, :, 0]


def _sum(parts: Iterable[Tensor]) -> Tensor:
    rest = iter(parts)
    total = next(rest)
    for part in rest:
        total += part
    return total


def _block(block: nn.Module) -> Layer:
    """A residual block; its input stays as it is."""
    first = [_flat(conv[1]) for conv in block.convs1]  # type: ignore[union-attr]
    second = [_flat(conv[1]) for conv in block.convs2] if block.additional else []  # type: ignore[union-attr]

    def run(x: Tensor) -> Tensor:
        for place, conv in enumerate(first):
            y = conv(F.leaky_relu(x, SLOPE))
            if second:
                y = second[place](F.leaky_relu_(y, SLOPE))
            x = y.add_(x)
        return x

    return run


#: what computes a HiFi-GAN: ONNX Runtime where it is installed, or one of the two
ENGINES = ("auto", "torch", "onnxruntime")


def quicken(generator: nn.Module, engine: str = "torch") -> nn.Module:
    """Make a HiFi-GAN or iSTFTNet on the CPU fast for inference; any other generator stays as it is.

    Raises:
        UserError: for an engine that is none, or is not installed.
    """
    if engine not in ENGINES:
        raise UserError(f"engine: found {engine!r}, expected one of {', '.join(ENGINES)}")
    if not isinstance(generator, HiFiGAN) or next(generator.parameters()).device.type != "cpu":
        return generator
    there = graph.installed()
    if engine == "onnxruntime" and not there:
        raise UserError(
            "engine: found no packages onnx and onnxruntime, expected them: pip install 'espnet_ext[onnx]'"
        )
    other = engine == "torch" or not there
    generator.fast = FastHiFiGAN(generator) if other else graph.GraphHiFiGAN(generator)
    return generator
