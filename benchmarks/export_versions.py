"""Ways to compute a model: torch's and ONNX Runtime's, in float, in 16 bits and in INT8."""

from __future__ import annotations

import copy
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Forms of a graph that are tried, and how the table calls them.
FORMS = {"fp32": "fp32", "int8": "INT8", "bf16": "kept in bf16", "fp16": "kept in fp16"}


@dataclass
class Version:
    """One way to compute a model.

    Attributes:
        name: as in the table.
        run: its output for the example.
        off: how far it is from the first version, in the mean.
        most: largest difference from it, as a share of the largest value.
        spent: seconds of each turn.
        busy: processor seconds of each turn.
    """

    name: str
    run: Callable[[], Any]
    off: float = 0.0
    most: float = 0.0
    spent: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(self.spent)


def forms(graph: Any, threads: int) -> Mapping[str, Any]:
    """A graph's forms, ready to run, by their names in FORMS; they live in memory."""
    from espnet_ext.export.onnx_graph import halve, quantise, write_graph
    from espnet_ext.inference.onnx_session import Session

    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / f"{graph.name}.onnx", Path(folder) / "small.onnx"
        write_graph(graph, Path(folder))
        found = {"fp32": Session(plain, threads)}
        if quantise(plain, small):
            found["int8"] = Session(small, threads)
        for kind in ("bf16", "fp16"):
            halve(plain, small, kind)
            found[kind] = Session(small, threads)
    return found


def graph_versions(
    graph: Any, threads: int, name: str, call: Callable[[Any], Any] | None = None
) -> list[Version]:
    """ONNX Runtime's: fp32, of what is a matrix product INT8, and kept in 16 bits."""
    given = {key: tensor.numpy() for key, tensor in graph.inputs.items()}
    call = call or (lambda session: session(**given)[0])

    def version(form: str, session: Any) -> Version:
        return Version(f"{name}, {FORMS[form]}", lambda: call(session))

    return [version(form, session) for form, session in forms(graph, threads).items()]


def torch_versions(module: Any, inputs: Sequence[Any], int8: bool) -> list[Version]:
    """Torch's: fp32, the same with packed weights, bf16 where products are taken in it, INT8 of its linear layers.

    The second and the last where there are linear layers; HiFi-GAN's convolutions are slower packed, 0.3 times.
    """
    import torch

    from espnet_ext.asr.packed import pack

    def first(found: Any) -> Any:
        return (found[0] if isinstance(found, tuple) else found).float().numpy()

    def half() -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return first(module(*inputs))

    found = [
        Version("torch, fp32", lambda: first(module(*inputs))),
        Version("torch, bf16", half),
    ]
    if int8:
        from benchmarks.export_words import quantised

        packed, rough = pack(copy.deepcopy(module)), quantised(module)
        found.append(Version("torch, fp32, packed", lambda: first(packed(*inputs))))
        found.append(Version("torch, INT8 of linear layers", lambda: first(rough(*inputs))))
    return found
