"""A trained model by its name, wherever it lies: a folder, a zip, the model zoo or Hugging Face.

Files from strangers are never unpickled (bridge.weights) and never written outside their folder (export.archive).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import yaml

from espnet_ext.errors import UserError
from espnet_ext.export.archive import META, OWN, extract
from espnet_ext.export.pack import TASKS, find_weights

#: Where archives are unpacked to, unless ESPNET_EXT_CACHE names another folder.
CACHE = "~/.cache/espnet_ext"


def find_model(
    name: str | Path, task: str = "asr", cache: str | Path | None = None
) -> dict[str, str]:
    """The files of a model.

    Args:
        name: the folder of a training or of an unpacked model, a packed model (.zip), or a name of the ESPnet model zoo
            or of Hugging Face ("user/name", "user/name@revision"), whose own caches are used, also without network.
        task: asr, tts or vocoder.
        cache: where archives are unpacked to.

    Returns:
        arguments of ESPnet's inference class -> files, e.g. {"asr_train_config": ..., "asr_model_file": ...}, and of
        ours ("ngram").

    Raises:
        UserError: if there is no such model.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _of_folder(path, task)
    if path.is_file():
        return _of_folder(_unpacked(path, cache), task)
    if path.suffix == ".zip" or not _is_name(str(name)):
        raise UserError(
            f"{name}: found no such file or folder, expected a trained model's folder, a packed model (.zip), or "
            "a name of the model zoo or of Hugging Face such as user/name"
        )
    found = Path(_fetched(str(name), cache))
    return _of_folder(found if found.is_dir() else _unpacked(found, cache), task)


def _is_name(name: str) -> bool:
    """Whether it may be USER/NAME."""
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and parts[0] not in (".", "..", "~")


def _cache(given: str | Path | None) -> Path:
    return Path(given or os.environ.get("ESPNET_EXT_CACHE") or CACHE).expanduser()


def _unpacked(archive: Path, cache: str | Path | None) -> Path:
    """The folder of an archive's content; unpacked when first asked for."""
    archive = archive.resolve()
    facts = archive.stat()
    told = f"{archive} {facts.st_size} {facts.st_mtime_ns}"
    name = f"{archive.stem}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    folder = _cache(cache) / name
    if not (folder / META).is_file():  # written last: where it is, the rest is complete
        extract(archive, folder)
    return folder


def _of_folder(folder: Path, task: str) -> dict[str, str]:
    kind = TASKS[task]
    if not (folder / META).is_file() and (folder / "config.yaml").is_file():
        weights = find_weights(folder, kind.preferred)
        return {kind.config: str(folder / "config.yaml"), kind.model: str(weights)}
    metas = sorted(folder.rglob(META))
    if not metas:
        raise UserError(
            f"{folder}: found neither config.yaml nor {META}, expected a trained or unpacked model"
        )
    meta = yaml.safe_load(metas[0].read_text(encoding="utf-8"))
    tables: list[Any] = [meta.get(key) or {} for key in ("yaml_files", "files", OWN)]
    found = {key: str(folder / name) for table in tables for key, name in table.items()}
    if kind.config not in found or kind.model not in found:
        raise UserError(
            f"{folder}: found a model with {', '.join(sorted(found)) or 'no files'}, expected one with {kind.config} "
            f"and {kind.model}: is it one for {task}?"
        )
    return found


def _fetched(name: str, cache: str | Path | None) -> str:
    """A model of the zoo or of Hugging Face: a zip or a folder.

    Raises:
        UserError: if it cannot be had.
    """
    try:
        from espnet_model_zoo.downloader import ModelDownloader
    except ImportError as error:
        raise UserError(
            f"{name}: found no package espnet_model_zoo, which knows such names: run tools/setup.sh"
        ) from error
    try:
        zoo = ModelDownloader(str(_cache(cache) / "zoo"))
        if zoo.get_url(name).rstrip("/").endswith("huggingface.co"):
            return _from_hub(name)
        return str(zoo.download(name))
    except UserError:
        raise
    except Exception as error:  # network, disk, refusals: every library has its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{name}: found no way to fetch it ({reason}): check the name and the network, or give a folder or a zip"
        ) from error


def _from_hub(name: str) -> str:
    """A snapshot; without network the one that was fetched before."""
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    wanted: dict[str, Any] = {
        "repo_id": repository,
        "revision": revision or None,
        "library_name": "espnet_ext",
    }
    try:
        return str(snapshot_download(**wanted))
    except OSError:  # no connection: hub errors are OSErrors
        return str(snapshot_download(**wanted, local_files_only=True))
