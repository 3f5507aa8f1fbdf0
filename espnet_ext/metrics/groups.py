"""Into which groups a set's utterances fall: by speaker, gender, accent, length, noise, or any table given."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_ext.datadir.tables import numbers_in, read_table
from espnet_ext.errors import UserError
from espnet_ext.metrics.timing import numbers

Groups = dict[str, str]  # utterance -> group

#: Tables of a data directory that tell of an utterance or its speaker, `utt2NAME` or `spk2NAME`.
KNOWN = ("gender", "accent", "age", "lang", "condition")
UNKNOWN = "not known"
_WORDS = (6, 11, 21, 41)  # 1-5 words, 6-10, ...
_SECONDS = (2.0, 5.0, 10.0, 20.0)


def bucket(value: float, edges: Sequence[float], unit: str, whole: bool = False) -> str:
    """The range between two edges that a number lies in.

    >>> bucket(7, (6, 11), "words", whole=True), bucket(7.0, (2.0, 5.0), "s"), bucket(0.5, (2.0,), "s")
    ('6-10 words', '5+ s', '0-2 s')
    """
    place = bisect_right(edges, value)
    low = edges[place - 1] if place else int(whole)
    if place == len(edges):
        return f"{low:g}+ {unit}"
    return f"{low:g}-{edges[place] - whole:g} {unit}"


def group_key(group: str) -> tuple[bool, float, str]:
    """Orders ranges and levels by their number, other groups by name, what is not known last."""
    number = re.match(r"-?\d+(\.\d+)?", group)
    return group == UNKNOWN, float(number[0]) if number else math.inf, group


def speakers_of(directory: Path) -> Groups:
    """`utt2spk`; empty where there is none."""
    path = directory / "utt2spk"
    return read_table(path) if path.is_file() else {}


def groupings(
    directory: Path, words: Mapping[str, int], by: Sequence[Path] = ()
) -> dict[str, Groups]:
    """Every way in which a set can be divided; speakers are told apart by `speakers_of`.

    Args:
        directory: the data directory.
        words: number of reference words of each utterance.
        by: tables of one's own, of utterances or of speakers; the way is called what the file is.

    Returns:
        name of the way -> utterance -> group.

    Raises:
        UserError: if a table of `by` names none of the utterances or speakers.
    """
    speakers = speakers_of(directory)
    found: dict[str, Groups] = {}
    for name in KNOWN:
        paths = [directory / f"{kind}2{name}" for kind in ("utt", "spk")]
        there = next((path for path in paths if path.is_file()), None)
        if there:
            found[name] = _groups(read_table(there, empty=True), words, speakers)
    found["words"] = {u: bucket(n, _WORDS, "words", whole=True) for u, n in words.items() if n}
    if (directory / "utt2dur").is_file():
        seconds = numbers_in(read_table(directory / "utt2dur"), directory / "utt2dur")
        known = {u: seconds[u] for u in words if u in seconds}
        found["seconds"] = {u: bucket(s, _SECONDS, "s") for u, s in known.items()}
    if (directory / "utt2snr").is_file():
        ratios = numbers(directory / "utt2snr")
        found["snr"] = {u: _five_decibels(ratios[u]) for u in words if u in ratios}
    return found | {_name(path): _own(path, words, speakers) for path in by}


def _five_decibels(ratio: float) -> str:
    """The range of five that a ratio lies in.

    >>> _five_decibels(7.2), _five_decibels(-0.1)
    ('5 to 10 dB', '-5 to 0 dB')
    """
    low = 5 * math.floor(ratio / 5)
    return f"{low} to {low + 5} dB"


def _name(path: Path) -> str:
    return path.stem.removeprefix("utt2").removeprefix("spk2")


def _groups(table: Mapping[str, str], words: Mapping[str, int], speakers: Groups) -> Groups:
    """A table of utterances or speakers as one of all utterances."""
    return {u: table.get(u, table.get(speakers.get(u, ""), "")) or UNKNOWN for u in words}


def _own(path: Path, words: Mapping[str, int], speakers: Groups) -> Groups:
    found = _groups(read_table(path, empty=True), words, speakers)
    if words and set(found.values()) == {UNKNOWN}:
        first = next(iter(words))
        raise UserError(
            f"{path}: found none of the utterances, the first is {first}, and none of their speakers; "
            "expected lines of utterance (or speaker) and group: check the ids"
        )
    return found
