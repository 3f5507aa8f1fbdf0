"""ONNX Runtime, where it is installed: one graph that is called like a function."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.errors import UserError

#: The version of ONNX's operations that our graphs are written in.
OPSET = 17
#: What `export_onnx` writes beside the graphs.
MANIFEST = "onnx.json"
#: How the graphs' names end, by the numbers that they compute with.
ENDINGS = {
    "fp32": ".onnx",
    "int8": ".int8.onnx",
    "bf16": ".bf16.onnx",
    "fp16": ".fp16.onnx",
}


def require(package: str) -> Any:
    """The package `onnx` or `onnxruntime`, or a module of it.

    Raises:
        UserError: if it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"found no package {package} ({error}), expected it for ONNX models: pip install 'espnet_ext[onnx]'"
        ) from error


class Session:
    """A graph, ready to run.

    Args:
        graph: the .onnx file, or what would be in it.
        threads: that an operation may use; None = as many as torch has.
        device: "cpu", or "cuda" with the package onnxruntime-gpu.

    Raises:
        UserError: if the runtime or the file is missing, or it is no such file.
    """

    def __init__(
        self, graph: str | Path | bytes, threads: int | None = None, device: str = "cpu"
    ) -> None:
        runtime = require("onnxruntime")
        name = "a graph in memory" if isinstance(graph, bytes) else str(graph)
        if not isinstance(graph, bytes) and not Path(graph).is_file():
            raise UserError(f"{name}: no such file, expected one that export_onnx wrote")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = _threads() if threads is None else threads
        options.log_severity_level = 3  # errors
        # all graph optimisations and the arena, the defaults, are fastest; waiting threads that spin on after a run
        # would take the cores from torch, which goes on with the search
        options.add_session_config_entry("session.force_spinning_stop", "1")
        providers = [_provider(runtime, device), "CPUExecutionProvider"]
        try:
            self.session = runtime.InferenceSession(
                graph if isinstance(graph, bytes) else name,
                options,
                providers=list(dict.fromkeys(providers)),
            )
        except Exception as error:
            raise UserError(
                f"{name}: not read by onnxruntime ({str(error)[:200]}), expected a file that export_onnx wrote"
            ) from error
        self.inputs = {entry.name: list(entry.shape) for entry in self.session.get_inputs()}

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs for inputs by name; a graph does not have those on which nothing depends."""
        there = {name: value for name, value in inputs.items() if name in self.inputs}
        found: list[np.ndarray] = self.session.run(None, there)
        return found


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _provider(runtime: Any, device: str) -> str:
    """The part of the runtime that computes on a device."""
    if device == "cpu":
        return "CPUExecutionProvider"
    wanted = "CUDAExecutionProvider"
    if not device.startswith("cuda") or wanted not in runtime.get_available_providers():
        raise UserError(
            f"--device: found {device!r} and an onnxruntime for {runtime.get_available_providers()}, expected cpu, or "
            "cuda with the package onnxruntime-gpu"
        )
    return wanted


def read_manifest(folder: str | Path, task: str) -> dict[str, Any]:
    """What `export_onnx` wrote about a folder's graphs.

    Raises:
        UserError: if there is none, or it is of another task.
    """
    import json

    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected a folder that export_onnx wrote")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path}: found no JSON ({error}), expected what export_onnx wrote"
        ) from error
    if not isinstance(found, dict) or found.get("task") != task:
        told = found.get("task") if isinstance(found, dict) else found
        raise UserError(f"{path}: found task {told!r}, expected {task!r}")
    _refuse_names_elsewhere(path, found)
    return found


def _refuse_names_elsewhere(path: Path, manifest: dict[str, Any]) -> None:
    """Raises UserError where a folder from a stranger names files outside itself."""
    for name in (*manifest.get("graphs", ()), manifest.get("bpemodel")):
        if name is not None and (not isinstance(name, str) or Path(name).name != name):
            raise UserError(f"{path}: found the file name {name!r}, expected one in its folder")


def graph_path(folder: str | Path, name: str, precision: str = "fp32") -> Path:
    """A folder's graph in a precision of `ENDINGS`, or in fp32 where it has no other.

    Raises:
        UserError: for a precision that is none.
    """
    if precision not in ENDINGS:
        raise UserError(
            f"precision: found {precision!r}, expected one of {', '.join(ENDINGS)}, or int8-all for a recogniser"
        )
    path = Path(folder) / (name + ENDINGS[precision])
    return path if path.is_file() else Path(folder) / f"{name}.onnx"


def require_form(folder: str | Path, forms: Mapping[str, str]) -> None:
    """Refuse numbers in which none of a folder's graphs is: everything would be computed in fp32, unnoticed.

    Args:
        folder: of the graphs.
        forms: name of each -> what it is asked for in, one of `ENDINGS`.

    Raises:
        UserError: naming what was asked for.
    """
    asked = {name: form for name, form in forms.items() if form != "fp32"}
    found = [name for name, form in asked.items() if graph_path(folder, name, form).stem != name]
    if asked and not found:
        form = next(iter(asked.values()))
        raise UserError(
            f"precision: found no graph in {form} in {folder}, expected one: export it so, or ask for fp32"
        )


def open_graph(
    folder: str | Path, name: str, precision: str = "fp32", threads: int | None = None
) -> Session:
    """The same, ready to run."""
    return Session(graph_path(folder, name, precision), threads)
