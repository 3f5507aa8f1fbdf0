"""Models of the ESPnet model zoo and of Hugging Face, fetched once.

The packages espnet_model_zoo and huggingface_hub know what a name means and where their caches are. Archives of the
zoo are fetched by ours, which goes on where a download broke off; the zoo's own begins anew.
"""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from espnet_ext.corpora.fetch import fetch
from espnet_ext.errors import UserError
from espnet_ext.export.trust import Limits
from espnet_ext.files import write_text

#: Of what Hugging Face has under a name.
LIMITS = Limits()
#: Tries that bring nothing before a download is given up.
TRIES = 3
_SUM = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_MD5 = re.compile("[0-9a-f]{32}")


def is_url(name: str) -> bool:
    """Whether a model is named by its address."""
    return name.startswith(("https://", "http://"))


def fetched(name: str, cache: Path) -> Path:
    """A model that lies elsewhere: its zip, or its folder.

    Args:
        name: an address, or a name of the zoo or of Hugging Face ("user/name", "user/name@revision").
        cache: where the zoo's archives go; Hugging Face has its own place.

    Raises:
        UserError: if there is no such model, or no way to it.
    """
    if is_url(name):
        return _archive(name, cache / "zoo")
    try:
        url = _zoo(cache / "zoo", name).get_url(name)
        if url.rstrip("/").endswith("huggingface.co"):
            return _from_hub(name, cache / "hub")
        return _archive(url, cache / "zoo")
    except UserError:
        raise
    except Exception as error:  # network, disk, refusals: every library has its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{name}: found no such folder, and no way to fetch a model of that name ({reason}): check the path, or "
            "name and network; expected a folder, a packed model (.zip), or a name of the model zoo or of Hugging Face"
        ) from error


def _zoo(folder: Path, name: str) -> Any:
    """espnet_model_zoo's table of names, for that one.

    Raises:
        UserError: if the package is not installed.
    """
    try:
        from espnet_model_zoo.downloader import ModelDownloader
    except ImportError as error:
        raise UserError(
            f"{name}: found no such folder, and no package espnet_model_zoo ({error}), which knows names of models: "
            "check the path, or run tools/setup.sh"
        ) from error
    return ModelDownloader(str(folder))


def _archive(url: str, folder: Path) -> Path:
    """The zip at an address, where the zoo itself would put it."""
    name = hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
    path = folder / name / archive_name(url)
    if not path.is_file():
        fetch(url, path, _published_sum(url), tries=TRIES)
    return path


def archive_name(url: str) -> str:
    """The file name in an address; one that would be a folder or hidden is replaced.

    >>> archive_name("https://zenodo.org/record/1/files/asr.zip?download=1"), archive_name("https://x.org/..")
    ('asr.zip', 'model.zip')
    """
    name = unquote(urlsplit(url).path).replace("\\", "/").rpartition("/")[2]
    return name if name.endswith(".zip") and not name.startswith(".") else "model.zip"


def _published_sum(url: str) -> str:
    """md5:... where the server says it (Zenodo does, in hex; RFC 1864 has base64), else ""."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method="HEAD"), timeout=30
        ) as answer:
            said = (answer.headers.get("Content-MD5") or "").strip()
    except (OSError, ValueError):  # whatever is wrong, the download itself will say it
        return ""
    if not _MD5.fullmatch(said):
        try:
            said = base64.b64decode(said, validate=True).hex()
        except ValueError:
            return ""
    return f"md5:{said}" if _MD5.fullmatch(said) else ""


def _from_hub(name: str, checked: Path) -> Path:
    """A snapshot; without network the one that was fetched before.

    Args:
        name: USER/NAME or USER/NAME@REVISION.
        checked: folder in which it is noted whose checksums were right.
    """
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    wanted: dict[str, Any] = {
        "repo_id": repository,
        "revision": revision or None,
        "library_name": "espnet_ext",
    }
    try:
        _refuse_large(name, snapshot_download(**wanted, dry_run=True))
        found = Path(snapshot_download(**wanted))
    except Exception as error:  # the hub's errors have several unrelated roots
        if isinstance(error, UserError) or _is_refusal(error):
            raise
        found = _kept(wanted, error)
    note = checked / found.name
    if not note.is_file():
        refuse_damaged(found)
        write_text(note, "")
    return found


def _kept(wanted: dict[str, Any], why: Exception) -> Path:
    """What was fetched before; if that is nothing, or half of it, the reason why it could not be fetched now."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(**wanted, local_files_only=True))
    except Exception:
        raise why from None


def _is_refusal(error: Exception) -> bool:
    """Whether the hub was reached and said no: then an old copy would hide it."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status is not None and 400 <= status < 500


def _refuse_large(name: str, files: Sequence[Any]) -> None:
    """Raises UserError for a snapshot of more files or bytes than a model has."""
    limits = LIMITS
    total = sum(file.file_size or 0 for file in files)
    if len(files) > limits.members or total > limits.bytes:
        raise UserError(
            f"{name}: found {len(files):,} files of {total:,} bytes, expected a model: {limits.members:,} files and "
            f"{limits.bytes:,} bytes at most"
        )


def refuse_damaged(snapshot: Path) -> None:
    """Compare the files of a snapshot with their checksums, by which Hugging Face's cache names them.

    That is SHA-256 of large files and git's SHA-1 of others.

    Raises:
        UserError: for one that is another; it is removed, so that the next try fetches it anew.
    """
    for path in sorted(p for p in snapshot.rglob("*") if p.is_symlink()):
        blob = path.resolve()
        if _SUM.fullmatch(blob.name) and blob.is_file() and _sum_of(blob) != blob.name:
            blob.unlink()
            raise UserError(
                f"{path}: found another file than the hub's, expected the checksum {blob.name}: it was damaged on its "
                "way and is removed; run it again to fetch it anew"
            )


def _sum_of(path: Path) -> str:
    kind = "sha256" if len(path.name) == 64 else "sha1"
    digest = hashlib.new(kind, usedforsecurity=False)
    if kind == "sha1":
        digest.update(f"blob {path.stat().st_size}\0".encode())  # as git does
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
