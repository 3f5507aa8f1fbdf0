"""A long text in phrases that are spoken one after the other: paragraphs, sentences, clauses, words.

Boundaries are those of punctuation, whatever the language; where there is none, text is cut between words, and a word
of thousands of letters anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

_CLOSERS = "\"'’”»)\\]}」』】）》〉"
#: a full stop of a script that puts no blank behind it; one of full width may be a number's decimal point
_WIDE_STOP = r"(?:[。！？｡]|(?<!\d)．|．(?!\d))"
_WIDE_COMMA = r"(?:[、；､—]|(?<!\d)[，：]|[，：](?!\d))"
#: Latin, Greek, Arabic, Urdu, Hindi, Armenian, Amharic, Khmer, Burmese, Tibetan; a blank follows
_STOPS = ".!?…‽؟۔।॥։።៕။།"
#: words that a full stop follows within a sentence; without capitals some of them are others (no, ms, m)
_TITLES = set("Mr Mrs Ms Dr Prof St Jr Sr vs No e.g i.e z.B bzw ca Nr M Mme Sra".split())
_SHORT = _TITLES | {title.lower() for title in _TITLES - {"No", "Ms", "M"}}
# no pattern begins within a run of what it begins with: one of thousands is looked at once
_PARAGRAPH = re.compile(r"(?<!\s)\s*(?:\n[^\S\n]*(?:\r?\n)+|\u2029)\s*")
_SENTENCE = re.compile(rf"{_WIDE_STOP}+[{_CLOSERS}]*\s*|(?<![{_STOPS}])[{_STOPS}]+[{_CLOSERS}]*\s+")
_CLAUSE = re.compile(rf"{_WIDE_COMMA}+\s*|[,;:،؛–…{_STOPS}][{_CLOSERS}]*\s+|(?<!\s)\s+[-–—]+\s+")
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
    small = text == text.lower()  # no capital tells where a sentence begins
    for part in _parts(text, [m.end() for m in _PARAGRAPH.finditer(text)]):
        ends = (m.end() for m in _SENTENCE.finditer(part) if _is_end(part, m, small))
        found += [Phrase(sentence) for sentence in _parts(part, ends)]
        found[-1] = Phrase(found[-1].text, PARAGRAPH)
    return found


def _parts(text: str, ends: Iterable[int]) -> list[str]:
    """A text cut at each place; one empty part of an empty text."""
    inside = [end for end in ends if 0 < end < len(text)]
    return [text[a:b] for a, b in zip([0, *inside], [*inside, len(text)], strict=True)]


def _is_end(text: str, stop: re.Match[str], small: bool = True) -> bool:
    """Whether a mark of punctuation ends anything: no initial or title, and unless `small` no small letter follows."""
    if stop[0][0] not in _STOPS:
        return True
    if not small and text[stop.end() : stop.end() + 1].islower():
        return False
    begin = stop.start()
    word = re.split(r"[\s(]", text[max(0, begin - 12) : begin])[-1].lstrip("\"'“„‘«[{¿¡")
    short = word in _SHORT or (len(word) == 1 and word.isupper())
    return not (short and stop[0].rstrip() == ".")


def _clauses(text: str, least: int = 0) -> list[int]:
    """Where clauses of a text end, from its character `least` on."""
    return [m.end() for m in _CLAUSE.finditer(text, least) if _is_end(text, m)]


def halves(phrase: Phrase) -> tuple[Phrase, Phrase] | None:
    """Two parts of a phrase that is too long: cut near its middle between clauses, else words, else letters.

    Returns:
        None for one that cannot be cut.
    """
    text, middle = phrase.text, len(phrase.text) / 2
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    for places, pause in ((_clauses, CLAUSE), (_words, NOWHERE), (_letters, NOWHERE)):
        inside = [p for p in places(text) if first < p < last]  # more than blanks on either side
        if places is _clauses:  # one word alone is no half
            inside = [p for p in inside if middle / 2 <= p <= 1.5 * middle]
        if inside:
            at = min(inside, key=lambda place: abs(place - middle))
            return Phrase(text[:at], pause), Phrase(text[at:], phrase.pause)
    return None


def _words(text: str) -> list[int]:
    return [m.end() for m in _WORD.finditer(text)]


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
    for at in _clauses(phrase.text, least):
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
