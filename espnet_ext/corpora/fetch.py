"""Fetching and unpacking a corpus: resumable, verified, never half there under its final name."""

from __future__ import annotations

import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.progress import progress

BLOCK = 1 << 20
#: What newer Pythons want said; _safe has already taken out everything else.
FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def fetch(url: str, path: str | Path, timeout: float = 60.0) -> None:
    """Download `url` to `path`; goes on where an earlier try stopped (`path.part`).

    Raises:
        UserError: if the server cannot be reached or sends less than it announced; what came is
            kept.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            have = have if answer.status == 206 else 0
            size = have + int(answer.headers.get("Content-Length", 0))
            with open(part, "ab" if have else "wb") as out:
                blocks = iter(lambda: answer.read(BLOCK), b"")
                for block in progress(
                    blocks, -(-(size - have) // BLOCK), f"fetch {path.name} (MiB)"
                ):
                    out.write(block)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing left to send, the part is whole
            raise _failed(url, part, str(error)) from None
        size = have
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise _failed(url, part, str(getattr(error, "reason", error))) from None
    found = part.stat().st_size
    if size and found != size:
        raise _failed(url, part, f"{found} bytes of {size}")
    os.replace(part, path)


def _failed(url: str, part: Path, what: str) -> UserError:
    kept = f" ({part} is kept and continued)" if part.exists() else ""
    return UserError(
        f"{url}: found {what}, expected the whole file: check the network and run it again{kept}, "
        "or fetch it by hand"
    )


def unpack(archive: str | Path, name: str, target: str | Path, witnesses: tuple[str, ...]) -> None:
    """Unpack directory `name` of a tar archive as `target`, by a rename at the end.

    Args:
        archive: .tar.gz file; removed if it turns out to be damaged, so that the next try fetches
            it anew.
        name: the directory within the archive.
        target: where it goes; must not exist.
        witnesses: files below `name` that a whole corpus has.

    Raises:
        UserError: damaged archive, a member that would leave the directory, or a witness missing.
    """
    archive, target = Path(archive), Path(target)
    beside = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    try:
        with tarfile.open(archive) as tar:
            for member in _safe(tar, archive):
                tar.extract(member, beside, set_attrs=False, **FILTER)
        absent = [w for w in witnesses if not (beside / name / w).is_file()]
        if absent:
            raise UserError(
                f"{archive}: found no {absent[0]}, expected it in {name}: the archive is another "
                "one"
            )
        os.replace(beside / name, target)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, tarfile.TarError) and error.errno:
            raise
        archive.unlink(missing_ok=True)
        raise UserError(
            f"{archive}: found a damaged archive ({error}), expected a tar file: it was removed; "
            "run it again to fetch it anew"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _safe(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """Plain files and directories that stay inside."""
    for member in tar:
        parts = Path(member.name).parts
        if member.name.startswith("/") or ".." in parts:
            raise UserError(
                f"{archive}: found the member {member.name!r} that leads outside, expected plain "
                "relative names: do not trust this archive"
            )
        if member.isfile() or member.isdir():
            yield member
