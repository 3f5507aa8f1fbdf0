"""A user's own table of written -> spoken, which comes before every other rule of normalisation.

A file of `written TAB spoken` lines; `#` begins a comment line. An entry stands for itself where it is no part of
a longer word; a lower-case entry stands for all spellings of case, and the longer entry wins. What it says is read on
like any other text: in words it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from espnet_ext.datadir.tables import decode
from espnet_ext.errors import UserError


class SpokenTable:
    """Replaces what a table holds.

    >>> SpokenTable({"nginx": "engine x", "C++": "C plus plus"})("Nginx or C++, not nginxes")
    'engine x or C plus plus, not nginxes'
    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        self.entries = dict(entries)
        longest_first = sorted(entries, key=lambda written: (-len(written), written))
        self._pattern = re.compile("|".join(map(_whole, longest_first)) or "(?!)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """`text` with the entries spoken."""
        return self._pattern.sub(self._say, text)

    def _say(self, match: re.Match[str]) -> str:
        found = self.entries.get(match[0])
        if found is None:
            found = self.entries.get(match[0].lower())
        return match[0] if found is None else found


def _whole(written: str) -> str:
    """A pattern for an entry that does not stand within a word."""
    before = r"(?<!\w)" if written[0].isalnum() else ""
    return before + re.escape(written) + (r"(?!\w)" if written[-1].isalnum() else "")


def read_spoken_table(path: str | Path) -> SpokenTable:
    """The table of a file.

    Raises:
        UserError: if it is missing or not UTF-8, a line has not two fields, or two lines disagree.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such table, expected a file of `written TAB spoken` lines")
    entries: dict[str, str] = {}
    lines = decode(Path(path).read_bytes(), Path(path)).split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        written, *spoken = (" ".join(field.split()) for field in line.split("\t"))
        if len(spoken) != 1 or not written:
            raise UserError(
                f"{path}: line {number}: found {len(spoken) + 1} fields, expected `written TAB spoken`"
            )
        if entries.setdefault(written, spoken[0]) != spoken[0]:
            raise UserError(
                f"{path}: line {number}: {written!r} is {entries[written]!r} above, expected one reading; "
                "remove one"
            )
    return SpokenTable(entries)
