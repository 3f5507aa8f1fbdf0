"""Which sets and utterances to score, and the Markdown tables that scoring writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from espnet_ext.errors import UserError


def match_keys(
    reference: Iterable[str], found: Iterable[str], where: str | Path
) -> tuple[list[str], list[str]]:
    """Compare the keys of a reference with those found.

    Returns:
        the reference's keys in their order, and those of them that were not found.

    Raises:
        UserError: if keys were found that the reference does not have, or the reference has none.
    """
    expected, present = list(reference), set(found)
    unknown = sorted(present - set(expected))
    if unknown:
        raise UserError(
            f"{where}: {len(unknown)} utterances are not in the reference, first {unknown[0]}; "
            "expected results of the same set: check --ref and the names of the sets"
        )
    if not expected:
        raise UserError(f"{where}: the reference has no utterance, expected at least one")
    return expected, [key for key in expected if key not in present]


def find_sets(directory: str | Path, table: str, sets: Sequence[str]) -> list[str]:
    """`sets`, or if that is empty every directory below `directory` that holds `table`.

    Raises:
        UserError: if a set does not hold the table, or there is none.
    """
    directory = Path(directory)
    found = list(sets) or sorted(p.parent.name for p in directory.glob(f"*/{table}"))
    if not found:
        raise UserError(f"{directory}: found no */{table}, expected results below it; decode first")
    for name in found:
        if not (directory / name / table).is_file():
            raise UserError(f"{directory / name / table}: not found; decode {name} first")
    return found


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers that are not whole get one decimal, None becomes `-`."""
    lines = ["|" + "|".join(header) + "|", "|" + "---|" * len(header)]
    lines += ["|" + "|".join(map(_cell, row)) + "|" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
