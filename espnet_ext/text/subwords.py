"""Byte tokens, so that no character is lost, and WordPiece.

A token list that holds all of `<0x00>` ... `<0xFF>` (sentencepiece's names) says by that alone that
what it lacks is spelled in UTF-8 bytes: nothing else has to be stored with a model. Where tokens are
words a space before a spelled word is spelled too, as `<0x20>`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

BYTE_TOKENS = tuple(f"<0x{value:02X}>" for value in range(256))
_VALUES = {token: value for value, token in enumerate(BYTE_TOKENS)}
CONTINUED = "##"


def spell(text: str) -> list[str]:
    """The UTF-8 bytes of `text` as tokens.

    >>> spell("é")
    ['<0xC3>', '<0xA9>']
    """
    return [BYTE_TOKENS[value] for value in text.encode("utf-8", "surrogatepass")]


def join_spelled(tokens: Iterable[str], write: Callable[[str], str]) -> str:
    """Runs of byte tokens decoded (a broken one as U+FFFD), every other token as `write` has it."""
    parts: list[str] = []
    run = bytearray()
    for token in tokens:
        if token in _VALUES:
            run.append(_VALUES[token])
            continue
        parts += [run.decode("utf-8", "replace"), write(token)]
        run.clear()
    return "".join([*parts, run.decode("utf-8", "replace")])


def spells(tokens: Container[str]) -> bool:
    """Whether a token list can spell what it lacks."""
    return all(token in tokens for token in BYTE_TOKENS)


class SpellingWords:
    """Words between white space; one that is not known is spelled.

    Args:
        known: the words that have a token, without symbols that a reader would not see.
    """

    def __init__(self, known: Container[str]) -> None:
        self.known = known

    def split(self, text: str) -> list[str]:
        tokens: list[str] = []
        for word in text.split():
            if word in self.known and word not in _VALUES:
                tokens.append(word)
            else:
                tokens += spell(f" {word}" if tokens else word)
        return tokens

    def join(self, tokens: Sequence[str]) -> str:
        joined = join_spelled(tokens, lambda token: f" {token}")
        return joined[1:] if tokens and tokens[0] not in _VALUES else joined


class WordPiece:
    """Each word as the longest pieces of the vocabulary from left to right; `##` marks a continuation.

    Source: Wu et al., Google's neural machine translation system (2016), section 4.1; the greedy
    search is that of BERT (Devlin et al. 2019). Unlike BERT's, words are cut at white space alone.

    Args:
        known: the pieces.
        unk: stands for a word that the pieces cannot write; None: what they lack is spelled in bytes.
    """

    def __init__(self, known: Iterable[str], unk: str | None) -> None:
        known = [token for token in known if token not in _VALUES]
        self.starts = {token for token in known if not token.startswith(CONTINUED)}
        self.rests = {token[2:] for token in known if token.startswith(CONTINUED) and token[2:]}
        self.longest = max(map(len, known), default=1)
        self.unk = unk

    def split(self, text: str) -> list[str]:
        tokens: list[str] = []
        for word in text.split():
            tokens += self._word(word, first=not tokens)
        return tokens

    def _word(self, word: str, first: bool) -> list[str]:
        tokens: list[str] = []
        start = 0
        while start < len(word):
            pieces = self.rests if start else self.starts
            ends = range(min(len(word), start + self.longest), start, -1)
            end = next((end for end in ends if word[start:end] in pieces), start)
            if end > start:
                tokens.append((CONTINUED if start else "") + word[start:end])
            elif self.unk is not None:
                return [self.unk]
            else:
                end = start + 1
                tokens += spell(word[start:end] if start or first else f" {word[start:end]}")
            start = end
        return tokens

    def join(self, tokens: Sequence[str]) -> str:
        joined = join_spelled(
            tokens, lambda t: t[2:] if t.startswith(CONTINUED) and t[2:] else f" {t}"
        )
        return joined[1:] if tokens and tokens[0] not in _VALUES and joined[:1] == " " else joined
