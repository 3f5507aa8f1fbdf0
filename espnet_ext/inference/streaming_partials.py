"""What is shown while somebody speaks: words that are there to stay, and how often they were not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from espnet_ext.inference.streaming_search import Heard, agreed

Words = tuple[str, ...]

#: Thai, Lao, Tibetan, Burmese, Khmer, Chinese and Japanese; Hangul, which is among them, has spaces.
_UNSPACED = (
    r"\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3001-\u312f\u3190-\ua4cf\uf900-\ufaff\uff65-\uff9f"
    r"\U00020000-\U0003ffff"
)
#: Their signs above and below a letter, which stay with it.
_MARKS = (
    r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u0f90-\u0fbc"
    r"\u102b-\u103e\u17b6-\u17d3\u3099\u309a"
)
_UNIT = re.compile(rf"[{_UNSPACED}][{_MARKS}]*|[^\s{_UNSPACED}]+")
_LETTER = re.compile(rf"[{_UNSPACED}]")


def units(text: str) -> list[str]:
    """What is shown at a time: words, and characters of scripts without spaces between words.

    >>> units("a word"), units("今日は OK"), units("안녕 하세요")
    (['a', 'word'], ['今', '日', 'は', 'OK'], ['안녕', '하세요'])
    """
    return _UNIT.findall(text)


def joined(found: Sequence[str]) -> str:
    """Units as a person reads them: no space beside characters of scripts without.

    >>> joined(["a", "word"]), joined(["今", "日", "は"])
    ('a word', '今日は')
    """
    pairs = zip(["", *found], found, strict=False)
    return "".join(
        unit if not before or _LETTER.match(before) or _LETTER.match(unit) else f" {unit}"
        for before, unit in pairs
    )


class Shown:
    """Words on the screen; see `units`.

    A word appears when all likely prefixes agree on it and it is over: the next one has begun, or there was a pause.
    It does not go because they disagree again, only when they agree on something else.

    Args:
        text_of: token numbers -> text.
        margin: prefixes that are so much less likely (natural logarithm) have no say.
    """

    def __init__(self, text_of: Callable[[Sequence[int]], str], margin: float) -> None:
        self.text_of, self.margin = text_of, margin
        self.words: Words = ()

    def update(self, heard: Sequence[Heard], pause: bool) -> Words:
        """The words to show now.

        Args:
            heard: prefixes, best first.
            pause: whether nothing was said for a while, so that the last word is over.
        """
        best, tokens = heard[0].tokens, agreed(heard, self.margin)
        words = tuple(units(self.text_of(tokens)))
        over = pause and tokens == best
        if not over and len(units(self.text_of(best[: len(tokens) + 1]))) <= len(words):
            words = words[:-1]
        if words != self.words[: len(words)]:  # more words, or others
            self.words = words
        return self.words


def flicker(partials: Sequence[Words], final: Words) -> tuple[int, int]:
    """How many words were shown and changed or went later, and how many were shown.

    >>> flicker([("a",), ("a", "b"), ("a", "c")], ("a", "c", "d"))
    (1, 3)
    """
    changed = shown = 0
    before: Words = ()
    for words in [*partials, final]:
        kept = sum(a == b for a, b in zip(before, words, strict=False))
        changed += len(before) - kept
        shown += 0 if words is final else len(words) - kept
        before = words
    return changed, shown
