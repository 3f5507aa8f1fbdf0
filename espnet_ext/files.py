"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_open(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open `path` for writing; it appears under its name only when the block ends without an error.

    The text goes to a hidden file in the same directory (a rename is atomic only within a file system),
    is flushed to the disk and then renamed. Missing parent directories are made.

    Args:
        path: the final name.
        mode: "w" for UTF-8 text, "wb" for bytes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with open(beside, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path`, whole or not at all."""
    with atomic_open(path) as stream:
        stream.write(text)


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
