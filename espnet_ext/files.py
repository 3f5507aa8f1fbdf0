"""Writing files so that a reader never sees half of one, and two writers never the same one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from espnet_ext.errors import UserError


def find_above(name: str, config: Path) -> Path | None:
    """What a config.yaml names: below a folder above it, the nearest first, else as it stands; None if it is nowhere.

    Recipes write paths relative to their own folder (exp/x/config.yaml says exp/stats/...), and a model may
    be used from anywhere, also from another recipe's folder with files of the same names.
    """
    places = (base / name for base in (*config.absolute().parents, Path()))
    return next((path for path in places if path.exists()), None)


#: Bytes that any zip may become, and how many times its own size more than that.
_FREE, _RATIO = 100_000_000, 200


def refuse_bomb(path: Path) -> None:
    """Refuse a zip (.npz, .pth) that says it holds far more than its own size, before memory is asked for.

    Raises:
        UserError: with both sizes.
    """
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:  # none, or a broken one: its reader says so
        return
    if total > max(_FREE, _RATIO * path.stat().st_size):
        raise UserError(
            f"{path}: found {total:,} bytes in a file of {path.stat().st_size:,}, expected at most {_RATIO} times as "
            "many: do not trust it"
        )


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


@contextmanager
def locked(path: Path, passing: bool = False, waiting: str = "") -> Iterator[None]:
    """Wait until no other process or thread holds `path`; the lock goes with the process, however it ends.

    Where the file system knows no locks, nobody waits.

    Args:
        path: a file that is nothing but the lock; its folder is there.
        passing: the file goes in the end.
        waiting: said on standard error before waiting.
    """
    while True:
        with _lock_file(path) as stream:
            _take(stream, waiting)
            if not _is_still(path, stream):  # who held it before has taken it away
                continue
            try:
                yield
            finally:
                if passing:
                    with suppress(OSError):  # another user's
                        path.unlink()
            return


def _lock_file(path: Path) -> IO[Any]:
    try:
        return open(path, "ab")
    except PermissionError:  # another user's, whose lock holds for us all the same
        return open(path, "rb")


def _take(stream: IO[Any], waiting: str) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting:
            print(waiting, file=sys.stderr, flush=True)
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise


def _is_still(path: Path, stream: IO[Any]) -> bool:
    """Whether an open file has that name yet."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path`, whole or not at all."""
    with atomic_open(path) as stream:
        stream.write(text)


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
