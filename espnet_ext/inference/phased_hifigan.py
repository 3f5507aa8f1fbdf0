"""HiFi-GAN as a graph of ONNX Runtime in two phases: even and odd samples apart, so that convolutions cost less.

With h the taps of a convolution that stay in a phase, g those that change it, and x0, x1 the phases (Mou and Duhamel
1987, in the transposed form of Toeplitz products): y0 = h (x0 + x1) + (g - h) x1 and y1 = h (x0 + x1) + (g' - h) x0,
where g' is g a sample later: 17 products in place of 22 for 11 taps. The runtime's own layout of channels in blocks
(its domain com.microsoft.nchwc) is written directly, since there residual sums and leaky ReLUs go into convolutions,
which it does not find by itself behind a dilated one. Letters in shapes: B batch, C channels, M mel bins, F frames, N
pairs of samples.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from espnet_ext.inference.graph_writer import Writer
from espnet_ext.vocoder.hifigan import SLOPE, HiFiGAN

BLOCKED = "com.microsoft.nchwc"
#: channels times taps, from which on three convolutions are faster than four shorter ones
LEAST = 130


class Taps(NamedTuple):
    """A convolution at regular places: y[n] = sum of weight[..., i] x[n + first + i * step]."""

    weight: Tensor  # (O, I, K)
    first: int
    step: int

    @property
    def pads(self) -> list[int]:
        """That keep the length."""
        last = self.first + (self.weight.shape[2] - 1) * self.step
        return [0, -self.first, 0, last]


def phases(weight: Tensor, dilation: int) -> dict[tuple[int, int], Taps]:
    """(to, from) -> the taps of a convolution that keeps the length, (O, I, K) with K odd; without those of none."""
    middle, found = weight.shape[2] // 2, {}
    step = dilation if dilation % 2 else dilation // 2  # of places in a phase
    for to in (0, 1):
        lies = [divmod(to + (tap - middle) * dilation, 2) for tap in range(weight.shape[2])]
        for come in (0, 1):
            taps = [tap for tap, (_, phase) in enumerate(lies) if phase == come]
            if taps:
                found[to, come] = Taps(weight[:, :, taps], lies[taps[0]][0], step)
    return found


def difference(one: Taps, other: Taps) -> Taps:
    """`one - other`, which lie on the same places."""
    step = one.step
    first = min(one.first, other.first)
    last = max(t.first + (t.weight.shape[2] - 1) * step for t in (one, other))
    weight = one.weight.new_zeros(*one.weight.shape[:2], (last - first) // step + 1)
    for sign, taps in ((1, one), (-1, other)):
        begin = (taps.first - first) // step
        weight[:, :, begin : begin + taps.weight.shape[2]] += sign * taps.weight
    return Taps(weight, first, step)


@functools.cache
def block() -> int:
    """Channels that this processor's runtime keeps together; 0 where it has no blocks, or others than were tried."""
    import onnxruntime

    generator = torch.Generator().manual_seed(0)
    shapes = ((32, 32, 3), (32,), (1, 32, 1, 9))
    weight, bias, x = (torch.randn(shape, generator=generator) for shape in shapes)
    expected = nn.functional.conv2d(2 * x, weight[:, :, None], bias, padding=(0, 1)) + x
    expected = nn.functional.leaky_relu(expected, SLOPE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # fatal ones: a runtime without blocks says so by failing
    for size in (16, 8):
        writer = BlockWriter(size)
        inside = writer.enter("x")
        twice = writer.moved(writer.moved(inside, 32, 2, 1), 32, -2, -1, inside)
        y = writer.inner(twice, Taps(weight, -1, 1), writer.weight(bias), inside, SLOPE)
        y = writer.leave(y, 32)
        graph = writer.finish({"x": (32, "length")}, y, 32)
        try:
            session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
            (found,) = session.run(None, {"x": x.numpy()})
        except Exception:  # no such operation, or not for this size
            continue
        if torch.allclose(torch.from_numpy(found), expected, atol=1e-4):
            return size
    return 0


class BlockWriter(Writer):
    """Convolutions of blocks of channels.

    Args:
        size: channels of a block.
    """

    domains = (BLOCKED,)

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def enter(self, x: str) -> str:
        """Into blocks."""
        return self.add("ReorderInput", x, domain=BLOCKED)

    def leave(self, x: str, channels: int) -> str:
        return self.add("ReorderOutput", x, domain=BLOCKED, channels=channels)

    def inner(
        self, x: str, taps: Taps, bias: str = "", total: str = "", slope: float | None = None
    ) -> str:
        """A convolution of blocks that keeps the length, added to `total`, then a leaky ReLU."""
        out, into, number = taps.weight.shape
        rows = taps.weight.reshape(
            out // self.size, self.size, into // self.size, self.size, number
        )
        packed = self.weight(rows.permute(0, 2, 4, 3, 1).reshape(out, into, 1, number))
        options: dict[str, Any] = {"pads": taps.pads, "dilations": [1, taps.step], "group": 1}
        if slope is not None:
            options |= {"activation": "LeakyRelu", "activation_params": [slope]}
        return self._conv([x, packed, bias, total], number, **options)

    def moved(self, x: str, channels: int, before: int, after: int, total: str = "") -> str:
        """So many samples of nothing put before and after, or taken away where negative; added to `total`."""
        taps = torch.zeros(1 + max(0, -before) + max(0, -after))
        taps[max(0, -before)] = 1.0
        rows = taps[:, None].expand(channels // self.size, len(taps), self.size)
        packed = self.weight(rows.reshape(channels, 1, 1, len(taps)))
        pads = [0, max(0, before), 0, max(0, after)]
        return self._conv([x, packed, "", total], len(taps), pads=pads, group=channels)

    def _conv(self, inputs: list[str], taps: int, **options: Any) -> str:
        """Of input, weight, bias and what it is added to; the last ones may be empty."""
        while not inputs[-1]:
            inputs.pop()
        options |= {"kernel_shape": [1, taps], "strides": [1, 1]}
        return self.add("Conv", *inputs, domain=BLOCKED, **options)


Pair = tuple[str, str]


def _convolved(
    graph: BlockWriter,
    x: Pair,
    conv: nn.Conv1d,
    total: Pair | None = None,
    slope: float | None = None,
) -> Pair:
    """A convolution of both phases, added to `total`, then a leaky ReLU."""
    bias = "" if conv.bias is None else graph.weight(conv.bias)
    taps = phases(conv.weight.detach(), conv.dilation[0])
    if len(taps) == 4 and conv.in_channels * conv.kernel_size[0] >= LEAST:
        return _by_three(graph, x, taps, bias, total, slope)
    found = []
    for to in (0, 1):
        y = "" if total is None else total[to]
        parts = [(x[come], taps[to, come]) for come in (0, 1) if (to, come) in taps]
        for place, (part, its) in enumerate(parts):
            last = place == len(parts) - 1
            y = graph.inner(part, its, "" if place else bias, y, slope if last else None)
        found.append(y)
    return found[0], found[1]


def _by_three(
    graph: BlockWriter,
    x: Pair,
    taps: dict[tuple[int, int], Taps],
    bias: str,
    total: Pair | None,
    slope: float | None,
) -> Pair:
    """Three convolutions in place of four; with dilation d, the odd phase goes s = (d - 1) / 2 pairs ahead."""
    stay, shift = taps[0, 0], taps[0, 0].step // 2
    width = stay.weight.shape[1]
    if shift:
        early = graph.moved(x[0], width, shift, 0)
        both = graph.inner(graph.moved(x[1], width, 0, shift, early), stay, bias)
        rest = total or ("", "")
        out = stay.weight.shape[0]
        sums = [
            graph.moved(both, out, -shift, 0, rest[0]),
            graph.moved(both, out, 0, -shift, rest[1]),
        ]
    else:
        both = graph.inner(graph.add("Add", *x), stay, bias)
        sums = [both, both] if total is None else [graph.add("Add", both, part) for part in total]
    into = difference(taps[0, 1], stay._replace(first=stay.first + shift))
    back = difference(taps[1, 0], stay._replace(first=stay.first - shift))
    return (
        graph.inner(x[1], into, "", sums[0], slope),
        graph.inner(x[0], back, "", sums[1], slope),
    )


def _residual(graph: BlockWriter, x: Pair, block: Any) -> Pair:
    """A residual block."""
    for place, first in enumerate(block.convs1):
        y = graph.leaky(x[0]), graph.leaky(x[1])
        if block.additional:
            y = _convolved(graph, y, first[1], None, SLOPE)
            x = _convolved(graph, y, block.convs2[place][1], x)
        else:
            x = _convolved(graph, y, first[1], x)
    return x


def _upsampled(
    graph: BlockWriter, inputs: tuple[str, ...], layer: nn.ConvTranspose1d, scale: float
) -> str:
    """A transposed convolution of an even stride r, of one input or of two phases -> (B, 2 C, 1, N).

    With x[n] the sum of w[k] y[l] for l r + k - p = n, phase e of x gets from phase q of y, where l = 2 l' + q and
    n = 2 m + e: m - l' r = (q r + k - p - e) / 2.
    """
    bias = layer.bias
    stride = layer.stride[0] * len(inputs) // 2
    weight, padding = layer.weight.detach() * scale, int(layer.padding[0])
    parts = []
    for come, y in enumerate(inputs):
        begin = come * layer.stride[0] - padding
        lies = [divmod(begin + k, 2) for k in range(weight.shape[2])]  # m - l' r, and e
        first, last = min(0, lies[0][0]), lies[-1][0]
        taps = weight.new_zeros(weight.shape[0], 2, weight.shape[1], last - first + 1)
        for k, (place, to) in enumerate(lies):
            taps[:, to, :, place - first] = weight[:, :, k]
        over = last + 1 - stride  # samples beyond the last input's own
        given = [y, graph.weight(taps.flatten(1, 2)[:, :, None])]
        if bias is not None and not come:
            given.append(graph.weight(bias.repeat(2)))
        parts.append(
            graph.add(
                "ConvTranspose",
                *given,
                kernel_shape=[1, taps.shape[3]],
                strides=[1, stride],
                pads=[0, -first, 0, max(0, over)],
                output_padding=[0, max(0, -over)],
            )
        )
    return graph.total(parts)


def _split(graph: BlockWriter, x: str) -> Pair:
    """(B, 2 C, 1, N) -> two of (B, C, 1, N)."""
    first = graph.add("Split", x, outputs=2, axis=1)
    return first, f"{first}_1"


def _last(graph: BlockWriter, x: Pair, conv: nn.Conv1d, scale: float) -> str:
    """The last convolution: (B, C, 1, N) twice -> (B, 2 O, 1, N), phases one after the other."""
    sorted_ = phases(conv.weight.detach() * scale, 1)
    first = min(taps.first for taps in sorted_.values())
    last = max(taps.first + taps.weight.shape[2] for taps in sorted_.values())
    out, into, _ = conv.weight.shape
    weight = conv.weight.new_zeros(2, out, 2, into, last - first).detach()
    for (to, come), taps in sorted_.items():
        begin = taps.first - first
        weight[to, :, come, :, begin : begin + taps.weight.shape[2]] = taps.weight
    given = [graph.add("Concat", *x, axis=1)]
    given.append(graph.weight(weight.flatten(2, 3).flatten(0, 1)[:, :, None]))
    if conv.bias is not None:
        given.append(graph.weight(conv.bias.repeat(2)))
    pads = [0, -first, 0, last - 1]
    return graph.add("Conv", *given, kernel_shape=[1, weight.shape[4]], pads=pads)


def fits(generator: HiFiGAN) -> bool:
    """Whether a generator can be written in phases, here."""
    size = block()
    strides = [layer[1].stride[0] for layer in generator.upsamples]  # type: ignore[index]
    even = len(strides) > 1 and all(stride % 2 == 0 for stride in strides)
    convs = [m for m in generator.blocks.modules() if isinstance(m, nn.Conv1d)]
    whole = all(conv.in_channels % size == 0 for conv in convs) if size else False
    return even and whole and all(map(_keeps_the_length, [*convs, generator.output_conv[1]]))


def _keeps_the_length(conv: nn.Module) -> bool:
    assert isinstance(conv, nn.Conv1d)
    taps = conv.kernel_size[0]
    return taps % 2 == 1 and conv.padding == (taps // 2 * conv.dilation[0],) and conv.groups == 1


def write(generator: HiFiGAN, stages: range) -> bytes:
    """The graph of some upsamplings, each with the residual blocks after it.

    Args:
        generator: one that `fits`, without weight normalisation.
        stages: places of the upsamplings. Before the first, mel (B, M, 1, F) and what is added for a speaker (B, C, 1,
            1) are read, and there is no more; before another what came from the one before it, x (B, 2 C, 1, N), even
            samples before the odd ones, is read, and the last convolution comes after them.
    """
    graph, number, first = BlockWriter(block()), generator.num_blocks, generator.input_conv
    width = first.out_channels
    inputs: dict[str, tuple[int, str | int]] = {}
    x: tuple[str, ...]
    if stages.start == 0:
        inputs |= {"mel": (first.in_channels, "frames"), "voice": (width, 1)}
        x = (graph.leaky(graph.add("Add", graph.conv("mel", first), "voice")),)
    else:
        inputs |= {"x": (2 * (width >> stages.start), "length")}
        x = tuple(map(graph.leaky, _split(graph, "x")))
    for stage in stages:
        if stage > stages.start:
            x = tuple(graph.leave(graph.leaky(y), width >> stage) for y in x)
        upsample = generator.upsamples[stage][1]  # type: ignore[index]
        both = _upsampled(graph, x, upsample, 1.0 / number if stage else 1.0)
        even, odd = map(graph.enter, _split(graph, both))
        blocks = generator.blocks[stage * number : (stage + 1) * number]
        pairs = [_residual(graph, (even, odd), block) for block in blocks]
        x = tuple(graph.total(list(phase)) for phase in zip(*pairs, strict=True))
    width >>= stages.stop
    if stages.start == 0:
        plain = [graph.leave(y, width) for y in x]
        return graph.finish(inputs, graph.add("Concat", *plain, axis=1), 2 * width)
    slope, last = generator.output_conv[0].negative_slope, generator.output_conv[1]
    even, odd = (graph.leave(graph.leaky(y, slope), width) for y in x)  # type: ignore[arg-type]
    output = _last(graph, (even, odd), last, 1.0 / number)  # type: ignore[arg-type]
    return graph.finish(inputs, output, 2 * int(last.out_channels))  # type: ignore[arg-type]
