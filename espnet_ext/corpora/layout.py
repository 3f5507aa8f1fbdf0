"""Finding a corpus where the user says it is, and writing what every corpus writes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from espnet_ext.datadir import validate
from espnet_ext.datadir.edit import Tables, write_all
from espnet_ext.errors import UserError


def corpus_root(given: str | Path, name: str, witness: str, variable: str, source: str) -> Path:
    """The directory of a corpus: `given` itself or `given/name`, whichever holds `witness`.

    Args:
        given: what the user named; "" if nothing.
        name: the directory's usual name.
        witness: a file or directory that every copy of the corpus holds.
        variable: the environment variable of local/db.sh that names the directory.
        source: where the corpus can be had.

    Raises:
        UserError: if neither holds it; names the variable to set.
    """
    advice = (
        f"set {variable}=/path/to/{name} in local/db.sh or in the environment (corpus: {source})"
    )
    if not str(given):
        raise UserError(f"found no {variable}, expected the directory of {name}: {advice}")
    for root in (Path(given), Path(given) / name):
        if (root / witness).exists():
            return root
    state = f"a directory without {witness}" if Path(given).is_dir() else "no such directory"
    raise UserError(f"{given}: found {state}, expected {name} or the directory it is in: {advice}")


def one_of(option: str, given: str, known: Iterable[str]) -> str:
    """What an option says.

    Raises:
        UserError: it is not known.
    """
    among = list(known)
    if given not in among:
        raise UserError(f"--{option}: found {given!r}, expected {' or '.join(among)}")
    return given


def chosen(option: str, given: str, known: Iterable[str]) -> list[str]:
    """What an option lists, in its order: `a,b`, `a b` or `a+b`; each once.

    Raises:
        UserError: nothing, or something that is not known.

    >>> chosen("tracks", "6,1 6", "126")
    ['6', '1']
    """
    found, among = list(dict.fromkeys(re.split(r"[\s,+]+", given.strip(" ,+")))), list(known)
    strange = [item for item in found if item not in among]
    if strange:
        raise UserError(
            f"--{option}: found {', '.join(map(repr, strange))}, expected some of {', '.join(among)}"
        )
    return found


def at_least(option: str, given: int, least: int) -> int:
    """The number given.

    Raises:
        UserError: it is smaller than `least`.
    """
    if given < least:
        raise UserError(f"--{option}: found {given}, expected {least} or more")
    return given


def require_rest(root: Path, clips: int, dev: int, eval1: int) -> None:
    """Some clips are left to train with.

    Raises:
        UserError: none are, or dev or eval1 has none.
    """
    if dev < 1 or eval1 < 1 or clips <= dev + eval1:
        raise UserError(
            f"{root}: found {clips} clips, expected more than {dev} + {eval1} for dev and "
            "eval1: ask for fewer with --dev and --eval1 (each at least 1)"
        )


def write_sets(data: str | Path, sets: Mapping[str, Tables]) -> list[Path]:
    """Write data directories and validate each.

    Raises:
        UserError: a set is empty or not valid; nothing is written of an empty one.
    """
    if not sets:
        raise UserError(f"{data}: found no set to write, expected one: name some that are there")
    written = []
    for name, tables in sets.items():
        if not tables["utt2spk"]:
            raise UserError(
                f"set {name!r}: found no utterance, expected some: the corpus is not whole"
            )
        write_all(Path(data) / name, tables)
        validate(Path(data) / name)
        written.append(Path(data) / name)
    return written


def choose(tables: Tables, wanted: Callable[[str], bool]) -> Tables:
    """The tables with the utterances for which `wanted` holds, and their speakers.

    Tables named spk2... are keyed by speaker, all others by utterance.
    """
    utts = {u: s for u, s in tables["utt2spk"].items() if wanted(u)}
    speakers = set(utts.values())
    return {
        name: {
            key: value
            for key, value in table.items()
            if key in (speakers if name.startswith("spk2") else utts)
        }
        for name, table in tables.items()
    }


def compare_total(where: str | Path, what: str, found: int, expected: int) -> None:
    """Say on standard error how many the whole corpus has, if it is not so many (0: nobody knows)."""
    if expected and found != expected:
        print(f"{where}: {found:,} {what}, the corpus has {expected:,}", file=sys.stderr)


def keep_genders(where: str | Path, tables: Tables) -> None:
    """Take out the table of genders where one is not known ("" in it), and say so: validation wants all or none."""
    unknown = sorted(s for s, gender in tables["spk2gender"].items() if not gender)
    if unknown:
        del tables["spk2gender"]
        left_out(where, "speakers' genders, because they are not known, and so all", unknown)


def left_out(where: str | Path, what: str, names: Iterable[str]) -> None:
    """Say on standard error which utterances a preparation left out; nothing if none."""
    found = list(names)
    if found:
        more = ", ..." if len(found) > 3 else ""
        shown = ", ".join(found[:3])
        print(f"{where}: left out {len(found)} {what}: {shown}{more}", file=sys.stderr)
