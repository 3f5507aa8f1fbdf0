"""HiFi-GAN and iSTFTNet in ONNX Runtime, up to their last function: the same weights, in less time than torch on a CPU.

The graph is written node by node, in milliseconds, and lives in memory. Convolutions over time are those over images of
height 1, for which the runtime has direct kernels; it takes a leaky ReLU and the sum of a residual block into the
convolution before them. As in `fast`, the division by the number of blocks goes into the next layer's weights. Letters
in shapes: B batch, M mel bins, F frames, C channels, L samples so far.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espnet_ext.vocoder.hifigan import SLOPE, HiFiGAN
from espnet_ext.vocoder.norm import remove_weight_norm

#: as in export.onnx_graph
OPSET, IR = 17, 8


def installed() -> bool:
    """Whether there is what writes and what runs graphs."""
    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None


class _Writer:
    """Nodes and weights of a graph, as they are added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, *inputs: str, **options: Any) -> str:
        """A node; returns the name of what it computes."""
        from onnx import helper

        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **options))
        return name

    def weight(self, values: Tensor) -> str:
        from onnx import numpy_helper

        name = f"weight_{len(self.weights)}"
        array = np.ascontiguousarray(values.detach().float().cpu().numpy())
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, x: str, layer: nn.Module, scale: float = 1.0) -> str:
        """A convolution over (B, C, 1, L)."""
        assert isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d))
        inputs = [x, self.weight((layer.weight * scale)[:, :, None])]
        if layer.bias is not None:
            inputs.append(self.weight(layer.bias))
        side = int(layer.padding[0])
        options: dict[str, Any] = {"pads": [0, side, 0, side], "strides": [1, layer.stride[0]]}
        options["kernel_shape"] = [1, layer.kernel_size[0]]
        if isinstance(layer, nn.ConvTranspose1d):
            options["output_padding"] = [0, layer.output_padding[0]]
            return self.add("ConvTranspose", *inputs, **options)
        return self.add("Conv", *inputs, dilations=[1, layer.dilation[0]], **options)

    def leaky(self, x: str, slope: float = SLOPE) -> str:
        return self.add("LeakyRelu", x, alpha=slope)

    def block(self, x: str, block: Any) -> str:
        """A residual block."""
        for place, first in enumerate(block.convs1):
            y = self.conv(self.leaky(x), first[1])
            if block.additional:
                y = self.conv(self.leaky(y), block.convs2[place][1])
            x = self.add("Add", y, x)
        return x


def write(generator: HiFiGAN) -> bytes:
    """The graph: mel (B, M, 1, F), and what is added for a speaker (B, C, 1, 1), -> wave (B, C, 1, L).

    Args:
        generator: without weight normalisation.
    """
    from onnx import TensorProto, helper

    graph, number = _Writer(), generator.num_blocks
    x = graph.add("Add", graph.conv("mel", generator.input_conv), "voice")
    for stage, upsample in enumerate(generator.upsamples):
        scale = 1.0 / number if stage else 1.0
        x = graph.conv(graph.leaky(x), upsample[1], scale)  # type: ignore[index]
        blocks = generator.blocks[stage * number : (stage + 1) * number]
        parts = [graph.block(x, block) for block in blocks]
        x = parts[0]
        for part in parts[1:]:
            x = graph.add("Add", x, part)
    last = generator.output_conv[1]
    x = graph.conv(graph.leaky(x, generator.output_conv[0].negative_slope), last, 1.0 / number)  # type: ignore[arg-type]
    mels, width = generator.input_conv.in_channels, generator.input_conv.out_channels
    shapes: dict[str, list[Any]] = {
        "mel": ["batch", mels, 1, "frames"],
        "voice": ["batch", width, 1, 1],
        x: ["batch", last.out_channels, 1, "samples"],
    }
    ends = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()}
    made = helper.make_graph(
        graph.nodes, "hifigan", [ends["mel"], ends["voice"]], [ends[x]], graph.weights
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    found: bytes = model.SerializeToString()
    return found


class GraphHiFiGAN:
    """What `generator.features` and its last convolution compute.

    Args:
        generator: on the CPU; its weight normalisation is removed, and its weights must not change afterwards. As many
            threads compute as torch has.
    """

    def __init__(self, generator: HiFiGAN) -> None:
        remove_weight_norm(generator)
        self.generator, self.threads = generator, 0
        self.session: Any = None
        self.speaker = getattr(generator, "global_conv", None)

    def _open(self) -> Any:
        """A session of as many threads as torch has now: written anew only where that has changed."""
        if self.session is None or self.threads != torch.get_num_threads():
            import onnxruntime

            options, self.threads = onnxruntime.SessionOptions(), torch.get_num_threads()
            options.intra_op_num_threads = self.threads
            options.log_severity_level = 3  # errors
            self.session = onnxruntime.InferenceSession(
                write(self.generator), options, providers=["CPUExecutionProvider"]
            )
        return self.session

    @torch.no_grad()
    def __call__(self, mel: Tensor, g: Tensor | None = None) -> Tensor:
        """(B, M, F), a speaker's vector (B, G, 1) -> (B, C, L), before the generator's last function."""
        width = self.generator.input_conv.out_channels
        voice = mel.new_zeros(len(mel), width, 1)
        if g is not None and self.speaker is not None:
            voice = self.speaker(g)
        given = {"mel": mel[:, :, None].contiguous(), "voice": voice[:, :, None].contiguous()}
        (found,) = self._open().run(None, {name: t.numpy() for name, t in given.items()})
        return torch.from_numpy(found[:, :, 0])
