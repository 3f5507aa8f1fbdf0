"""Where speech begins and ends, from HTS label files that some corpora have besides their sounds."""

from __future__ import annotations

import re
from pathlib import Path

from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

#: HTS counts in units of 100 ns.
UNIT = 1e-7


def speech_span(path: Path) -> tuple[float, float]:
    """Start and end of the speech in seconds: what is left without the pauses at both ends.

    Args:
        path: lines `start end phone`, times in 100 ns; the phone is bare (`pau`) or in its full
            context (`xx^xx-sil+h=e/A:...`).

    Raises:
        UserError: a line of another kind, or nothing but pauses.
    """
    rows = [line.split() for line in read_lines(path) if line.strip()]
    try:
        spans = [(int(row[0]), int(row[1])) for row in rows if not _pause(row[2])]
    except (ValueError, IndexError):
        raise UserError(f"{path}: found no HTS labels, expected lines `start end phone`") from None
    if not spans:
        raise UserError(f"{path}: found pauses only, expected phones: remove the file")
    return spans[0][0] * UNIT, spans[-1][1] * UNIT


def _pause(phone: str) -> bool:
    """
    >>> _pause("pau"), _pause("xx^xx-sil+h=e/A:xx"), _pause("sil^h-e+l=o")
    (True, True, False)
    """
    context = re.search(r"-([^+]+)\+", phone)
    return (context[1] if context else phone) in ("pau", "sil")
