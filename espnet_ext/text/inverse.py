"""English as spoken -> as written, for what a recogniser says: "twenty three dollars" -> "$23".

NeMo's inverse grammars want lower case without punctuation of their own making, which is what
recognisers give; the case of words that come through unchanged is put back.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from espnet_ext.errors import UserError
from espnet_ext.text import wfst
from espnet_ext.text.spoken import pieces, tidy

_NUMERAL = re.compile(
    r"zero|oh|one|two|three|four|five|six|seven|eight|nine|(?:eleven|twelve|hundred|thousand|[mbtr]+illion)s?"
    r"|(?:twen|thir|for|four|fif|six|seven|eigh|nine)(?:ty|teen|tie)\w*|first|second|third|\w+th|point|ten"
)


def write(text: str) -> str:
    """`text` with its numbers, dates, amounts and the like in digits and signs.

    Raises:
        UserError: if the grammars are not installed.
    """
    if not wfst.installed():
        raise UserError(
            "numbers back to digits needs nemo_text_processing and pynini, which are not installed; "
            "tools/requirements.txt has their versions"
        )
    text = " ".join(text.split())
    written = " ".join(map(_write, pieces(text, _plain)))
    return written.upper() if text.isupper() else written


def _plain(word: str) -> bool:
    """Whether a text may be cut beside this word: it can be no part of a number."""
    return len(word) > 3 and word.isalpha() and not _NUMERAL.fullmatch(word.lower())


def _write(piece: str) -> str:
    if not piece:
        return piece
    try:
        return _cased(piece, tidy(wfst.written()(piece.lower())))
    except wfst.Unreadable:
        return piece


def _cased(spoken: str, written: str) -> str:
    """`written` with the case of the words of `spoken` that came through, matched from left to right."""
    before, after = tidy(spoken).split(), written.split()
    matcher = SequenceMatcher(None, [word.lower() for word in before], after, autojunk=False)
    for here, there, length in matcher.get_matching_blocks():
        after[there : there + length] = before[here : here + length]
    return " ".join(after)
