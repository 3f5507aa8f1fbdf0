"""From a name in a YAML to a class, importing that class and no other.

ESPnet's tables of choices (`encoder_choices = ClassChoices(...)`) live in modules that import every class they
list. We read those modules' source with `ast` instead of importing them, so the tables are always those of the
installed ESPnet and cost a few milliseconds.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from espnet_ext.bridge.hook import check_base, import_class
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
    for name, value in _calls(tree):
        kind, _, what = name.rpartition("_")
        if what in ("choices", "classes"):
            calls = [value, *(k.value for k in value.keywords), *value.args]
            yield from (
                (kind, call)
                for call in calls
                if isinstance(call, ast.Call)
                and ast.unparse(call.func).rpartition(".")[2] in ("dict", "update")
            )


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each `name = f(...)` and `name.update(...)` at the top of a module or under an `if` there.

    Not those under a `try`: ESPnet tries packages there that need not be installed.
    """
    for node in [
        inner for top in tree.body for inner in (top.body if isinstance(top, ast.If) else [top])
    ]:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if isinstance(node.value, ast.Call):
                yield node.targets[0].id, node.value
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = ast.unparse(node.value.func)
            if called.endswith(".update"):
                yield called.removesuffix(".update"), node.value


@cache
def _task_source(module: str) -> ast.Module:
    return ast.parse((espnet2_folder() / "tasks" / f"{module}.py").read_text(encoding="utf-8"))


@cache
def base_classes(module: str) -> dict[str, str]:
    """What the classes of each kind must inherit from: kind -> "module:Class".

    Example:
        >>> base_classes("lm")["lm"]
        'espnet2.lm.abs_model:AbsLM'
    """
    tree = _task_source(module)
    imported = _imported_names(tree)
    found = {
        name.rpartition("_")[0]: _path(keyword.value, imported)
        for name, value in _calls(tree)
        for keyword in value.keywords
        if keyword.arg == "type_check"
    }
    return {**found, "optim": "torch.optim:Optimizer"} if module == "abs_task" else found


@cache
def choices(module: str) -> dict[str, dict[str, str]]:
    """The tables of `espnet2/tasks/<module>.py`: kind -> name in lower case -> "module:Class".

    Example:
        >>> choices("lm")["lm"]["transformer"]
        'espnet2.lm.transformer_lm:TransformerLM'
    """
    tree = _task_source(module)
    imported = _imported_names(tree)
    found: dict[str, dict[str, str]] = {}
    for kind, call in _tables(tree):
        found.setdefault(kind, {}).update(
            {str(k.arg).lower(): _path(k.value, imported) for k in call.keywords}
        )
    return found


def meant(cls: Any, error: Exception) -> str:
    """What to say of an option that a class does not know, if it has a similar one; else nothing."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    bases = [base for base in getattr(cls, "__mro__", (cls,)) if base is not object]
    known = {name for base in bases for name in _parameters(base)} | {*getattr(cls, "own_keys", ())}
    near = difflib.get_close_matches(unknown[1], known, n=3) if unknown else []
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _parameters(cls: Any) -> set[str]:
    """Names of the arguments that a class' own constructor takes."""
    own = vars(cls).get("__init__", cls if not isinstance(cls, type) else None)
    try:
        return set(inspect.signature(own).parameters) - {"self"} if own is not None else set()
    except (TypeError, ValueError):  # one that is not written in Python
        return set()


def find_class(module: str, kind: str, name: str) -> Any:
    """The class that `kind: name` means in a configuration of a task.

    Args:
        module: the task's module in espnet2.tasks, "abs_task" for `optim` and `scheduler`.
        kind: "encoder", "decoder", "tts", ...
        name: ESPnet's short name, or "package.module:Class" for any class of anybody's.

    Raises:
        UserError: for a name that is neither; the message lists the near ones. For a class that does not
            inherit from what ESPnet asks of its kind.
    """
    prepare()
    if not isinstance(name, str):
        raise UserError(f"{kind}: found {name!r}, expected a name or package.module:Class")
    if ":" in name:
        base = base_classes(module).get(kind)
        return check_base(kind, name, import_class(name), import_class(base) if base else None)
    known = choices(module).get(kind, {})
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3) or sorted(known)
        raise UserError(
            f"{kind}: found {name!r}, expected one of {', '.join(near)} or package.module:Class"
        )
    return import_class(known[name.lower()])
