"""Array jobs that each do a share of a set; whoever finds all shares done puts the tables together."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from espnet_ext.datadir import read_table, write_table
from espnet_ext.files import locked

Item = TypeVar("Item")


def share_of(items: Sequence[Item], job: int, jobs: int) -> list[Item]:
    """Every `jobs`-th item from the `job`-th on (1-based): long and short ones are spread evenly."""
    return list(items[job - 1 :: jobs])


def run_key(files: Sequence[str | Path], *more: Any) -> str:
    """What tells runs apart: a hash of the content of files (a model's) and of plain values (options, utterances).

    Every job of an array finds the same key, without having heard of the others.
    """
    digest = hashlib.sha256(json.dumps(more, sort_keys=True, default=str).encode())
    for file in files:
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Share:
    """One job's part of what a run writes to a folder.

    Attributes:
        folder: receives the whole tables, and `shares/KEY/TABLE.JOBofN`.
        key: of the run, see run_key; parts of another model never get among this one's.
        job, jobs: from the command line's `JOB/N`.
    """

    folder: Path
    key: str
    job: int = 1
    jobs: int = 1

    @property
    def parts(self) -> Path:
        """Folder of this run's parts; a part's own files may lie there, too."""
        return self.folder / "shares" / self.key

    def part(self, name: str, job: int | None = None) -> Path:
        """Where a job's part of a table lies, this job's if none is given."""
        return self.parts / f"{name}.{job or self.job}of{self.jobs}"

    def write(self, tables: Mapping[str, Mapping[str, str]]) -> None:
        """Write this job's part of each table and, if all parts are there, the whole tables.

        Parts stay, so that a job that ends later always finds the others'; those of other runs go.

        Args:
            tables: name -> utterance -> value (which may be empty).
        """
        for name, rows in tables.items():
            write_table(self.part(name), rows)
        with locked(self.folder / "shares" / "merge.lock"):
            every = [self.part(name, j) for name in tables for j in range(1, self.jobs + 1)]
            if not all(path.is_file() for path in every):
                return
            for name in tables:
                whole: dict[str, str] = {}
                for job in range(1, self.jobs + 1):
                    whole.update(read_table(self.part(name, job), empty=True))
                write_table(self.folder / name, whole)
            self._forget_other_runs()

    def _forget_other_runs(self) -> None:
        for path in (self.folder / "shares").iterdir():
            if path.is_dir() and path.name != self.key:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.parts.iterdir():  # of another number of jobs
            if not re.search(rf"\.\d+of{self.jobs}(\.|$)", path.name):
                path.unlink(missing_ok=True)
