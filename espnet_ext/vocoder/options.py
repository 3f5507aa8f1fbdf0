"""Options of a vocoder's parts, as a YAML gives them.

What kind of value an option has stands in the signature that takes it (`width: Size = 512`), and is compared with the
YAML before anything is made: a wrong one is named, and no layer fails over it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_type_hints

from espnet_ext.errors import UserError
from espnet_ext.train.values import MAPPING, SWITCH, TEXT, Kind, check_values, numeric, whole

Part = TypeVar("Part")


def several(inner: Kind, words: str, number: int | None = None) -> Kind:
    """A list of such values, one or more, or just so many."""
    return Kind(
        words,
        lambda x: (
            isinstance(x, (list, tuple))
            and (len(x) == number if number else len(x) > 0)
            and all(map(inner.fits, x))
        ),
    )


INTEGER = Kind("a whole number", lambda x: isinstance(x, int) and not isinstance(x, bool))
INTEGERS = several(whole(1), "a list of whole numbers such as [2, 3]")
LISTS = several(INTEGERS, "a list of lists of whole numbers such as [[1, 3], [1, 3]]")
_PAIR, _TRIPLE = several(whole(1), "", 2), several(whole(1), "", 3)

Size = Annotated[int, whole(1)]
Count = Annotated[int, whole(0)]
Weight = Annotated[float, numeric("a number, 0 or more", lambda x: x >= 0)]
Deviation = Annotated[float, numeric("a number above 0", lambda x: x > 0)]
Sizes = Annotated[Sequence[int], INTEGERS]
Windows = Annotated[Sequence[Sequence[int]], several(_PAIR, "a list of [n_fft, hop]")]
Transforms = Annotated[
    Sequence[Sequence[int]], several(_TRIPLE, "a list of [n_fft, hop, win_length]")
]

_PLAIN: Mapping[Any, Kind] = {int: INTEGER, float: numeric(), bool: SWITCH, str: TEXT}


def kinds_of(cls: type) -> dict[str, Kind]:
    """Option -> the kind that its annotation says, of those that say one."""
    try:
        hints = get_type_hints(cls.__init__, include_extras=True)  # type: ignore[misc]
    except (AttributeError, NameError, TypeError):
        return {}  # somebody's own, imported for a type checker alone
    return {name: kind for name, hint in hints.items() if (kind := _kind(hint))}


def _kind(hint: Any) -> Kind | None:
    said = (mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Kind))
    return next(said, None) or _PLAIN.get(hint)


def mapping(where: str, found: Any) -> dict[str, Any]:
    """What a YAML says under a key that has options; of nothing, none.

    Raises:
        UserError: if it is something else.
    """
    if found is not None and not MAPPING.fits(found):
        raise UserError(f"{where}: found {found!r}, expected {MAPPING.words}")
    return dict(found or {})


def made(where: str, cls: Callable[..., Part], conf: Any, **given: Any) -> Part:
    """A part from its options.

    Args:
        where: key of the YAML that they stand under, for messages.
        cls: the class.
        conf: what the YAML says; None = nothing.
        given: what follows from other keys, unless the YAML says something else.

    Raises:
        UserError: if the options are no mapping, or one of them is unknown, lacking or of another kind.
    """
    own = mapping(where, conf)
    parameters = inspect.signature(cls).parameters
    open_ended = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    unknown = [] if open_ended else sorted(str(name) for name in own if name not in parameters)
    if unknown:
        known = [name for name in parameters if name not in given]
        raise UserError(f"{where}: found {unknown}, expected some of {sorted(known)}")
    check_values(own, kinds_of(cls), where)  # type: ignore[arg-type]
    try:
        inspect.signature(cls).bind(**{**given, **own})
    except TypeError as error:
        raise UserError(f"{where}: {error}; found {sorted(map(str, own))}") from error
    try:
        return cls(**{**given, **own})
    except ValueError as error:  # it speaks of a value
        raise UserError(f"{where}: found {own}, expected other values: {error}") from error
