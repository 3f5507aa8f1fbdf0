"""Fetching and unpacking a corpus: resumed, verified, never half there under its final name."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.files import locked
from espnet_ext.progress import progress

BLOCK = 1 << 20
#: Seconds before a download goes on; doubled after every try that brought nothing.
PAUSE = 2.0
#: What newer Pythons want said; _safe has already taken out everything else.
FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
#: What a damaged archive raises while it is read.
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error)


@dataclass(frozen=True)
class Archive:
    """A corpus, or a part of one, as it is distributed.

    Attributes:
        url: where it lies; .tar.gz, .tar.bz2 or .zip.
        name: the directory within the archive, such as LibriSpeech/dev-clean; "" = all of it.
        checksum: "md5:..." or "sha256:..." where one is published; "" = its own CRCs have to do.
        witnesses: files below `name` that a whole corpus has.
        shared: files beside `name` that go beside the target, if there are none yet.
    """

    url: str
    name: str
    checksum: str = ""
    witnesses: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


def obtain(archive: Archive, target: str | Path) -> None:
    """Fetch, verify and unpack an archive as `target`, unless that is there; then remove it.

    Of several processes one does it, and the others wait for that.

    Raises:
        UserError: it cannot be fetched, is not what was published, or the disk is too small.
    """
    target = Path(target)
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    said = f"wait for another process, which fetches {target}"
    with locked(target.parent / f".{target.name}.lock", passing=True, waiting=said):
        if not target.is_dir():  # nobody else has done it meanwhile
            _obtain(archive, target)


def _obtain(archive: Archive, target: Path) -> None:
    path = target.parent / f".{target.name}-{archive.url.rpartition('/')[2]}"
    if not path.exists() and not _adopt(archive, target, path):
        fetch(archive.url, path, archive.checksum)
    print(f"unpack {archive.url.rpartition('/')[2]} as {target}", file=sys.stderr, flush=True)
    unpack(path, archive.name, target, archive.witnesses, archive.shared)
    path.unlink()


def _adopt(archive: Archive, target: Path, path: Path) -> bool:
    """Link `path` to the archive if it lies beside the target or a directory higher, as published.

    The file stays where it is, whatever is found in it: somebody has put it there.
    """
    kind, _, expected = archive.checksum.partition(":")
    name = archive.url.rpartition("/")[2]
    for found in (target.parent / name, target.parent.parent / name):
        if kind and found.is_file():
            if _digest(found, kind) == expected:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.symlink_to(found.resolve())
                return True
            print(f"{found}: not the archive that was published, not used", file=sys.stderr)
    return False


def fetch(
    url: str, path: str | Path, checksum: str = "", *, timeout: float = 60.0, tries: int = 5
) -> None:
    """Download `url` to `path`, unless that is there; goes on where an earlier try stopped (`path.part`).

    Of several processes one fetches it, and the others wait for that.

    Args:
        url: what to fetch.
        path: its final name, under which it appears when it is whole and verified.
        checksum: "md5:<hex>" or "sha256:<hex>"; "" where nothing was published.
        timeout: seconds without an answer after which a try ends.
        tries: how many tries that bring nothing end it; the first of all, or 1: at once.

    Raises:
        UserError: if the server cannot be reached or sends less than it announced (what came is
            kept), or the file is not the one that was published (it is removed).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = f"wait for another process, which fetches {path}"
    with locked(path.with_name(f".{path.name}.lock"), passing=True, waiting=said):
        if path.exists():  # another process has fetched it meanwhile
            return
        part = path.with_name(path.name + ".part")
        _fetch(url, part, path.name, timeout, tries)
        _verify(url, part, checksum)
        os.replace(part, path)


