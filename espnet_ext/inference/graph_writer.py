"""ONNX graphs written node by node, in memory: (B, C, 1, L) from layer to layer, names standing for tensors."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from torch import Tensor, nn

from espnet_ext.inference.onnx_session import OPSET
from espnet_ext.vocoder.hifigan import SLOPE

#: of the file format: the oldest that has `OPSET`
IR = 8


@functools.cache
def installed() -> bool:
    """Whether there is what writes and what runs graphs, and it works."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


class Writer:
    """Nodes and weights of a graph, as they are added."""

    #: sets of operations besides ONNX's own
    domains: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, *inputs: str, outputs: int = 1, **options: Any) -> str:
        """A node; returns the name of what it computes; of several, the others are called name_1, ..."""
        from onnx import helper

        name = f"{kind}_{len(self.nodes)}"
        names = [name, *(f"{name}_{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=name, **options))
        return name

    def weight(self, values: Tensor) -> str:
        from onnx import numpy_helper

        name = f"weight_{len(self.weights)}"
        array = np.ascontiguousarray(values.detach().float().cpu().numpy())
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, x: str, layer: nn.Module, scale: float = 1.0) -> str:
        """A convolution of torch, its weights multiplied."""
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

    def total(self, parts: list[str]) -> str:
        """A sum."""
        first, *rest = parts
        for part in rest:
            first = self.add("Add", first, part)
        return first

    def finish(self, inputs: dict[str, tuple[int, str | int]], output: str, channels: int) -> bytes:
        """The model.

        Args:
            inputs: name -> channels, and a number or a name of the length.
            output: its name; of so many channels.
        """
        from onnx import TensorProto, helper

        def end(name: str, channels: int, length: str | int) -> Any:
            shape: list[str | int | None] = ["batch", channels, 1, length]
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        read = [end(name, *shape) for name, shape in inputs.items()]
        made = [end(output, channels, "samples")]
        graph = helper.make_graph(self.nodes, "hifigan", read, made, self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        opsets += [helper.make_opsetid(domain, 1) for domain in self.domains]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
        found: bytes = model.SerializeToString()
        return found
