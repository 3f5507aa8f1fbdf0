"""What `<say-as interpret-as="...">` makes of its text: words that any cleaner leaves as they are."""

from __future__ import annotations

import re
from collections.abc import Callable

from espnet_ext.text import numbers
from espnet_ext.text.lexicon import SYMBOLS
from espnet_ext.text.mend import roman

_SIGNS = {".": "dot", "-": "dash", "_": "underscore", "/": "slash", ":": "colon", ",": "comma"}


def _characters(text: str, _: str) -> str:
    said = (numbers.spell(c) if c in "0123456789" else _sign(c) for c in text)
    return " ".join(filter(None, said))


def _sign(character: str) -> str:
    if character.isalnum():
        return character.upper()
    return _SIGNS.get(character) or SYMBOLS.get(character, "")


def _digits(text: str, _: str) -> str:
    return ("plus " if text.strip().startswith("+") else "") + (numbers.spell(text) or text)


def _cardinal(text: str, _: str) -> str:
    found = re.fullmatch(r"([-−+]?)([0-9][0-9,]*(?:\.[0-9]+)?)", text.strip())
    if not found:
        return text
    sign = {"": "", "+": "plus "}.get(found[1], "minus ")
    say = numbers.decimal if "." in found[2] else numbers.cardinal
    return sign + say(found[2])


def _ordinal(text: str, _: str) -> str:
    bare = text.strip()
    if re.fullmatch("(?=.)[XVI]{1,8}", bare):
        return numbers.ordinal(str(roman(bare)))
    found = re.fullmatch(r"([0-9][0-9,]*)(?:st|nd|rd|th)?", bare)
    return numbers.ordinal(found[1]) if found else text


def _read(text: str, order: str) -> str:
    from espnet_ext.text.spoken import Speaker

    return Speaker(day_first=order.lower().startswith("d"))(text)


_SAY: dict[str, Callable[[str, str], str]] = {
    **dict.fromkeys(("characters", "spell-out", "verbatim"), _characters),
    **dict.fromkeys(("digits", "telephone"), _digits),
    **dict.fromkeys(("cardinal", "number"), _cardinal),
    "ordinal": _ordinal,
    **dict.fromkeys(("date", "time", "currency", "fraction", "measure", "unit", "address"), _read),
}
KINDS = tuple(_SAY)


def say_as(text: str, kind: str, order: str = "") -> str:
    """`text` as words; as it is if it is nothing of that kind.

    >>> say_as("B2B", "characters"), say_as("555-12", "telephone"), say_as("3", "ordinal")
    ('B two B', 'five five five, one two', 'third')

    Args:
        text: what stands in the element.
        kind: its interpret-as, one of `KINDS`.
        order: its format; of a date dmy or mdy.
    """
    return _SAY[kind](text, order) if kind in _SAY and text.strip() else text
