"""The code behind a dotted path, so that a changed `forward` counts as a changed experiment.

Nothing is imported but the standard library, and no module that is looked at is run.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_INSTALLED = {"site-packages", "dist-packages"}
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def dotted_paths(value: Any) -> list[str]:
    """Every `package.module:Name` in a configuration (nested mappings and lists), sorted.

    Example:
        >>> dotted_paths({"encoder": "my_encoder:Recurrent", "conf": [{"layer": "a.b:C"}, "x: y"]})
        ['a.b:C', 'my_encoder:Recurrent']
    """
    if isinstance(value, str):
        return [value] if _DOTTED.fullmatch(value) else []
    inner = value.values() if isinstance(value, Mapping) else value
    if not isinstance(inner, (Sequence, type({}.values()))):
        return []
    return sorted({path for item in inner for path in dotted_paths(item)})


def _find(module: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """A module's spec, found without importing the packages it lies in."""
    found, places = None, list(sys.path if path is None else path)
    for end in range(1, module.count(".") + 2):
        try:
            found = PathFinder.find_spec(".".join(module.split(".")[:end]), places)
        except KeyError:  # a namespace package within one that is not imported
            return None
        if found is None:
            return None
        places = list(found.submodule_search_locations or [])
    return found


def _own_imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Names of modules that a module imports, relative ones made absolute; some may be names of functions."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def source_files(dotted: str, path: Sequence[str] | None = None) -> list[Path]:
    """The file of a class, and those that it imports from its own package or, without one, its own folder.

    Of an installed package (torch, ...) only the class's own file: its version is the environment's business.

    Args:
        dotted: `package.module:Name`.
        path: where modules lie; None = sys.path.

    Returns:
        Sorted; none for a module that is not found (the one who imports it will say so).
    """
    first = dotted.partition(":")[0]
    in_package = "." in first
    waiting, found, home = [first], {}, None
    while waiting:
        name = waiting.pop()
        if name in found or (in_package and name.split(".")[0] != first.split(".")[0]):
            continue
        spec = _find(name, path)
        if spec is None or not str(spec.origin).endswith(".py"):
            continue
        file = Path(str(spec.origin))
        home = home or file.parent
        if in_package or file.is_relative_to(home):
            found[name] = file
            if not _INSTALLED & set(file.parts):
                waiting += _own_imports(_parse(file), name, bool(spec.submodule_search_locations))
    return sorted(set(found.values()))


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # the import tells the person where
        return ast.Module([], [])


def code_digest(file: Path) -> str:
    """A hash of what a Python file does: comments, docstrings and layout do not count."""
    tree = _parse(file)
    for node in ast.walk(tree):
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
