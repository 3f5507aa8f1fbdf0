"""A long text in phrases that are spoken one after the other: paragraphs, sentences, clauses, words.

Boundaries are those of punctuation, whatever the language; where there is none, text is cut between words, and a word
of thousands of letters anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CLOSERS = "\"'’”»)\\]}」』】）》〉"
#: a full stop of a script that puts no blank behind it
_WIDE_STOPS = "。！？｡．"
#: Latin, Greek, Arabic, Urdu, Hindi, Armenian, Amharic, Khmer, Burmese, Tibetan; a blank follows
_STOPS = ".!?…‽؟۔।॥։።៕။།"
_TITLES = "Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|No|e\\.g|i\\.e|z\\.B|bzw|ca|Nr|M|Mme|Sra?"
_PARAGRAPH = re.compile(r"\s*(?:\n[^\S\n]*(?:\r?\n)+|\u2029)\s*")
_SENTENCE = re.compile(
    rf"[{_WIDE_STOPS}]+[{_CLOSERS}]*\s*|(?<![\s(][A-Z])(?<!^[A-Z])[{_STOPS}]+[{_CLOSERS}]*\s+(?=[^a-z\s])"
)
#: where a text has no capitals, none can tell a sentence's beginning
_SMALL_SENTENCE = re.compile(rf"[{_WIDE_STOPS}]+[{_CLOSERS}]*\s*|[{_STOPS}]+[{_CLOSERS}]*\s+")
_ABBREVIATION = re.compile(rf"(?:^|[\s(])(?:{_TITLES})\.\s+$")
_CLAUSE = re.compile(rf"[、，；：､—]+\s*|[,;:،؛–…{_STOPS}][{_CLOSERS}]*\s+|\s+[-–—]+\s+")
_WORD = re.compile(r"\s+|\u200b")
_JOINERS = "\u200d\ufe0e\ufe0f"
#: silence behind a phrase, against that behind a sentence
PARAGRAPH, SENTENCE, CLAUSE, NOWHERE = 2.0, 1.0, 0.5, 0.0


@dataclass(frozen=True)
class Phrase:
    """What is spoken in one go.

    Attributes:
        text: as written.
        pause: after it, against that after a sentence: 2 after a paragraph, 0 where only length made the cut.
    """

    text: str
    pause: float = SENTENCE


def sentences(text: str) -> list[Phrase]:
    """All of a text in order; together they are the text.

    Example:
        >>> [p.text for p in sentences("Dr. No? Yes! 3.5 km. 你好。再见。")]
        ['Dr. No? ', 'Yes! ', '3.5 km. ', '你好。', '再见。']
    """
    found: list[Phrase] = []
    boundary = _SMALL_SENTENCE if text == text.lower() else _SENTENCE
    for part in _parts(text, _PARAGRAPH):
        begin = len(found)
        for sentence in _parts(part, boundary):
            if len(found) > begin and _ABBREVIATION.search(found[-1].text):
                sentence = found.pop().text + sentence
            found.append(Phrase(sentence))
        found[-1] = Phrase(found[-1].text, PARAGRAPH)
    return found


def _parts(text: str, boundary: re.Pattern[str]) -> list[str]:
    """A text cut behind each boundary; one empty part of an empty text."""
    ends = [m.end() for m in boundary.finditer(text) if 0 < m.end() < len(text)]
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


def halves(phrase: Phrase) -> tuple[Phrase, Phrase] | None:
    """Two parts of a phrase that is too long: cut near its middle between clauses, else words, else letters.

    Returns:
        None for one that cannot be cut.
    """
    text, middle = phrase.text, len(phrase.text) / 2
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    for boundary, pause in ((_CLAUSE, CLAUSE), (_WORD, NOWHERE), (None, NOWHERE)):
        places = _letters(text) if boundary is None else [m.end() for m in boundary.finditer(text)]
        inside = [p for p in places if first < p < last]  # more than blanks on either side
        if boundary is _CLAUSE:  # one word alone is no half
            inside = [p for p in inside if middle / 2 <= p <= 1.5 * middle]
        if inside:
            at = min(inside, key=lambda place: abs(place - middle))
            return Phrase(text[:at], pause), Phrase(text[at:], phrase.pause)
    return None


def _letters(text: str) -> list[int]:
    """Places near the middle between two characters of which the second does not belong to the first."""
    middle = len(text) // 2
    near = range(max(1, middle - 50), min(len(text), middle + 50))
    return [
        place
        for place in near
        if unicodedata.category(text[place])[0] != "M"
        and text[place] not in _JOINERS
        and text[place - 1] not in _JOINERS
    ]


def early(phrase: Phrase, least: int = 20) -> tuple[Phrase, ...]:
    """The first clause of a phrase, of `least` characters or more, and the rest: what is short is heard soon."""
    for match in _CLAUSE.finditer(phrase.text, least):
        at = match.end()
        if phrase.text[at:].strip():
            return Phrase(phrase.text[:at], CLAUSE), Phrase(phrase.text[at:], phrase.pause)
    return (phrase,)


def phrases(
    text: str, length: Callable[[str], int], longest: int, apart: bool = False, soon: bool = False
) -> Iterator[Phrase]:
    """A text in phrases that a model can speak.

    Args:
        text: any; blanks at the ends of phrases stay.
        length: what a model counts of a text: its tokens.
        longest: that it can speak in one go.
        apart: sentence by sentence, also if the text is short.
        soon: the first phrase is short.
    """
    if not apart and len(text) <= 20 * longest and length(text) <= longest:
        yield Phrase(text)
        return
    waiting = sentences(text)[::-1]
    if soon:
        waiting += early(waiting.pop())[::-1]
    while waiting:
        phrase = waiting.pop()
        both = halves(phrase) if length(phrase.text) > longest else None
        if both is None:
            yield phrase
        else:
            waiting += both[::-1]
