"""Options of a model's parts, as a YAML nests them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import Field, field, fields, is_dataclass
from typing import Any, TypeVar

Options = TypeVar("Options")
_WORDS = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a word",
}


def number(default: float, low: float, high: float = math.inf) -> Any:
    """A field of an options dataclass whose value is finite and from `low` to `high`, both included."""
    return field(default=default, metadata={"range": (low, high)})


def read_options(cls: type[Options], given: Mapping[str, Any] | None, where: str) -> Options:
    """An options dataclass from a part of a YAML.

    Args:
        cls: the dataclass, whose fields are of types int, float, bool or str.
        given: what differs from its defaults; None = nothing.
        where: the part's name, for messages.

    Raises:
        ValueError: for an unknown option, a value of another kind, or one that is out of its range.

    Example:
        >>> from espnet_ext.tts.text_encoder import EncoderOptions
        >>> read_options(EncoderOptions, {"blocks": 6}, "encoder").blocks
        6
    """
    assert is_dataclass(cls)
    if not isinstance(given or {}, Mapping):
        raise ValueError(f"{where}: found {given!r}, expected options with their values")
    known = {one.name: one for one in fields(cls)}
    for name, value in (given or {}).items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=3) or sorted(known)
            raise ValueError(f"{where}: found {name!r}, expected some of {', '.join(near)}")
        _check(known[name], value, f"{where}.{name}")
    return cls(**(given or {}))


def _check(option: Field[Any], value: Any, where: str) -> None:
    """A value is of its field's kind, and in its range."""
    kind = str(option.type)
    wrong_bool = isinstance(value, bool) and kind != "bool"
    if kind in _WORDS and (wrong_bool or not isinstance(value, _WORDS[kind])):
        raise ValueError(f"{where}: found {value!r}, expected {_EXPECTED[kind]}")
    if "range" not in option.metadata:
        return
    low, high = option.metadata["range"]
    if not (low <= value <= high and math.isfinite(value)):
        within = f"{low} or more" if high == math.inf else f"{low} to {high}"
        raise ValueError(f"{where}: found {value!r}, expected {_EXPECTED[kind]}, {within}")


def part_of(conf: Mapping[str, Any], name: str, inside: bool) -> Mapping[str, Any]:
    """Options of a part of our synthesisers, before the model is made; none where there is something else in place.

    Args:
        conf: tts_conf.
        name: of the part.
        inside: whether the parts stand within `acoustic`, as those of a joint model do.
    """
    outer = (conf.get("acoustic") or {}) if inside else conf
    found = outer.get(name) if isinstance(outer, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def one_of(name: str, found: str, known: tuple[str, ...]) -> str:
    """`found`, if it is known.

    Raises:
        ValueError: if not.
    """
    if found not in known:
        raise ValueError(f"{name}: found {found!r}, expected {', '.join(known)}")
    return found
