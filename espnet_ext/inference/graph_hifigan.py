"""HiFi-GAN and iSTFTNet in ONNX Runtime, up to their last function: the same weights, in less time than torch on a CPU.

Convolutions over time are those over images of height 1, for which the runtime has direct kernels. The division by the
number of blocks, which a leaky ReLU lets through, goes into the weights of the next layer. Where the generator and the
processor allow it, even and odd samples are kept apart (`phased_hifigan`). Letters in shapes: B batch, M mel bins, F
frames, C channels, L samples so far.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from espnet_ext.inference import phased_hifigan
from espnet_ext.inference.graph_writer import Writer, installed
from espnet_ext.inference.onnx_session import Session
from espnet_ext.vocoder.hifigan import HiFiGAN
from espnet_ext.vocoder.norm import remove_weight_norm
from espnet_ext.vocoder.pieces import in_pieces, reach


def _block(graph: Writer, x: str, block: Any) -> str:
    """A residual block."""
    for place, first in enumerate(block.convs1):
        y = graph.conv(graph.leaky(x), first[1])
        if block.additional:
            y = graph.conv(graph.leaky(y), block.convs2[place][1])
        x = graph.add("Add", y, x)
    return x


def write(generator: HiFiGAN, stages: range) -> bytes:
    """The graph of some upsamplings, each with the residual blocks after it.

    Args:
        generator: without weight normalisation.
        stages: places of the upsamplings. Before the first, mel (B, M, 1, F) and what is added for a speaker (B, C, 1,
            1) are read, and there is no more; before another what came from the one before it, x (B, C, 1, L), is read,
            and the last convolution comes after them.
    """
    graph, number, first = Writer(), generator.num_blocks, generator.input_conv
    width = first.out_channels
    x = "x"
    inputs: dict[str, tuple[int, str | int]] = {"x": (width >> stages.start, "length")}
    if stages.start == 0:
        inputs = {"mel": (first.in_channels, "frames"), "voice": (width, 1)}
        x = graph.add("Add", graph.conv("mel", first), "voice")
    for stage in stages:
        scale = 1.0 / number if stage else 1.0
        x = graph.conv(graph.leaky(x), generator.upsamples[stage][1], scale)  # type: ignore[index]
        blocks = generator.blocks[stage * number : (stage + 1) * number]
        x = graph.total([_block(graph, x, block) for block in blocks])
    if stages.start == 0:
        return graph.finish(inputs, x, width >> stages.stop)
    slope, last = generator.output_conv[0].negative_slope, generator.output_conv[1]
    x = graph.conv(graph.leaky(x, slope), last, 1.0 / number)  # type: ignore[arg-type]
    return graph.finish(inputs, x, last.out_channels)  # type: ignore[arg-type]


class _Opened(NamedTuple):
    """What computes with so many threads."""

    first: Session
    rest: Session
    threads: int
    run: Callable[..., Iterable[np.ndarray]]  # as `map`


class GraphHiFiGAN:
    """What `generator.features` and its last convolution compute.

    In two graphs: after the first upsampling a sample depends on few others, so that threads take pieces of time. Any
    number of Python threads may call it. In a process that was forked from one that did, it needs what torch itself
    needs there: one thread (torch.set_num_threads(1), which a DataLoader's workers call).

    Args:
        generator: on the CPU, and kept by the caller; its weight normalisation is removed, and its weights must not
            change afterwards. As many threads compute as torch has.
    """

    def __init__(self, generator: HiFiGAN) -> None:
        remove_weight_norm(generator)
        # the generator holds this: were it held in turn, both would outlive their last user
        self.generator = cast(HiFiGAN, weakref.proxy(generator))
        self.lock, self.opened = threading.Lock(), dict[int, _Opened]()
        self.speaker = getattr(generator, "global_conv", None)
        self.around = reach(generator, 1)
        self.rate = generator.factor // generator.upsamples[0][1].stride[0]  # type: ignore[index]
        self.phased = phased_hifigan.fits(generator)
        if self.phased:
            self.around = self.around // 2 + 1

    def _open(self) -> _Opened:
        """For as many threads as torch has here and now."""
        threads, rest = torch.get_num_threads(), range(1, len(self.generator.upsamples))
        with self.lock:
            if threads not in self.opened:
                known = next(iter(self.opened.values()), None)
                one = known.rest if known else self._session(rest, 1)
                run = map if threads == 1 else ThreadPoolExecutor(threads).map
                self.opened[threads] = _Opened(self._session(range(1), threads), one, threads, run)
            return self.opened[threads]

    def _session(self, stages: range, threads: int) -> Session:
        """Of some upsamplings."""
        write_it = phased_hifigan.write if self.phased else write
        return Session(write_it(self.generator, stages), threads)

    @torch.no_grad()
    def __call__(self, mel: Tensor, g: Tensor | None = None) -> Tensor:
        """(B, M, F), a speaker's vector (B, G, 1) -> (B, C, L), before the generator's last function."""
        width = self.generator.input_conv.out_channels
        voice = mel.new_zeros(len(mel), width, 1)
        if g is not None and self.speaker is not None:
            voice = self.speaker(g)
        opened = self._open()
        given = {"mel": mel, "voice": voice}
        (x,) = opened.first(**{n: t[:, :, None].float().numpy() for n, t in given.items()})

        # a thread takes pieces: some of the runtime's operations, as changes of layout, are done by one anyway
        def others(x: np.ndarray) -> np.ndarray:
            rows = np.split(x, len(x))
            return np.concatenate(list(opened.run(lambda row: opened.rest(x=row)[0], rows)))

        pieces = opened.threads if len(x) == 1 else 1
        wave = torch.from_numpy(in_pieces(others, x, pieces, self.around, self.rate)[:, :, 0])
        if self.phased:  # the halves of the channels are even and odd samples
            wave = torch.stack(wave.chunk(2, 1), -1).flatten(2)
        return wave


def quicken(generator: nn.Module) -> nn.Module:
    """Make a HiFi-GAN or iSTFTNet on the CPU fast for inference; any other generator stays as it is.

    So does any where onnx or onnxruntime is not installed: pip install 'espnet_ext[onnx]'.
    """
    on_cpu = next(generator.parameters()).device.type == "cpu"
    if isinstance(generator, HiFiGAN) and on_cpu and installed():
        generator.fast = GraphHiFiGAN(generator)
    return generator
