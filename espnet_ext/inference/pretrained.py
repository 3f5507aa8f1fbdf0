"""A trained model by its name, wherever it lies: a folder, a zip, the model zoo or Hugging Face.

Files from strangers are never unpickled (bridge.weights) and never written outside their folder (export.archive).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from espnet_ext.errors import UserError
from espnet_ext.export.archive import META, OWN, BrokenArchive, extract
from espnet_ext.export.pack import LM, TASKS, find_weights
from espnet_ext.export.trust import refuse_meta
from espnet_ext.inference.zoo import fetched, is_url

#: Where archives are unpacked to, unless ESPNET_EXT_CACHE names another folder.
CACHE = "~/.cache/espnet_ext"


def find_model(
    name: str | Path, task: str = "asr", cache: str | Path | None = None
) -> dict[str, str]:
    """The files of a model.

    Args:
        name: the folder of a training or of an unpacked model, weights (.pth) in the folder of a training, a packed
            model (.zip), its address (https://...), or a name of the ESPnet model zoo or of Hugging Face ("user/name",
            "user/name@revision"). What was fetched once is found again without network; what broke off goes on where
            it stopped.
        task: asr, tts or vocoder.
        cache: where models are fetched and unpacked to.

    Returns:
        arguments of ESPnet's inference class -> files, e.g. {"asr_train_config": ..., "asr_model_file": ...}, and of
        ours ("ngram", "vocoder_config", "vocoder_weights").

    Raises:
        UserError: if there is no such model, it cannot be fetched, or it is not to be trusted.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _of_folder(path, task)
    if path.is_file() and path.suffix == ".pth":
        return _of_training(path.parent, task, path.name)
    if path.is_file():
        return _of_folder(_unpacked(path, cache), task)
    if not is_url(str(name)) and (path.suffix in (".zip", ".pth") or not _is_name(str(name))):
        raise UserError(
            f"{name}: found no such file or folder, expected a trained model's folder, a packed model (.zip), its "
            "address, or a name of the model zoo or of Hugging Face such as user/name"
        )
    return _of_folder(_of_elsewhere(str(name), cache), task)


def _of_elsewhere(name: str, cache: str | Path | None) -> Path:
    """The folder of a model that was fetched."""
    found = fetched(name, cache_folder(cache))
    if found.is_dir():
        return found
    try:
        return _unpacked(found, cache)
    except BrokenArchive:
        found.unlink(missing_ok=True)  # damaged on its way: the next try fetches it anew
        raise


def _is_name(name: str) -> bool:
    """Whether it may be USER/NAME."""
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and parts[0] not in (".", "..", "~")


def cache_folder(given: str | Path | None) -> Path:
    """The folder `given`, that of ESPNET_EXT_CACHE, or the usual one."""
    return Path(given or os.environ.get("ESPNET_EXT_CACHE") or CACHE).expanduser()


def _unpacked(archive: Path, cache: str | Path | None) -> Path:
    """The folder of an archive's content; unpacked when first asked for."""
    archive = archive.resolve()
    facts = archive.stat()
    told = f"{archive} {facts.st_size} {facts.st_mtime_ns}"
    name = f"{archive.stem}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    folder = cache_folder(cache) / name
    if not (folder / META).is_file():  # written last: where it is, the rest is complete
        try:
            extract(archive, folder)
        except UserError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def _of_training(folder: Path, task: str, weights: str | None = None) -> dict[str, str]:
    """The files that training left; `weights` are the usual ones if they are not named."""
    kind, config = TASKS[task], folder / "config.yaml"
    if not config.is_file():
        raise UserError(f"{config}: no such file, expected the configuration beside {weights}")
    model = find_weights(folder, kind.preferred, weights)
    return {kind.config: str(config), kind.model: str(model)}


def _meta_below(folder: Path) -> Path:
    """The table of an unpacked model, of which a zip may have held the folder. Nothing deeper is looked at."""
    metas = [folder / META] if (folder / META).is_file() else sorted(folder.glob(f"*/{META}"))
    if not metas:
        raise UserError(
            f"{folder}: found neither config.yaml nor {META}, expected a trained or unpacked model"
        )
    if len(metas) > 1:
        raise UserError(
            f"{folder}: found several models, {', '.join(m.parent.name for m in metas[:5])}: name one of them"
        )
    return metas[0]


def _of_folder(folder: Path, task: str) -> dict[str, str]:
    kind = TASKS[task]
    if not (folder / META).is_file() and (folder / "config.yaml").is_file():
        return _of_training(folder, task)
    path = _meta_below(folder)
    try:
        meta = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: found no YAML, expected the tables of a packed model: unpack it again"
        ) from error
    refuse_meta(meta, str(path), ("files", "yaml_files"), OWN)
    tables: list[Any] = [meta.get(key) or {} for key in ("yaml_files", "files", OWN)]
    names = {key: name for table in tables for key, name in table.items()}
    # beside the table, or, as ESPnet counts them, from the folder on
    places = {key: (path.parent / name, folder / name) for key, name in names.items()}
    found = {key: str(next(filter(Path.is_file, two), two[0])) for key, two in places.items()}
    if kind.config not in found or kind.model not in found:
        raise UserError(
            f"{folder}: found a model with {', '.join(sorted(found)) or 'no files'}, expected one with {kind.config} "
            f"and {kind.model}: is it one for {task}?"
        )
    return found


def lm_files(folder: str | Path) -> dict[str, Path]:
    """The files of a language model that training left in a folder, as `Speech2Text` calls them."""
    weights = find_weights(Path(folder), LM.preferred)
    return {"lm_config": Path(folder) / "config.yaml", "lm_weights": weights}
