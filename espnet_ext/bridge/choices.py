"""From a name in a YAML to a class, importing that class and no other.

ESPnet's tables of choices (`encoder_choices = ClassChoices(...)`) live in modules that import every class they
list. We read those modules' source with `ast` instead of importing them, so the tables are always those of the
installed ESPnet and cost a few milliseconds.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any

from espnet_ext.bridge.hook import import_class
from espnet_ext.bridge.imports import espnet2_folder, prepare
from espnet_ext.errors import UserError


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Every name that the module imports -> "package.module:Name"."""
    return {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _path(node: ast.expr, imported: dict[str, str]) -> str:
    """The dotted path of a class that a table refers to by `Name` or by `package.module.Name`."""
    if isinstance(node, ast.Name):
        return imported.get(node.id, "")
    module, _, name = ast.unparse(node).rpartition(".")
    return f"{module}:{name}"


def _tables(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each `<kind>_choices = ClassChoices(..., dict(...))` or `<kind>_classes = dict(...)` of a module."""
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        kind, _, what = node.targets[0].id.rpartition("_")
        if what not in ("choices", "classes") or not isinstance(node.value, ast.Call):
            continue
        calls = [node.value, *(k.value for k in node.value.keywords), *node.value.args]
        yield from (
            (kind, call) for call in calls if isinstance(call, ast.Call) and ast.unparse(call.func) == "dict"
        )


@cache
def choices(module: str) -> dict[str, dict[str, str]]:
    """The tables of `espnet2/tasks/<module>.py`: kind -> name in lower case -> "module:Class".

    Example:
        >>> choices("lm")["lm"]["transformer"]
        'espnet2.lm.transformer_lm:TransformerLM'
    """
    tree = ast.parse((espnet2_folder() / "tasks" / f"{module}.py").read_text(encoding="utf-8"))
    imported = _imported_names(tree)
    return {
        kind: {str(k.arg).lower(): _path(k.value, imported) for k in call.keywords}
        for kind, call in _tables(tree)
    }


def find_class(module: str, kind: str, name: str) -> Any:
    """The class that `kind: name` means in a configuration of a task.

    Args:
        module: the task's module in espnet2.tasks, "abs_task" for `optim` and `scheduler`.
        kind: "encoder", "decoder", "tts", ...
        name: ESPnet's short name, or "package.module:Class" for any class of anybody's.

    Raises:
        UserError: for a name that is neither; the message lists the near ones.
    """
    prepare()
    if ":" in name:
        return import_class(name)
    known = choices(module).get(kind, {})
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3) or sorted(known)
        raise UserError(
            f"{kind}: found {name!r}, expected one of {', '.join(near)} or package.module:Class"
        )
    return import_class(known[name.lower()])
