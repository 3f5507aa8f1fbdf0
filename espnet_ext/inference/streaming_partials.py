"""What is shown while somebody speaks: words that are there to stay, and how often they were not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from espnet_ext.inference.streaming_search import Heard, agreed

Words = tuple[str, ...]


class Shown:
    """Words on the screen.

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
        words = tuple(self.text_of(tokens).split())
        over = pause and tokens == best
        if not over and len(self.text_of(best[: len(tokens) + 1]).split()) <= len(words):
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
