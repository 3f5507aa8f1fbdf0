"""Syllables and stress of English words, from their ARPAbet phonemes.

Between two vowels as many consonants as English allows at the beginning of a word go to the second
one (the maximal onset principle; Kahn 1976). Pronunciations are CMUdict's; a word it lacks is asked
of g2p_en's network, and where that is not installed its vowel letters are counted (`count_by_rule`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from espnet_ext.errors import UserError
from espnet_ext.text.arpabet import look_up, predict

#: what may begin an English syllable, beside any one consonant but NG
_ONSETS = frozenset(
    (
        "P L|P R|P Y|B L|B R|B Y|T R|T W|D R|D W|K L|K R|K W|K Y|G L|G R|G W|F L|F R|F Y|V Y|TH R|TH W|SH R|"
        "M Y|HH Y|HH W|N Y|S P|S T|S K|S M|S N|S F|S L|S W|S P L|S P R|S P Y|S T R|S K L|S K R|S K W|S K Y"
    ).split("|")
)
_VOWEL_LETTERS = re.compile(r"[aeiouy]+")


@dataclass(frozen=True)
class Syllable:
    """One syllable."""

    phonemes: tuple[str, ...]  # ARPAbet, the vowel without its digit
    stress: int  # 0 none, 1 primary, 2 secondary


def syllabify(phonemes: Sequence[str]) -> list[Syllable]:
    """ARPAbet phonemes of one word -> its syllables; [] if it has no vowel.

    >>> [" ".join(s.phonemes) for s in syllabify("EH1 K S T R AH0".split())]
    ['EH K', 'S T R AH']
    """
    vowels = [i for i, p in enumerate(phonemes) if p[-1:].isdigit()]
    if not vowels:
        return []
    starts = [0] + [_onset(phonemes, a, b) for a, b in itertools.pairwise(vowels)]
    ends = [*starts[1:], len(phonemes)]
    return [
        Syllable(tuple(p.rstrip("012") for p in phonemes[start:end]), int(phonemes[vowel][-1]))
        for vowel, start, end in zip(vowels, starts, ends, strict=True)
    ]


def _onset(phonemes: Sequence[str], before: int, vowel: int) -> int:
    """Where the syllable of the vowel at `vowel` begins, after the vowel at `before`."""
    for start in range(max(before + 1, vowel - 3), vowel):
        onset = " ".join(phonemes[start:vowel])
        if onset in _ONSETS or (vowel - start == 1 and onset != "NG"):
            return start
    return vowel


def mark(phonemes: Sequence[str], sign: str = ".") -> list[str]:
    """The phonemes of one word with a sign between its syllables.

    >>> mark("HH AH0 L OW1".split())
    ['HH', 'AH0', '.', 'L', 'OW1']
    """
    marked: list[str] = []
    place = 0
    for syllable in syllabify(phonemes):
        marked += [sign] if marked else []
        marked += phonemes[place : place + len(syllable.phonemes)]
        place += len(syllable.phonemes)
    return marked or list(phonemes)


def of_word(word: str) -> list[Syllable]:
    """The syllables of an English word; [] for what is no word."""
    word = word.lower().strip("'")
    if not re.fullmatch(r"[a-z][a-z'\-]*", word):
        return []
    known = look_up(word)
    if known:
        return syllabify(known)
    if "-" in word:
        return [syllable for part in word.split("-") for syllable in of_word(part)]
    try:
        return syllabify(predict(word))
    except UserError:  # without g2p_en: the number is right more often than not, the stress a guess
        number = count_by_rule(word)
        return [Syllable((), 1 if place == 0 else 0) for place in range(number)]


def count_by_rule(word: str) -> int:
    """The number of syllables by spelling: groups of vowel letters, less a silent e.

    >>> [count_by_rule(w) for w in ("cat", "table", "make", "walked", "wanted", "the")]
    [1, 2, 1, 1, 2, 1]
    """
    word = word.lower()
    number = len(_VOWEL_LETTERS.findall(word))
    silent = re.search(r"[^aeiouyl]e$|[aeiouy]le$|[^aeiouytd]ed$|[^aeiouysxzcg]es$", word)
    return max(number - bool(silent), 1 if re.search("[a-z]", word) else 0)
