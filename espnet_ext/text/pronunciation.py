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


_AROUND = "'‘’_"  # at a word of the lexicon: quotation marks and marks of emphasis
_LETTER = r"[^\W_]"
TOKEN = rf"{_LETTER}+(?:['’]{_LETTER}+)*"


def _straight(word: str) -> str:
    return word.replace("’", "'")


def _pattern(lexicon: Lexicon) -> re.Pattern[str]:
    """Anything that may stand in the lexicon: words, and those of its entries that hold signs."""
    signs = [word for word in lexicon if not re.fullmatch(TOKEN, word)]
    longest_first = sorted(signs, key=lambda word: (-len(word), word))
    entries = "|".join(re.escape(word).replace("'", "['’]") for word in longest_first)
    inside = f"(?:{entries})(?:['’]s)?(?!['’]?{_LETTER})|{TOKEN}" if entries else TOKEN
    return re.compile(rf"(?<!{_LETTER})(?<!{_LETTER}['’])(?:{inside})", re.IGNORECASE)


def _ending(last: str) -> tuple[str, ...]:
    """The phonemes of 's after a phoneme, in its alphabet: ARPAbet, or IPA (also in single characters)."""
    arpabet = last.isascii() and last.isupper()
    bare = last.rstrip("ːˑ")
    if bare in ("S", "Z", "SH", "ZH", "CH", "JH") or bare[-1:] in ("s", "z", "ʃ", "ʒ"):
        return ("IH0", "Z") if arpabet else ("ɪ", "z")
    if bare in ("P", "T", "K", "F", "TH") or bare[-1:] in ("p", "t", "k", "f", "θ"):
        return ("S",) if arpabet else ("s",)
    return ("Z",) if arpabet else ("z",)


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
        english: `word's` is the word of the lexicon with an English ending.
    """

    def __init__(
        self,
        g2p: G2p,
        lexicon: Lexicon,
        space: str | None = None,
        characters: bool = False,
        apart: bool = False,
        english: bool = False,
    ) -> None:
        self.g2p, self.space, self.apart, self.english = g2p, space, apart, english
        self.lexicon = {
            _straight(word): tuple("".join(phonemes)) if characters else tuple(phonemes)
            for word, phonemes in lexicon.items()
        }
        self._words = _pattern(self.lexicon)

    def __call__(self, text: str) -> list[str]:
        """`text` -> phonemes."""
        phonemes: list[str] = []
        for stretch, of_lexicon in self._stretches(text):
            self._append(phonemes, stretch, of_lexicon)
        if self.space is not None and phonemes[-1:] == [self.space]:
            phonemes.pop()
        return phonemes

    def _stretches(self, text: str) -> list[tuple[str, tuple[str, ...] | None]]:
        """`text` cut at the words that the lexicon has, with their phonemes (None for the rest).

        Quotation marks around such a word are silent.
        """
        stretches: list[tuple[str, tuple[str, ...] | None]] = []
        start = 0
        for match in self._words.finditer(text):
            phonemes = self._look_up(_straight(match[0]))
            if phonemes is None:
                continue
            before = text[start : match.start()].rstrip(_AROUND)
            stretches += [(before.lstrip(_AROUND) if start else before, None), (match[0], phonemes)]
            start = match.end()
        rest = text[start:].lstrip(_AROUND) if start else text
        return [s for s in [*stretches, (rest, None)] if s[0]]

    def holds(self, word: str) -> bool:
        """Whether the lexicon has a word (with the English ending 's where that may be added)."""
        return self._look_up(_straight(word)) is not None

    def _look_up(self, word: str) -> tuple[str, ...] | None:
        found = self.lexicon.get(word) or self.lexicon.get(word.lower())
        if found is None and self.english and word[-2:].lower() == "'s":
            base = self._look_up(word[:-2])
            return None if base is None else (*base, *_ending(base[-1]))
        return found

    def _append(
        self, phonemes: list[str], stretch: str, of_lexicon: tuple[str, ...] | None
    ) -> None:
        found = list(of_lexicon) if of_lexicon is not None else self._convert(stretch)
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
