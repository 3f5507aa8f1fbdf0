"""How a recogniser's transcripts are written, and written sentences in that manner."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from espnet_ext.text import numbers
from espnet_ext.text.cleaners import make_cleaner
from espnet_ext.text.phonemes import language_of
from espnet_ext.text.speech_plan import Piece, plan
from espnet_ext.text.ssml import is_ssml, parse
from espnet_ext.train.config import load_yaml

_WHOLE = re.compile(r"(?<![A-Za-z0-9])(?<![0-9][.,])[0-9]+(?![A-Za-z0-9]|[.,][0-9])")


@dataclass(frozen=True)
class Spelling:
    """How a recogniser's transcripts are written.

    Attributes:
        case: "upper", "lower" or "mixed".
        marks: the characters, other than letters, digits and spaces, that they use.
        language: of the texts; of others than English only whole numbers become words.
    """

    case: str
    marks: frozenset[str]
    language: str = "en"

    def __call__(self, text: str) -> str:
        """A written sentence as such a transcript: numbers spelled out, foreign marks and SSML's tags gone.

        >>> Spelling("upper", frozenset("'"))("It's 21 o'clock -- well-known.")
        "IT'S TWENTY ONE O'CLOCK WELL KNOWN"
        >>> Spelling("lower", frozenset(), "de")("21 Tage, 2,5 km")
        'einundzwanzig tage 2 5 km'
        """
        spoken = _in_words(without_tags(text), self.language)
        kept = "".join(self._character(c) for c in spoken.replace("\u2019", "'"))
        kept = re.sub(r"\s+", " ", kept).strip()
        return {"upper": kept.upper(), "lower": kept.lower()}.get(self.case, kept)

    def _character(self, c: str) -> str:
        if c.isalnum() or c in self.marks or unicodedata.category(c)[0] == "M":  # vowel signs
            return c
        return "" if c in "'." else " "  # U.S. is one word, well-known two


def without_tags(text: str) -> str:
    """What is said of a text that may be SSML.

    Raises:
        UserError: for malformed SSML.
    """
    if not is_ssml(text):
        return text
    return " ".join(step.text for step in plan(parse(text)).steps if isinstance(step, Piece))


def _in_words(text: str, language: str) -> str:
    """A sentence with its numbers in words; a number with a point or a comma says too little of itself."""
    if language == "en":
        return make_cleaner("normalize")(text)
    text = unicodedata.normalize("NFKC", text)
    return _WHOLE.sub(lambda found: numbers.in_language(found[0], language), text)


def language_of_model(config: Path) -> str:
    """The language of a synthesiser's texts, which its g2p tells; English where that says nothing.

    Raises:
        UserError: if there is no such config.yaml.
    """
    from espnet_ext.bridge.load import find_g2p

    return language_of(find_g2p(load_yaml(config).get("g2p"), config)) or "en"


def spelling_of(texts: Iterable[str], language: str = "en") -> Spelling:
    """The spelling of given transcripts; of none: upper case and apostrophes."""
    joined = re.sub(r"<[^<>]*>|\[[^][]*\]", "", " ".join(texts))  # <noise>, [laughter]
    upper, lower = sum(map(str.isupper, joined)), sum(map(str.islower, joined))
    if not upper + lower:
        return Spelling("upper", frozenset("'"), language)
    share = upper / (upper + lower)  # a few others are slips
    case = "upper" if share > 0.9 else "lower" if share < 0.01 else "mixed"
    marks = frozenset(c for c in joined if not c.isalnum() and not c.isspace())
    return Spelling(case, marks, language)
