"""Modules as ONNX graphs, compared with torch before they get their name, and their INT8 forms.

Opset 17 is the first with LayerNormalization as one node; every runtime since 2022 reads it. The writer is torch's
tracing one: that around torch.export does not take shapes which follow from other shapes (relative positions, rows of
chunks) and needs minutes for an encoder. What tracing gets wrong, a size that became a constant, shows when the graph
is run on inputs of other sizes, and that is done for every graph.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.inference.onnx_session import OPSET, Session, require

#: How far a graph may be from torch, as a share of the largest number (or of 1).
TOLERANCE = 1e-4
#: Part of the names of nodes whose weights are no learnt ones, but a Fourier transform: they stay float.
EXACT = "transform"
_TORCH = {"bf16": torch.bfloat16, "fp16": torch.float16}
#: Numbers below which a weight is not worth being kept in 16 bits.
FEW = 1024

Axes = Mapping[str, Mapping[int, str]]


@dataclass(frozen=True)
class Graph:
    """A module that is to become a file.

    Attributes:
        name: of the file, without `.onnx`.
        module: tensors in, a tensor or a tuple of them out.
        inputs: an example of each input, by name.
        outputs: their names.
        axes: which axes of inputs and outputs may have any size, with a name for each.
        others: inputs of other sizes, on which the graph is compared with the module.
        quantise: whether an INT8 form is of use.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    axes: Axes
    others: Sequence[Mapping[str, Tensor]]
    quantise: bool = True


def write_graph(graph: Graph, folder: Path) -> float:
    """Write `folder/NAME.onnx`.

    Returns:
        The largest difference from torch, as `TOLERANCE` counts it.

    Raises:
        UserError: if onnx or onnxruntime are not installed, the module cannot be written, or the graph computes
            something else.
    """
    require("onnx"), require("onnxruntime")
    module = graph.module.eval()
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        path = Path(beside) / f"{graph.name}.onnx"
        _trace(graph, module, path)
        difference = compare(path, graph, module)
        os.replace(path, folder / path.name)
    return difference


def _trace(graph: Graph, module: nn.Module, path: Path) -> None:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter(
                "ignore"
            )  # of every size that a trace might fix: `compare` looks for these
            torch.onnx.export(
                module,
                tuple(graph.inputs.values()),
                str(path),
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_axes={name: dict(axes) for name, axes in graph.axes.items()},
                opset_version=OPSET,
                dynamo=False,
            )
    except UserError:
        raise
    except Exception as error:  # whatever an exporter may raise
        kind = type(error).__name__
        raise UserError(
            f"{graph.name}: found a part that ONNX opset {OPSET} cannot say ({kind}: {_first_line(error)}), expected a "
            "model that traces; keep this one in torch"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0][:200]


def compare(path: Path, graph: Graph, module: nn.Module) -> float:
    """The largest difference of a file from its module on `graph.others`.

    Raises:
        UserError: if it is more than `TOLERANCE`, or the file does not take these sizes.
    """
    session, worst = Session(path, threads=1), 0.0
    for given in graph.others:
        with torch.no_grad():
            expected = module(*(tensor.clone() for tensor in given.values()))
        expected = expected if isinstance(expected, tuple) else (expected,)
        sizes = {name: tuple(tensor.shape) for name, tensor in given.items()}
        try:
            found = session(**{name: tensor.numpy() for name, tensor in given.items()})
        except Exception as error:  # of the runtime
            raise UserError(_fixed(graph.name, sizes, _first_line(error))) from error
        for one, other in zip(found, expected, strict=True):
            if one.shape != tuple(other.shape):
                raise UserError(_fixed(graph.name, sizes, f"{one.shape}, not {other.shape}"))
            worst = max(worst, _difference(torch.from_numpy(one), other))
        if not worst <= TOLERANCE:
            raise UserError(_fixed(graph.name, sizes, f"numbers {worst:.1e} off"))
    return worst


def _difference(found: Tensor, expected: Tensor) -> float:
    if not expected.numel():
        return 0.0
    scale = max(1.0, float(expected.abs().max()))
    return float((found.double() - expected.double()).abs().max()) / scale


def _fixed(name: str, sizes: Any, what: str) -> str:
    return (
        f"{name}: found a graph that gives {what} on inputs of {sizes}, expected what torch gives to {TOLERANCE:g}: "
        "this model's code does not trace; keep it in torch"
    )


def quantise(path: Path, to: Path) -> int:
    """An INT8 form of a file: weights of matrix products by column, what meets them by its own range as it runs.

    Convolutions stay float: their INT8 kernels are slower on CPUs and change more.

    Returns:
        How many products became INT8.
    """
    onnx, quantization = require("onnx"), require("onnxruntime.quantization")
    nodes = onnx.load(str(path)).graph.node
    exact = [node.name for node in nodes if node.op_type == "MatMul" and EXACT in node.name]
    with tempfile.TemporaryDirectory(dir=to.parent) as beside, _quiet():
        there = Path(beside) / to.name
        quantization.quantize_dynamic(
            str(path),
            str(there),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=exact,
            extra_options={"MatMulConstBOnly": True},
        )
        os.replace(there, to)
    made = onnx.load(str(to)).graph.node
    return sum(node.op_type == "MatMulInteger" for node in made)


def halve(path: Path, to: Path, kind: str) -> int:
    """A form of a file whose weights take half the room: kept in 16 bits, made 32 again when the file is read.

    It computes in fp32, as fast: CPUs that add and multiply in 16 bits are few, and the runtime has no such kernels.

    Args:
        path: the file.
        to: the other one.
        kind: "bf16" (8 bits of fraction, any size) or "fp16" (11 bits, up to 65504).

    Returns:
        How many weights are kept so; those of fewer than `FEW` numbers stay, and in fp16 those with larger numbers.
    """
    onnx, helper = require("onnx"), require("onnx.numpy_helper")
    model, number = onnx.load(str(path)), 0
    type_to = {"bf16": onnx.TensorProto.BFLOAT16, "fp16": onnx.TensorProto.FLOAT16}[kind]
    for weight in model.graph.initializer:
        values = helper.to_array(weight) if weight.data_type == onnx.TensorProto.FLOAT else None
        if values is None or values.size < FEW or (kind == "fp16" and abs(values).max() > 65504):
            continue
        name, dims = weight.name, list(weight.dims)
        small = torch.from_numpy(values.copy()).to(_TORCH[kind]).view(torch.int16)
        weight.Clear()
        weight.name, weight.data_type, weight.raw_data = (
            f"{name}.{kind}",
            type_to,
            small.numpy().tobytes(),
        )
        weight.dims.extend(dims)
        widened = {"to": onnx.TensorProto.FLOAT, "name": f"{name}.widened"}
        node = onnx.helper.make_node("Cast", [weight.name], [name], **widened)
        model.graph.node.insert(number, node)
        number += 1
    with atomic_open(to, "wb") as stream:
        stream.write(model.SerializeToString())
    return number


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises, through the root logger, a pass that changes nothing here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