def _fetch(url: str, part: Path, name: str, timeout: float, tries: int) -> None:
    """Try until it is whole, or `tries` in a row have brought nothing."""
    idle = 0
    while True:
        have = _size(part)
        try:
            _download(url, part, name, timeout)
            return
        except UserError:
            idle = 0 if _size(part) > have else idle + 1
            if idle == tries or not _size(part) or tries == 1:
                raise
            time.sleep(PAUSE * 2**idle)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _download(url: str, part: Path, name: str, timeout: float) -> None:
    """One try; what comes is added to `part`."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            have = have if answer.status == 206 else 0
            size = have + int(answer.headers.get("Content-Length", 0))
            _require_space(part.parent, size - have, url)
            with open(part, "ab" if have else "wb") as out:
                blocks = iter(lambda: answer.read(BLOCK), b"")
                for block in progress(blocks, -(-(size - have) // BLOCK), f"fetch {name} (MiB)"):
                    out.write(block)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing left to send, the part is whole
            raise _failed(url, part, str(error)) from None
        size = have
    except (
        urllib.error.URLError,
        TimeoutError,
        ConnectionError,
        http.client.HTTPException,
    ) as error:
        raise _failed(url, part, str(getattr(error, "reason", error)) or "no answer") from None
    found = part.stat().st_size
    if size and found != size:
        raise _failed(url, part, f"{found} bytes of {size}")


def _require_space(folder: Path, size: int, url: str) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{folder}: found {free / 1e9:.1f} GB of free space, expected {size / 1e9:.1f} GB for "
            f"{url} and as much again to unpack it: name a larger disk in local/db.sh"
        )


def _failed(url: str, part: Path, what: str) -> UserError:
    kept = f" ({part} is kept and continued)" if part.exists() else ""
    return UserError(
        f"{url}: found {what}, expected the whole file: check the network and run it again{kept}, "
        "or fetch it by hand"
    )


def _verify(url: str, part: Path, checksum: str) -> None:
    """Compare with what was published; another file is removed, so that the next try starts anew."""
    kind, _, expected = checksum.partition(":")
    found = _digest(part, kind) if kind else ""
    if found != expected:
        part.unlink()
        raise UserError(
            f"{url}: found {kind} {found}, expected {expected}: the file was damaged "
            "on its way and is removed; run it again to fetch it anew"
        )


def _digest(part: Path, kind: str) -> str:
    """The md5 or sha256 of a file."""
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(part, "rb") as stream:
        blocks = iter(lambda: stream.read(BLOCK), b"")
        total = -(-part.stat().st_size // BLOCK)
        for block in progress(blocks, total, f"verify {part.stem} (MiB)", quiet_end=True):
            digest.update(block)
    return digest.hexdigest()


def unpack(
    archive: str | Path,
    name: str,
    target: str | Path,
    witnesses: tuple[str, ...],
    shared: tuple[str, ...] = (),
) -> None:
    """Unpack directory `name` of an archive as `target`, by a rename at the end.

    Args:
        archive: tar (also compressed) or zip file; removed if it turns out to be damaged, so that
            the next try fetches it anew.
        name: the directory within the archive; "" = all of it.
        target: where it goes; must not exist.
        witnesses: files below `name` that a whole corpus has.
        shared: files beside `name` that go beside `target`, if there are none yet.

    Raises:
        UserError: damaged archive, a member that would leave the directory, or a witness missing.
    """
    archive, target = Path(archive), Path(target)
    beside = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    try:
        (_unzip if zipfile.is_zipfile(archive) else _untar)(archive, beside)
        _require_whole(archive, beside, name, witnesses)
        for other in shared:
            _place(beside / name / ".." / other, target.parent / other)
        os.replace(beside / name, target)
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, DAMAGE) and error.errno:
            raise
        archive.unlink(missing_ok=True)
        raise UserError(
            f"{archive}: found a damaged archive ({error}), expected a tar or zip file: it was "
            "removed; run it again to fetch it anew"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _require_whole(archive: Path, unpacked: Path, name: str, witnesses: tuple[str, ...]) -> None:
    """Raises UserError where what was unpacked is something else."""
    absent = [w for w in witnesses if not (unpacked / name / w).is_file()]
    if absent or not (unpacked / name).is_dir():
        raise UserError(
            f"{archive}: found no {(absent or [name])[0]}, expected it in {name or 'it'}: the "
            "archive is another one"
        )


def _place(source: Path, target: Path) -> None:
    if source.is_file() and not target.exists():
        os.replace(source, target)


def _untar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in _safe(tar, archive):
            tar.extract(member, folder, set_attrs=False, **FILTER)


def _unzip(archive: Path, folder: Path) -> None:
    """Names that are no UTF-8 are left as zipfile reads them; a wrong CRC raises BadZipFile."""
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            _require_inside(member.filename, archive)
            packed.extract(member, folder)


def _safe(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """Plain files and directories that stay inside."""
    for member in tar:
        _require_inside(member.name, archive)
        if member.isfile() or member.isdir():
            yield member


def _require_inside(name: str, archive: Path) -> None:
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise UserError(
            f"{archive}: found the member {name!r} that leads outside, expected plain relative "
            "names: do not trust this archive"
        )
