"""Array jobs that each do a share of a set; whoever finds all shares done puts the tables together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from espnet_ext.datadir import read_table, write_table

Item = TypeVar("Item")


def share_of(items: Sequence[Item], job: int, jobs: int) -> list[Item]:
    """Every `jobs`-th item from the `job`-th on (1-based): long and short ones are spread evenly."""
    return list(items[job - 1 :: jobs])


def write_share(folder: Path, tables: dict[str, dict[str, str]], job: int, jobs: int) -> None:
    """Write this job's part of each table and, if the other parts are there, the whole tables.

    Two jobs that finish together write the same whole twice, each by a rename. Parts stay, so that a job that
    ends later always finds the others'.

    Args:
        folder: receives `<table>` and `shares/<table>.<job>of<jobs>`.
        tables: name -> utterance -> value (which may be empty).
        job, jobs: from the command line's `JOB/N`.
    """
    for name, rows in tables.items():
        write_table(folder / "shares" / f"{name}.{job}of{jobs}", rows)
    for name in tables:
        parts = [folder / "shares" / f"{name}.{j}of{jobs}" for j in range(1, jobs + 1)]
        if all(part.is_file() for part in parts):
            whole: dict[str, str] = {}
            for part in parts:
                whole.update(read_table(part, empty=True))
            write_table(folder / name, whole)
