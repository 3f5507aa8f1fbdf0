"""English as spoken -> as written, for what a recogniser says: "twenty three dollars" -> "$23".

NeMo's inverse grammars want lower case without punctuation of their own making, which is what
recognisers give; the case of words that come through unchanged is put back.
"""

from __future__ import annotations

from espnet_ext.errors import UserError
from espnet_ext.text import wfst


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
    if not text:
        return text
    try:
        written = wfst.written()(text.lower())
    except wfst.Unreadable:
        return text
    if text.isupper():
        return written.upper()
    cased = {word.lower(): word for word in reversed(text.split())}
    return " ".join(cased.get(word, word) for word in written.split())
