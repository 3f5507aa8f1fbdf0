"""Phrase breaks and emphasis of English, by rules that fit on a page.

Boundaries have three strengths, the break indices of ToBI (Silverman et al. 1992) that a text shows: 4 (an intonation
phrase ends: a full stop, a comma, a colon), 3 (an intermediate phrase ends) and 1 (words that run on).
Strength 3 has two rules. After a content word comes a function word that opens a constituent
(conjunction, relative, preposition: the chinks and chunks of Liberman & Church 1992), the phrase so
far has at least four words and three more follow. An intonation phrase of more than nine words without
such a place is broken near its middle, between a content and a function word. Pauses are suggestions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: words that open a constituent
_OPENERS = frozenset(
    (
        "and but or nor so yet because although though while when where whereas if unless until since after "
        "before that which who whom whose of in on at by for with from to into onto over under about against "
        "between through during without within among across behind beyond toward towards upon like as than"
    ).split()
)
_FUNCTION = _OPENERS | frozenset(
    (
        "a an the this these those my your his her its our their some any no every each i you he she it we "
        "they me him us them am is are was were be been being do does did have has had will would shall should "
        "can could may might must not there what how why up down out off"
    ).split()
)
_MARKS = {".": 4, "!": 4, "?": 4, "…": 4, ";": 4, ":": 4, ",": 4, "—": 4, "–": 4, "(": 4, ")": 4}
_PAUSES = {
    ".": 0.6,
    "!": 0.6,
    "?": 0.6,
    "…": 0.6,
    ";": 0.4,
    ":": 0.4,
    ",": 0.25,
    "—": 0.3,
    "–": 0.3,
}
_WORD = re.compile(
    r"(?P<word>\w+(?:[.,:]\d+)*(?:['’\-]\w+)*)|(?P<mark>\.\.\.|--|[^\w\s])", re.UNICODE
)
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]{1,200}?)(?<=\S)\*(?![\w*])")
_LEAST, _MOST, _EITHER_SIDE = 4, 9, 3


@dataclass(frozen=True)
class Word:
    """A word and what a voice has to know of its place."""

    text: str
    start: int  # place of its first character in the text without marks of emphasis
    marks: str  # punctuation between it and the next word
    boundary: int  # after it: 1 none, 3 intermediate phrase, 4 intonation phrase
    pause_s: float  # silence that the boundary suggests, seconds
    emphasis: bool  # written *so*


def strip_emphasis(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without `*` around emphasised words, and where those are (first character, end).

    A `*` that does not stand around words (5 * 3, a footnote*) stays.

    >>> strip_emphasis("I *did* say 2 * 3")
    ('I did say 2 * 3', [(2, 5)])
    """
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    end = length = 0
    for match in _EMPHASIS.finditer(text):
        parts.append(text[end : match.start()])
        length += len(parts[-1])
        parts.append(match[1])
        places.append((length, length + len(match[1])))
        length += len(match[1])
        end = match.end()
    return "".join([*parts, text[end:]]), places


def words(text: str, emphasised: Sequence[tuple[int, int]] | None = None) -> list[Word]:
    """The words of a text with phrase boundaries and emphasis; the last boundary is 4.

    Args:
        text: normalised text ("Dr." would end a phrase), with `*` around emphasised words.
        emphasised: where emphasised words are, if the text has no such marks.
    """
    if emphasised is None:
        text, emphasised = strip_emphasis(text)
    found: list[tuple[str, int, str]] = []
    for match in _WORD.finditer(text):
        if match["word"]:
            found.append((match["word"], match.start(), ""))
        elif found:
            found[-1] = (*found[-1][:2], found[-1][2] + match["mark"])
    boundaries = phrase_breaks([word for word, _, _ in found], [marks for _, _, marks in found])
    return [
        Word(
            text=word,
            start=start,
            marks=marks,
            boundary=boundary,
            pause_s=_pause(marks, boundary),
            emphasis=any(first <= start < end for first, end in emphasised),
        )
        for (word, start, marks), boundary in zip(found, boundaries, strict=True)
    ]


def phrase_breaks(words: Sequence[str], marks: Sequence[str]) -> list[int]:
    """The strength of the boundary after each word (1, 3 or 4), by the rules of this module.

    Args:
        words: the words.
        marks: the punctuation after each.
    """
    breaks = [max((_MARKS.get(m, 1) for m in _signs(after)), default=1) for after in marks]
    if breaks:
        breaks[-1] = 4
    start = 0
    for end in [i + 1 for i, strength in enumerate(breaks) if strength == 4]:
        for place in _inner_breaks([w.lower() for w in words[start:end]]):
            breaks[start + place] = 3
        start = end
    return breaks


def _inner_breaks(phrase: Sequence[str]) -> list[int]:
    """Indices of the words of an intonation phrase after which an intermediate phrase ends."""
    places = [
        i for i in range(len(phrase) - 1)
        if phrase[i] not in _FUNCTION and phrase[i + 1] in _OPENERS
    ]  # fmt: skip
    found: list[int] = []
    start = 0
    for place in places:
        rest = len(phrase) - 1 - place
        if place + 1 - start >= _LEAST and rest >= _EITHER_SIDE:
            found.append(place)
            start = place + 1
    return found or _middle(phrase)


def _middle(phrase: Sequence[str]) -> list[int]:
    """One break for a long phrase that has none: after a content word, near its middle."""
    if len(phrase) <= _MOST:
        return []
    inside = range(_EITHER_SIDE - 1, len(phrase) - _EITHER_SIDE)
    content = [i for i in inside if phrase[i] not in _FUNCTION and phrase[i + 1] in _FUNCTION]
    return [min(content, key=lambda i: abs(2 * i + 2 - len(phrase)))] if content else []


def _signs(marks: str) -> list[str]:
    return list(marks.replace("...", "…").replace("--", "—"))


def _pause(marks: str, boundary: int) -> float:
    """Seconds: the longest of the marks', a tenth for a break without one."""
    suggested = max((_PAUSES.get(m, 0.0) for m in _signs(marks)), default=0.0)
    return suggested or {4: 0.25, 3: 0.1}.get(boundary, 0.0)
