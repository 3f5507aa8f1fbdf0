"""The user's own pronunciations, which win over every converter.

A file of `word phonemes` lines, a tab or white space after the word; `#` begins a comment line. The
phonemes are those of the converter in use (ARPAbet for g2p_en, IPA for espeak-ng); a word may be
given in several spellings of case, and a lower-case word stands for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from espnet_ext.errors import UserError

_CONVERTER = "# g2p: "
G2p = Callable[[str], list[str]]
Lexicon = Mapping[str, tuple[str, ...]]


def read_lexicon(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Word -> phonemes.

    Raises:
        UserError: if the file is missing or not UTF-8, a word has no phonemes, or two lines disagree.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such lexicon, expected a file of `word phonemes` lines")
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; convert the file first"
        ) from error
    lexicon: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        word, *phonemes = line.split() or [""]
        if not word or word.startswith("#"):
            continue
        if not phonemes:
            raise UserError(
                f"{path}: line {number}: {word!r} has no phonemes, expected `word phonemes`"
            )
        if lexicon.setdefault(word, tuple(phonemes)) != tuple(phonemes):
            raise UserError(
                f"{path}: line {number}: {word!r} has another pronunciation above "
                f"({' '.join(lexicon[word])}), expected one for each word; remove one"
            )
    return lexicon


def write_lexicon(lexicon: Lexicon, g2p: str | None = None) -> str:
    """The text of a lexicon file, in the order of the words; its first line names the converter of the rest."""
    head = f"{_CONVERTER}{g2p}\n" if g2p else ""
    return head + "".join(f"{word}\t{' '.join(lexicon[word])}\n" for word in sorted(lexicon))


def converter_beside(path: str | Path) -> str | None:
    """The converter that a lexicon file names in its first line, None if it names none."""
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        first = stream.readline()
    return first.removeprefix(_CONVERTER).strip() if first.startswith(_CONVERTER) else None


class LexiconG2p:
    """A converter with a lexicon in front: its words are looked up, what lies between is converted.

    A word next to one of the lexicon's is converted without knowing it: where espeak-ng would
    say "the" otherwise before a vowel, it does not before a word of the lexicon.

    Args:
        g2p: converter of all the rest.
        lexicon: word -> phonemes.
        space: the token between words, None if the converter makes none.
        characters: tokens are single characters (as for VITS): the phonemes are cut up.
        apart: the converter has `space` also between a word and a comma, as g2p_en does.
    """

    def __init__(
        self,
        g2p: G2p,
        lexicon: Lexicon,
        space: str | None = None,
        characters: bool = False,
        apart: bool = False,
    ) -> None:
        self.g2p, self.space, self.apart = g2p, space, apart
        self.lexicon = {
            word: tuple("".join(phonemes)) if characters else tuple(phonemes)
            for word, phonemes in lexicon.items()
        }
        longest_first = sorted(self.lexicon, key=lambda word: (-len(word), word))
        inside = r"(?<![\w'])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![\w']*\w)"
        self._words = re.compile(inside, re.IGNORECASE) if longest_first else None

    def __call__(self, text: str) -> list[str]:
        """`text` -> phonemes."""
        phonemes: list[str] = []
        for stretch, is_word in self._stretches(text):
            self._append(phonemes, stretch, is_word)
        if self.space is not None and phonemes[-1:] == [self.space]:
            phonemes.pop()
        return phonemes

    def _stretches(self, text: str) -> list[tuple[str, bool]]:
        """`text` cut at the words that the lexicon has, with whether it is such a word."""
        stretches, start = [], 0
        for match in self._words.finditer(text) if self._words else ():
            if self._look_up(match[0]) is None:
                continue
            stretches += [(text[start : match.start()], False), (match[0], True)]
            start = match.end()
        return [s for s in [*stretches, (text[start:], False)] if s[0]]

    def _look_up(self, word: str) -> tuple[str, ...] | None:
        return self.lexicon.get(word) or self.lexicon.get(word.lower())

    def _append(self, phonemes: list[str], stretch: str, is_word: bool) -> None:
        found = list(self._look_up(stretch) or ()) if is_word else self._convert(stretch)
        if self.apart or stretch[0].isspace():
            self._add_space(phonemes)
        phonemes += found
        if stretch[-1].isspace():
            self._add_space(phonemes)

    def _convert(self, stretch: str) -> list[str]:
        """Phonemes of a stretch of other words, without spaces at its ends."""
        found = list(self.g2p(stretch.strip())) if stretch.strip() else []
        while found and found[0] == self.space:
            found.pop(0)
        while found and found[-1] == self.space:
            found.pop()
        return found

    def _add_space(self, phonemes: list[str]) -> None:
        if self.space is not None and phonemes and phonemes[-1] != self.space:
            phonemes.append(self.space)
