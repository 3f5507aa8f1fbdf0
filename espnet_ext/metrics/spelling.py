"""How a recogniser's transcripts are written, and written sentences in that manner."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from espnet_ext.text.cleaners import make_cleaner


@dataclass(frozen=True)
class Spelling:
    """How a recogniser's transcripts are written.

    Attributes:
        case: "upper", "lower" or "mixed".
        marks: the characters, other than letters, digits and spaces, that they use.
    """

    case: str
    marks: frozenset[str]

    def __call__(self, text: str) -> str:
        """A written sentence as such a transcript: numbers spelled out, foreign marks gone.

        >>> Spelling("upper", frozenset("'"))("It's 21 o'clock -- well-known.")
        "IT'S TWENTY ONE O'CLOCK WELL KNOWN"
        """
        spoken = make_cleaner("normalize")(text)
        kept = "".join(self._character(c) for c in spoken.replace("\u2019", "'"))
        kept = re.sub(r"\s+", " ", kept).strip()
        return {"upper": kept.upper(), "lower": kept.lower()}.get(self.case, kept)

    def _character(self, c: str) -> str:
        if c.isalnum() or c in self.marks:
            return c
        return "" if c in "'." else " "  # U.S. is one word, well-known two


def spelling_of(texts: Iterable[str]) -> Spelling:
    """The spelling of given transcripts; of none: upper case and apostrophes."""
    joined = re.sub(r"<[^<>]*>|\[[^][]*\]", "", " ".join(texts))  # <noise>, [laughter]
    upper, lower = sum(map(str.isupper, joined)), sum(map(str.islower, joined))
    if not upper + lower:
        return Spelling("upper", frozenset("'"))
    share = upper / (upper + lower)  # a few others are slips
    case = "upper" if share > 0.9 else "lower" if share < 0.01 else "mixed"
    return Spelling(case, frozenset(c for c in joined if not c.isalnum() and not c.isspace()))
