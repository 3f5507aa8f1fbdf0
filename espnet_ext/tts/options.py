"""Options of a model's parts, as a YAML nests them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

Options = TypeVar("Options")
_WORDS = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a word",
}


def read_options(cls: type[Options], given: Mapping[str, Any] | None, where: str) -> Options:
    """An options dataclass from a part of a YAML.

    Args:
        cls: the dataclass, whose fields are of types int, float, bool or str.
        given: what differs from its defaults; None = nothing.
        where: the part's name, for messages.

    Raises:
        ValueError: for an unknown option, or a value of another kind.

    Example:
        >>> from espnet_ext.tts.text_encoder import EncoderOptions
        >>> read_options(EncoderOptions, {"blocks": 6}, "encoder").blocks
        6
    """
    assert is_dataclass(cls)
    if not isinstance(given or {}, Mapping):
        raise ValueError(f"{where}: found {given!r}, expected options with their values")
    known = {field.name: str(field.type) for field in fields(cls)}
    for name, value in (given or {}).items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=3) or sorted(known)
            raise ValueError(f"{where}: found {name!r}, expected some of {', '.join(near)}")
        kind = known[name]
        wrong_bool = isinstance(value, bool) and kind != "bool"
        if kind in _WORDS and (wrong_bool or not isinstance(value, _WORDS[kind])):
            raise ValueError(f"{where}.{name}: found {value!r}, expected {_EXPECTED[kind]}")
    return cls(**(given or {}))


def one_of(name: str, found: str, known: tuple[str, ...]) -> str:
    """`found`, if it is known.

    Raises:
        ValueError: if not.
    """
    if found not in known:
        raise ValueError(f"{name}: found {found!r}, expected {', '.join(known)}")
    return found
