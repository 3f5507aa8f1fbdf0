"""English number words: cardinals, ordinals, years, decimals, fractions, digits.

American by default ("one hundred one"); `british=True` says "one hundred and one". Numbers come as
strings of ASCII digits, as found in text, so that leading zeros are not lost.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from espnet_ext.errors import UserError

_LONGEST = 15  # digits; longer numbers are read digit by digit, as people do
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@functools.lru_cache(maxsize=8192)
def _words(value: int, kind: str, british: bool) -> str:
    words = _num2words()(value, lang="en", to=kind).replace(",", "")
    return words if british else words.replace(" and ", " ")


def _num2words() -> Any:
    try:
        from num2words import num2words
    except ImportError as error:
        raise UserError(
            f"numbers in words need the package num2words (no module {error.name}): run `pip install num2words`"
        ) from error
    return num2words


def in_language(digits: str, language: str) -> str:
    """A whole number in another language's words; as it stands where nobody knows them.

    >>> in_language("21", "de"), in_language("21", "tlh")
    ('einundzwanzig', '21')
    """
    if len(digits) > _LONGEST or len(language) != 2:  # num2words takes "est" for Spanish
        return digits
    try:
        return str(_num2words()(int(digits), lang=language))
    except (NotImplementedError, OverflowError, KeyError):
        return digits


def spell(text: str) -> str:
    """Digit by digit, anything else is a pause: "555-12" -> "five five five, one two"."""
    groups = re.findall(r"[0-9]+", text)
    return ", ".join(" ".join(_DIGITS[int(digit)] for digit in group) for group in groups)


def cardinal(digits: str, british: bool = False) -> str:
    """ "1,234" -> "one thousand two hundred thirty-four"; "007" and very long ones: digits."""
    plain = digits.replace(",", "")
    if len(plain) > _LONGEST or (len(plain) > 1 and plain[0] == "0"):
        return spell(plain)
    return _words(int(plain), "cardinal", british)


def ordinal(digits: str, british: bool = False) -> str:
    """ "23" -> "twenty-third"."""
    plain = digits.replace(",", "").lstrip("0") or "0"
    if len(plain) > _LONGEST:
        return spell(plain)
    return _words(int(plain), "ordinal", british)


def year(digits: str, british: bool = False) -> str:
    """ "1905" -> "nineteen oh five", "1900" -> "nineteen hundred", 2021 -> "twenty twenty-one"."""
    value = int(digits)
    if not 1000 < value < 2100 or 2000 <= value < 2010 or value == 1000:
        return cardinal(str(value), british)
    century, rest = divmod(value, 100)
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {'oh ' if rest < 10 else ''}{cardinal(str(rest))}"


def decimal(text: str, british: bool = False) -> str:
    """ "3.14" -> "three point one four", ".5" -> "point five", "1.2.3" with two points."""
    whole, *parts = text.split(".")
    said = [cardinal(whole, british)] if whole else []
    for part in parts:
        said += ["point", spell(part)]
    return " ".join(said)


def plural(word: str) -> str:
    """Plural of a number word: "sixty" -> "sixties", "half" -> "halves", "foot" -> "feet"."""
    special = {
        "half": "halves",
        "foot": "feet",
        "inch": "inches",
        "Hertz": "Hertz",
        "hertz": "hertz",
    }
    if word in special:
        return special[word]
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def decade(digits: str, british: bool = False) -> str:
    """ "1990" -> "nineteen nineties", "90" -> "nineties"."""
    said = year(digits, british) if len(digits) == 4 else cardinal(digits, british)
    head, space, last = said.rpartition(" ")
    return head + space + plural(last)


def fraction(over: str, under: str, british: bool = False) -> str:
    """ "1", "2" -> "one half"; "3", "4" -> "three quarters"; denominators above 100: "over"."""
    top, bottom = cardinal(over, british), int(under)
    if not 2 <= bottom <= 100 or under.startswith("0"):
        return f"{top} over {cardinal(under, british)}"
    name = {2: "half", 4: "quarter"}.get(bottom) or ordinal(under, british)
    return f"{top} {name if int(over) == 1 else plural(name)}"


def mixed(whole: str, over: str, under: str, british: bool = False) -> str:
    """ "1", "1", "2" -> "one and a half"."""
    part = fraction(over, under, british)
    if part.startswith("one ") and "over" not in part:
        part = ("an " if part[4] in "e" else "a ") + part[4:]
    return f"{cardinal(whole, british)} and {part}"
