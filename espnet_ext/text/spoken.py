"""English as written -> as spoken, the whole way: rules, grammars, and what must hold of the result.

1. `espnet_ext.text.mend` rewrites what the grammars are known to misread;
2. an engine reads the sentences that hold anything to read: NeMo's grammars (`espnet_ext.text.wfst`)
   or the regular expressions of `espnet_ext.text.normalize`;
3. case that the grammars lose is put back. A sentence that they cannot read, or of which they lose a
   word, is read by the regular expressions, which take any string.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from espnet_ext.errors import UserError
from espnet_ext.text import mend, wfst
from espnet_ext.text.lexicon import MONTHS
from espnet_ext.text.normalize import Normalizer

ENGINES = ("auto", "wfst", "regex")

#: a sentence without any of these is said as it is written
_TO_READ = re.compile(
    r"[^\W\D]|[$£€¥₩¢%&@#+=<>/*^_~°§|\\]\w|\w[$£€¥₩¢%&@#+=<>/*^_~°§|\\]|(?<!\S)[$£€¥&@%#+=<>/](?!\S)"
    r"|\w\.\w|\b[A-Z]\.|\b(?:Dr|Mrs?|Ms|Mt|Ft|Jr|Sr|Inc|Ltd|Co|Corp|St|Gen|Rep|vs|al)\."
    r"|§"
)
_SENTENCES = re.compile(r"(?<=[a-z]{3}[a-z)][.!?])(?<!Sept\.)\s+(?=[\"'(“]?[A-Z0-9])")
_LONG = 40  # words; a sentence of more is cut between two plain ones
_LONGEST = 60  # words; a sentence of more is cut anywhere
_LETTERS = 400  # the same in characters; a single word of more is left to the regular expressions
_TITLES = "doctor mister misses miss governor general junior senior mount fort incorporated limited"


@dataclass(frozen=True)
class Speaker:
    """Reads English text aloud, in writing. Any string is allowed; white space is made single.

    Attributes:
        engine: "wfst" (NeMo's grammars), "regex" (ours, nothing to install or compile) or "auto", the
            grammars where they are installed.
        british: "one hundred and one" everywhere.
        day_first: 3/4/2021 is the third of April.
    """

    engine: str = "auto"
    british: bool = False
    day_first: bool = False

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UserError(f"found engine {self.engine!r}, expected one of {', '.join(ENGINES)}")

    def __call__(self, text: str) -> str:
        text = original = " ".join(text.replace("\ufeff", "").split())
        straight = not any(quote in text for quote in mend.QUOTES)
        text = mend.mend(_SHORT_DATE.sub(self._short_date, text))
        if self.day_first:
            text = _DAY_FIRST.sub(self._date, text)
        if to_read(text):
            read = _reader(self)
            text = capital(original, " ".join(read(piece) for piece in pieces(text)))
        return text.replace("“", '"').replace("”", '"') if straight else text

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """One spoken line for each written one; a line that was met before is not read again."""
        read = functools.lru_cache(maxsize=65536)(self)
        return map(read, lines)

    def _date(self, m: re.Match[str]) -> str:
        return self.regex.date(m[2], m[1], m[3]) if 1 <= int(m[2]) <= 12 else m[0]

    def _short_date(self, m: re.Match[str]) -> str:
        day, month = (m[2], m[3]) if self.day_first else (m[3], m[2])
        return m[1] + self.regex.date(month, day) if 1 <= int(month) <= 12 else m[0]

    @property
    def regex(self) -> Normalizer:
        """The regular expressions, set the same way."""
        return Normalizer(self.british, self.day_first)


_DAY_FIRST = re.compile(
    r"(?<![\w./-])(0?[1-9]|[12][0-9]|3[01])[/.]([0-9]{1,2})[/.]([0-9]{4}|[0-9]{2})(?![\w/]|\.[0-9])"
)
#: "on 5/6" and "Mon. 5/6", but "on 1/2 acre"
_SHORT_DATE = re.compile(
    r"\b((?:[Oo]n|[Bb]y|[Uu]ntil|[Dd]ue|[Ss]ince|[Dd]ated|Mon|Tues?|Wed|Thu|Thurs?|Fri|Sat|Sun|\w{3,6}day)[.,]? )"
    r"(0?[1-9]|[12][0-9]|3[01])/(0?[1-9]|[12][0-9]|3[01])(?![\w/-]|\.[0-9])"
    r"(?! ?%| (?!(?:and|as|at|between|but|for|from|I|in|or|so|the|through|to|until|we|when|with)\b)[a-z])"
)


@functools.lru_cache(maxsize=16)
def _reader(speaker: Speaker) -> Callable[[str], str]:
    """What reads a sentence; remembers the last ones."""
    regex = speaker.regex
    if speaker.engine == "regex" or (speaker.engine == "auto" and not wfst.installed()):
        if speaker.engine == "auto":
            print(
                "text normalisation: pynini and nemo_text_processing are not installed; "
                "regular expressions do it, which know less",
                file=sys.stderr,
            )
        return functools.lru_cache(maxsize=65536)(regex)
    if not wfst.installed():
        raise UserError(
            "engine wfst needs nemo_text_processing and pynini; install them "
            "(tools/requirements.txt has their versions) or choose --engine regex"
        )

    @functools.lru_cache(maxsize=65536)
    def read(sentence: str) -> str:
        if not to_read(sentence):
            return sentence
        try:
            said = regex(sentence) if len(sentence) > _LETTERS else tidy(wfst.spoken()(sentence))
        except wfst.Unreadable:
            return regex(sentence)
        if lost(sentence, said):
            said = regex(sentence)
        said = _rest(said, regex)
        said = british(said) if speaker.british else said
        return restore_case(sentence, said)

    return read


def _plain(word: str) -> bool:
    return len(word) > 3 and word.isalpha() and word.islower()


def pieces(text: str, plain: Callable[[str], bool] = _plain) -> Iterator[str]:
    """The sentences of a text; the very long ones in parts, cut between two `plain` words.

    A part without such a place is cut at any blank: what the grammars take grows with the square of
    a part, and a list of thousands of numbers would take all memory.
    """
    for sentence in _SENTENCES.split(text):
        words = sentence.split(" ")
        start = size = 0
        for here, word in enumerate(words):
            count = here - start
            soft = count >= _LONG and plain(words[here - 1]) and plain(word)
            if count and (soft or count >= _LONGEST or size + len(word) > _LETTERS):
                yield " ".join(words[start:here])
                start, size = here, 0
            size += len(word) + 1
        yield " ".join(words[start:])


# -- after the grammars ----------------------------------------------------------------------------

_DIGIT = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_MENDS = [
    (re.compile(r"(?<=\w) ['’] ?(?=s\b)"), "'"),  # Mary ' s
    (re.compile(rf"\b((?:{_TEENS}|{_TENS}|{_DIGIT})) o (?={_DIGIT})"), r"\1 oh "),
    (re.compile(r"\betcetera\b"), "et cetera"),
    (re.compile(r"\s+([,;:!?)\]”]|\.(?=\s|$))"), r"\1"),
    (re.compile(r"“\s+"), "“"),
]
_AND = [
    re.compile(rf"\b(hundred) (?=(?:{_DIGIT}|{_TEENS}|{_TENS})\b)"),
    re.compile(
        rf"\b(thousand|million|billion) (?=(?:(?:{_TENS}) )?(?:{_DIGIT}|{_TEENS}|{_TENS})\b"
        r"(?! (?:hundred|thousand|million)))"
    ),
]


def to_read(text: str) -> bool:
    """Whether there may be anything in a text that is not said as it is written."""
    return bool(_TO_READ.search(text)) or holds_number(text)


def holds_number(text: str) -> bool:
    """Whether any character is a digit or a sign for a number: 7, ², ½, Ⅷ."""
    return any(c.isdigit() or unicodedata.category(c) in ("No", "Nl") for c in text)


def _rest(said: str, regex: Normalizer) -> str:
    """Words that still hold a number, read by the regular expressions."""

    def read(word: str) -> str:
        if not holds_number(word):
            return word
        spoken = regex(word)  # with a capital, as it begins with a number
        return spoken if word[:1].isalpha() else spoken[:1].lower() + spoken[1:]

    return " ".join(filter(None, map(read, said.split(" "))))


def tidy(said: str) -> str:
    """Slips of the grammars' output: parted possessives, blanks before punctuation."""
    for pattern, instead in _MENDS:
        said = pattern.sub(instead, said)
    return said


def british(said: str) -> str:
    """ "one hundred one" -> "one hundred and one"."""
    for pattern in _AND:
        said = pattern.sub(r"\1 and ", said)
    return said


def lost(sentence: str, said: str) -> bool:
    """Whether a plain word, or a letter beyond ASCII, is in the sentence but not in what is said."""
    words = {word.lower() for word in re.findall(r"[^\W\d_]+", said)}
    gone = [w for w in re.findall(r"(?<!\S)[a-z]{5,}(?!\S)", sentence) if w not in words]
    letters = {c for c in sentence if c.isalpha() and not c.isascii() and c not in "µºªΩ"}
    return bool(gone) or any(c not in said and c.lower() not in said for c in letters)


def restore_case(sentence: str, said: str) -> str:
    """Capitals of months, titles and the first word, which the grammars write small."""
    for word in [*MONTHS, *_TITLES.split()]:
        low = word.lower()
        if low in said and not re.search(rf"\b(?:{low}|{low[:3]})\b", sentence):
            said = re.sub(rf"\b{low}\b", word.capitalize(), said)
    if not re.search(r"[.!?] [a-z]", sentence):
        said = re.sub(r"(?<=[a-z]{2}[.!?] )[a-z]", lambda m: m[0].upper(), said)
    return capital(sentence, said)


def capital(sentence: str, said: str) -> str:
    """`said` with a capital, unless the sentence begins with a small letter."""
    first = re.search(r"\w|[$£€¥#§№¶~]", sentence)
    if first and not first[0].islower():
        said = re.sub(r"[^\W\d_]", lambda m: m[0].upper(), said, count=1)
    return said


speak = Speaker()
