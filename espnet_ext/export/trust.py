"""What an archive from a stranger may not hold: ways out of its folder, and more than it seems to."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from espnet_ext.errors import UserError

ADVICE = "do not trust this archive"
#: Bytes of a folder's or a file's name; file systems take 255, and `files` writes beside a file first.
LONGEST = 200


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold. The largest models that ESPnet's users share have some 10 GB in some 100 files.

    Attributes:
        members: files.
        bytes: of all files, unpacked.
        ratio: of these to the archive's own size; weights hardly shrink, tables of text to a tenth.
        free: bytes below which no ratio is looked at.
        meta: bytes of meta.yaml.
    """

    members: int = 10_000
    bytes: int = 50_000_000_000
    ratio: float = 200.0
    free: int = 100_000_000
    meta: int = 4_000_000


def refuse_dangerous(members: Iterable[zipfile.ZipInfo], path: str | Path) -> None:
    """Refuse names that would be written outside the target directory or twice or nowhere, and links.

    Raises:
        UserError: naming the first such member.
    """
    seen: set[str] = set()
    for member in members:
        if leads_outside(member.filename):
            raise UserError(
                f"{path}: it holds {member.filename!r}, which would be written outside the target directory; {ADVICE}"
            )
        if any(len(part.encode()) > LONGEST for part in PurePosixPath(member.filename).parts):
            raise UserError(
                f"{path}: it holds a name that begins with {member.filename[:60]!r}, expected {LONGEST} bytes at most "
                f"between slashes; {ADVICE}"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"{path}: it holds the link {member.filename!r}; {ADVICE}")
        if member.filename in seen:
            raise UserError(f"{path}: it holds {member.filename!r} twice; {ADVICE}")
        seen.add(member.filename)


def leads_outside(name: str) -> bool:
    """Whether a name is more than a path below a folder.

    >>> [leads_outside(name) for name in ("exp/a.pth", "../a.pth", "/a.pth", "C:/a.pth", "a..b/c")]
    [False, True, True, True, False]
    """
    path = PurePosixPath(name.replace("\\", "/"))
    drive = bool(path.parts) and path.parts[0].endswith(":")
    return path.is_absolute() or ".." in path.parts or drive or "\0" in name


def refuse_oversized(
    members: Sequence[zipfile.ZipInfo], path: str | Path, out: Path, limits: Limits
) -> None:
    """Refuse what would fill the disk: by what the archive says of itself, which `extract` then holds it to.

    Raises:
        UserError: with what was found and what may be.
    """
    total, size = sum(member.file_size for member in members), Path(path).stat().st_size
    if len(members) > limits.members:
        _oversized(path, f"{len(members):,} files", f"{limits.members:,} at most")
    if total > limits.bytes:
        _oversized(path, f"{total:,} bytes unpacked", f"{limits.bytes:,} at most")
    if total > limits.free and total > limits.ratio * size:
        _oversized(
            path, f"{total:,} bytes out of {size:,}", f"at most {limits.ratio:g} times its size"
        )
    there = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    if total > (room := shutil.disk_usage(there).free):
        raise UserError(
            f"{path}: found {room:,} bytes of free space in {there}, expected {total:,} to unpack it: make room, or "
            "name another folder in ESPNET_EXT_CACHE"
        )


def _oversized(path: str | Path, found: str, expected: str) -> None:
    raise UserError(f"{path}: found {found}, expected {expected}; {ADVICE}")


def refuse_meta(meta: Any, where: str, tables: Sequence[str], own: str) -> None:
    """Refuse a meta.yaml that lacks a table, or names files that are not the model's own.

    Args:
        meta: what the file says.
        where: its name, for the message.
        tables: those it has to have.
        own: one that it may have.

    Raises:
        UserError: naming the first such entry.
    """
    for key in tables:
        if not isinstance(meta, Mapping) or not isinstance(meta.get(key), Mapping):
            raise UserError(f"{where} has no table {key!r}, expected one as in ESPnet's")
    for key in (*tables, own):
        for name, value in (meta.get(key) or {}).items():
            if not isinstance(value, str) or leads_outside(value):
                raise UserError(
                    f"{where} says {name}: {value!r}, expected a name below the model's folder; {ADVICE}"
                )
