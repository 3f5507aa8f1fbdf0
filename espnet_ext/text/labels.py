"""How the words of a corpus are written as training labels: numbers, punctuation, case.

One place for recognition and synthesis: a model learns from, and is asked in, the same style.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from espnet_ext.errors import UserError
from espnet_ext.text.spoken import Speaker, speak

NUMBERS = ("words", "digits", "keep")
PUNCTUATION = ("keep", "drop")
CASES = ("keep", "lower", "upper")


@dataclass(frozen=True)
class LabelStyle:
    """A sentence of a corpus -> its label. White space is made single.

    Attributes:
        numbers: "words" (and all that is written short, spoken), "digits" (spoken words back to digits,
            for recogniser output) or "keep".
        punctuation: "drop" leaves letters, digits and the apostrophes within words; a hyphen becomes
            a blank.
        case: "keep", "lower" or "upper".
        speaker: reads numbers aloud.
    """

    numbers: str = "words"
    punctuation: str = "keep"
    case: str = "keep"
    speaker: Speaker = speak

    def __post_init__(self) -> None:
        for name, choices in (("numbers", NUMBERS), ("punctuation", PUNCTUATION), ("case", CASES)):
            found = getattr(self, name)
            if found not in choices:
                raise UserError(f"found {name} {found!r}, expected one of {', '.join(choices)}")

    def __call__(self, text: str) -> str:
        if self.numbers == "words":
            text = self.speaker(text)
        elif self.numbers == "digits":
            from espnet_ext.text.inverse import write

            text = write(text)
        if self.punctuation == "drop":
            text = drop_punctuation(text)
        if self.case != "keep":
            text = text.lower() if self.case == "lower" else text.upper()
        return " ".join(text.split())


def drop_punctuation(text: str) -> str:
    """Words only: "Well-known? It's O’Neil's." -> "Well known It's O'Neil's".

    A point or comma between digits stays, so do letters and marks of any script.
    """
    text = re.sub(r"(?<=\w)[’'](?=\w)", "'", text)
    keep = re.compile(r"(?<=\w)'(?=\w)|(?<=[0-9])[.,:](?=[0-9])")
    stays = {match.start() for match in keep.finditer(text)}
    kept = (
        c if i in stays or unicodedata.category(c)[0] not in "PSZC" else " "
        for i, c in enumerate(text)
    )
    return " ".join("".join(kept).split())
