"""English text as written -> as spoken: "Dr. Lee paid $5" -> "Doctor Lee paid five dollars".

A list of rules, each a pattern and what to say, is applied in order, the specific before the
general: a date is one before its numbers are numbers. What comes out holds no digit, and putting it
in again changes nothing. Case and punctuation stay. Roman numerals and acronyms are left alone.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from espnet_ext.text import numbers
from espnet_ext.text.lexicon import (
    ABBREVIATIONS,
    CURRENCIES,
    CURRENCY_PLURALS,
    FOLDING,
    MONTHS,
    SHORT_MONTHS,
    SYMBOLS,
    TITLES,
    UNITS,
)

Rule = tuple[re.Pattern[str], Callable[["Normalizer", re.Match[str]], str]]

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"  # 1,234 or 1234
_DECIMAL = rf"(?:{_NUMBER}(?:\.[0-9]+)?|\.[0-9]+)"
_BEFORE, _AFTER = r"(?<![0-9A-Za-z.,])", r"(?![0-9A-Za-z])"
_MONTH = "|".join([*MONTHS, *(rf"{short}\b\.?" for short in SHORT_MONTHS)])
_HALF = r"(?:\s*(?P<half>[ap])\.?\s?m\b(?P<stop>\.)?)"  # a.m. and p.m. in all spellings
_SCALE = r"(?:\s+(?P<scale>thousand|million|billion|trillion))?\b"
_MAX_PASSES = 4


def _one_of(names: dict[str, object] | dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


@dataclass(frozen=True)
class Normalizer:
    """Reads English text aloud, in writing.

    Attributes:
        british: "one hundred and one" instead of "one hundred one".
        day_first: 3/4/2021 is the third of April instead of March fourth.
    """

    british: bool = False
    day_first: bool = False

    def __call__(self, text: str) -> str:
        """The spoken form of `text`; any string is allowed, white space is made single."""
        for _ in range(
            _MAX_PASSES
        ):  # one does nearly always; removed signs may join what they parted
            before, text = text, self._once(text)
            if text == before:
                break
        return text

    def _once(self, text: str) -> str:
        text = fold(text)
        starts_with_number = bool(re.match(r"[0-9$£€¥#]|No\.", text))
        for pattern, say in _RULES:
            text = pattern.sub(functools.partial(say, self), text)
        text = tidy(text)
        return text[:1].upper() + text[1:] if starts_with_number else text

    # -- parts of rules ------------------------------------------------------------------------

    def number(self, text: str) -> str:
        """A number as written, with or without decimals."""
        say = numbers.decimal if "." in text else numbers.cardinal
        return say(text, self.british)

    def date(self, month: str, day: str, year: str = "") -> str:
        """ "3", "4", "2021" -> "March fourth, twenty twenty-one"."""
        if len(year) == 2:
            year = ("20" if year < "50" else "19") + year
        said = f"{MONTHS[int(month) - 1]} {numbers.ordinal(day, self.british)}"
        return f"{said}, {numbers.year(year, self.british)}" if year else said

    def amount(self, text: str, unit: str) -> str:
        """A number and the unit it counts, in the plural unless it is one."""
        if text.replace(",", "") == "1":
            return f"one {unit}"
        head, *rest = unit.split(" ", 1) if unit.startswith("degree") else [unit]
        if " per " in unit:
            head, rest = unit.split(" per ")[0], ["per " + unit.split(" per ")[1]]
        name = CURRENCY_PLURALS.get(head) or numbers.plural(head)
        if name.endswith("hertzs"):
            name = head
        return " ".join([self.number(text), name, *rest])


def fold(text: str) -> str:
    """Typographic signs, full-width forms and digits of other scripts -> plain ones."""
    text = "".join(FOLDING.get(c, c) for c in _parted_fractions(text))
    text = unicodedata.normalize("NFKC", text)
    return "".join(_plain(c) for c in text)


def _parted_fractions(text: str) -> str:
    """A blank before every fraction sign, so that 5½ is not read 51/2."""
    return "".join(f" {c}" if unicodedata.numeric(c, 0) % 1 else c for c in text)


def _plain(character: str) -> str:
    character = FOLDING.get(character, character)
    if character.isascii():
        return character if character.isprintable() else " "
    if character.isdigit():
        return str(unicodedata.digit(character, 0))
    return character


def tidy(text: str) -> str:
    """Single white space, none before punctuation that closes or after brackets that open."""
    text = re.sub(r"\s+([,.;:!?)\]])", r"\1", " ".join(text.split()))
    return re.sub(r"([(\[])\s+", r"\1", text)


_RULES: list[Rule] = []


def _rule(pattern: str, flags: int = 0) -> Callable[..., Callable[..., str]]:
    """Add a rule: where the pattern is found, what the decorated function says."""

    def add(say: Callable[[Normalizer, re.Match[str]], str]) -> Callable[..., str]:
        _RULES.append((re.compile(pattern, flags), say))
        return say

    return add


def _valid(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


# -- abbreviations ---------------------------------------------------------------------------------


def _stop(match: re.Match[str]) -> str:
    """The full stop of an abbreviation that ends the text ends the sentence too."""
    return "." if match.end() == len(match.string) else ""


@_rule(r"\bSt\.(?=\s+[A-Z])")
def _saint(n: Normalizer, m: re.Match[str]) -> str:
    return "Saint"


@_rule(r"\bSt\.")
def _street(n: Normalizer, m: re.Match[str]) -> str:
    return "Street" + _stop(m)


@_rule(r"(?<=[a-z] )Dr\.(?!\s+[A-Z])")
def _drive(n: Normalizer, m: re.Match[str]) -> str:
    return "Drive" + _stop(m)


@_rule(r"\bDr\.\s*")
def _doctor(n: Normalizer, m: re.Match[str]) -> str:
    return "Doctor "


@_rule(rf"\b({_one_of(TITLES)})\.\s*")
def _title(n: Normalizer, m: re.Match[str]) -> str:
    return TITLES[m[1]] + " "


@_rule(rf"\b({_one_of(ABBREVIATIONS)})\.")
def _abbreviation(n: Normalizer, m: re.Match[str]) -> str:
    return ABBREVIATIONS[m[1]] + _stop(m)


@_rule(r"(?:\b[Nn]os?\.|#)\s*(?=[0-9])")
def _numero(n: Normalizer, m: re.Match[str]) -> str:
    return "number "


# -- dates -----------------------------------------------------------------------------------------


@_rule(rf"{_BEFORE}([0-9]{{4}})-([0-9]{{1,2}})-([0-9]{{1,2}}){_AFTER}")
def _iso_date(n: Normalizer, m: re.Match[str]) -> str:
    return n.date(m[2], m[3], m[1]) if _valid(m[2], m[3]) else m[0]


@_rule(rf"{_BEFORE}([0-9]{{1,2}})/([0-9]{{1,2}})/([0-9]{{4}}|[0-9]{{2}}){_AFTER}")
def _slashed_date(n: Normalizer, m: re.Match[str]) -> str:
    month, day = (m[2], m[1]) if n.day_first else (m[1], m[2])
    return n.date(month, day, m[3]) if _valid(month, day) else m[0]


@_rule(
    rf"\b({_MONTH})\s+([0-9]{{1,2}})(?:st|nd|rd|th)?(?![0-9A-Za-z:/%]|[.,][0-9])"
    r"(?:(,?\s+)([0-9]{4})(?![0-9A-Za-z]|[.,][0-9]))?"
)
def _month_day(n: Normalizer, m: re.Match[str]) -> str:
    year = f"{m[3]}{numbers.year(m[4], n.british)}" if m[4] else ""
    return f"{_month(m[1])} {numbers.ordinal(m[2], n.british)}{year}"


@_rule(rf"{_BEFORE}([0-9]{{1,2}})(?:st|nd|rd|th)?\s+(of\s+)?({_MONTH})(?![A-Za-z])")
def _day_month(n: Normalizer, m: re.Match[str]) -> str:
    the = "" if m[2] else "the "
    return f"{the}{numbers.ordinal(m[1], n.british)} of {_month(m[3])}"


@_rule(rf"\b({_one_of(SHORT_MONTHS)})\.(?=\s)")
def _short_month(n: Normalizer, m: re.Match[str]) -> str:
    return SHORT_MONTHS[m[1]]


def _month(name: str) -> str:
    return SHORT_MONTHS.get(name.rstrip("."), name)


# -- times -----------------------------------------------------------------------------------------


@_rule(rf"{_BEFORE}([0-9]{{1,2}}):([0-5][0-9])(?::([0-5][0-9]))?(?![0-9:]){_HALF}?", re.I)
def _clock(n: Normalizer, m: re.Match[str]) -> str:
    hour, minute, second = str(int(m[1])), m[2], m[3]
    said = [numbers.cardinal(hour)]
    if minute != "00" or second:
        said.append(("oh " if minute[0] == "0" else "") + numbers.cardinal(str(int(minute))))
    elif not m["half"]:
        said.append("hundred" if int(hour) > 12 else "o'clock")
    if second:
        said.append(f"and {n.amount(str(int(second)), 'second')}")
    return " ".join(said) + _half(m)


@_rule(rf"{_BEFORE}([0-9]{{1,2}}){_HALF}", re.I)
def _hour(n: Normalizer, m: re.Match[str]) -> str:
    return numbers.cardinal(str(int(m[1]))) + _half(m)


def _half(m: re.Match[str]) -> str:
    if not m["half"]:
        return " "
    return f" {m['half'].lower()} m{_stop(m) if m['stop'] else ' '}"


# -- money, telephone, units -----------------------------------------------------------------------


@_rule(rf"([{''.join(CURRENCIES)}])\s?({_DECIMAL}){_SCALE}")
def _money(n: Normalizer, m: re.Match[str]) -> str:
    one, hundredth = CURRENCIES[m[1]]
    whole, _, cents = m[2].partition(".")
    if m["scale"]:
        return f"{n.number(m[2])} {m['scale']} {_plural_money(one)} "
    if cents and len(cents) != 2:
        return f"{n.number(m[2])} {_plural_money(one)} "
    said = [n.amount(whole, one)] if whole.strip("0") or not cents.strip("0") else []
    if cents.strip("0"):
        said.append(n.amount(str(int(cents)), hundredth))
    return " and ".join(said) + " "


def _plural_money(one: str) -> str:
    return CURRENCY_PLURALS.get(one) or numbers.plural(one)


@_rule(rf"{_BEFORE}({_DECIMAL})\s?([{''.join(CURRENCIES)}])(?![0-9])")
def _money_after(n: Normalizer, m: re.Match[str]) -> str:
    return n.amount(m[1], CURRENCIES[m[2]][0]) + " "


@_rule(r"(?<![0-9A-Za-z.,/-])(?:\+[0-9]{1,3}[ -])?(?:\([0-9]{3}\) ?|[0-9]{3}[ -])?"
       r"[0-9]{3}-[0-9]{4}(?![0-9A-Za-z-])")  # fmt: skip
def _telephone(n: Normalizer, m: re.Match[str]) -> str:
    return ("plus " if m[0].startswith("+") else "") + numbers.spell(m[0])


@_rule(rf"({_DECIMAL})\s?%")
def _percent(n: Normalizer, m: re.Match[str]) -> str:
    return f"{n.number(m[1])} percent "


@_rule(r"(?<![0-9A-Za-z.,])'?([1-9][0-9]{2}0|[2-9]0)'?s\b")
def _decade(n: Normalizer, m: re.Match[str]) -> str:
    return numbers.decade(m[1], n.british)


@_rule(rf"{_BEFORE}({_DECIMAL})\s?({_one_of(UNITS)})(?![A-Za-z0-9^'])")
def _unit(n: Normalizer, m: re.Match[str]) -> str:
    return n.amount(m[1], UNITS[m[2]]) + " "


# -- numbers ---------------------------------------------------------------------------------------


@_rule(rf"{_BEFORE}(?:([0-9]+)\s+)?([0-9]{{1,3}})/([0-9]{{1,3}})(?![0-9A-Za-z/])")
def _fraction(n: Normalizer, m: re.Match[str]) -> str:
    if m[1]:
        return numbers.mixed(m[1], m[2], m[3], n.british)
    return numbers.fraction(m[2], m[3], n.british)


@_rule(rf"({_NUMBER})(?:st|nd|rd|th)\b", re.I)
def _ordinal(n: Normalizer, m: re.Match[str]) -> str:
    return f" {numbers.ordinal(m[1], n.british)} "


@_rule(rf"(?<=[0-9])\s?-\s?(?={_DECIMAL}(?![0-9-]))")
def _range(n: Normalizer, m: re.Match[str]) -> str:
    return " to "


@_rule(r"(?:^|(?<=[\s(=]))[-]\s?(?=\.?[0-9])")
def _minus(n: Normalizer, m: re.Match[str]) -> str:
    return "minus "


@_rule(r"(?<![0-9A-Za-z.,])(?:1[1-9]|20)[0-9]{2}(?![0-9A-Za-z]|[.,][0-9])")
def _year(n: Normalizer, m: re.Match[str]) -> str:
    return numbers.year(m[0], n.british)


@_rule(r"[0-9]*(?:\.[0-9]+){2,}|" + _DECIMAL)
def _number(n: Normalizer, m: re.Match[str]) -> str:
    return f" {n.number(m[0])} "


@_rule(f"[{re.escape(''.join(SYMBOLS))}]")
def _symbol(n: Normalizer, m: re.Match[str]) -> str:
    return f" {SYMBOLS[m[0]]} "


normalize = Normalizer()
