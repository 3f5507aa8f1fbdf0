"""What the configuration of somebody else's model may say: files from strangers run no code and reach no other files.

A stranger's model is one that was unpacked (a folder with `meta.yaml` in or above its config.yaml) or lies in the cache
of Hugging Face. Its configuration may name classes of ESPnet and of this package, files within its own folder, and
numbers of a model that fits its weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.files import refuse_bomb

META = "meta.yaml"
#: Packages whose classes any configuration may name, and the variable that adds others.
KNOWN, TRUST = ("espnet", "espnet2", "espnet_ext"), "ESPNET_EXT_TRUST"
#: Bytes of a config.yaml, and values in it; a list of 100,000 tokens has 2 MB.
BYTES, VALUES = 20_000_000, 500_000
#: Parts of names of options -> greatest number; the first that fits. No known model comes near.
GREATEST = {
    "mel": 10_000,
    "fft": 65_536,
    "win": 65_536,
    "hop": 65_536,
    "block": 1_000,
    "layer": 1_000,
}
MOST = 10_000_000
#: Numbers that a model may have beside those in its weights: tables of positions, windows, filters.
BESIDE = 100_000_000
#: Options that are texts, and those that may be lists of them.
_TEXTS = (
    "bpemodel",
    "token_type",
    "g2p",
    "cleaner",
    "non_linguistic_symbols",
    "init",
    "token_list",
)
_LISTS = ("cleaner", "non_linguistic_symbols", "token_list")
#: Options that only training needs: one of ESPnet's fetches and runs code, the other names weights to begin with.
_TRAINING = ("plot_pred_mos", "init_param")

_home: ContextVar[Path | None] = ContextVar(
    "folder of the stranger's model being built", default=None
)


def home_of(config: str | Path) -> Path | None:
    """The folder of the stranger's model that a config.yaml belongs to; None for a model of one's own."""
    for folder in Path(config).absolute().parents:
        if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
            return folder
        meta = folder / META
        if meta.is_file() and b"yaml_files" in meta.read_bytes()[:BYTES]:
            return folder
    return None


@contextmanager
def stranger(home: Path | None) -> Iterator[None]:
    """While it lasts, `refuse_foreign` refuses; nothing happens without `home`.

    Raises:
        UserError: for whatever is raised in it: of a stranger's configuration nobody here can mend the code.
    """
    token = _home.set(home or _home.get())
    try:
        yield
    except Exception as error:
        if home is None or isinstance(error, UserError):
            raise
        raise UserError(
            f"{home}: found a configuration that makes no model ({type(error).__name__}: {str(error)[:300]}), expected "
            "that of a trained one: fetch or unpack it anew"
        ) from error
    finally:
        _home.reset(token)


def refuse_foreign(path: str) -> None:
    """Refuse `package.module:Name` of a package that a stranger may not name, before it is imported.

    Raises:
        UserError: with what to do if it is to be trusted.
    """
    if _home.get() is None:
        return
    package = path.partition(":")[0].partition(".")[0]
    trusted = [name.strip() for name in os.environ.get(TRUST, "").split(",")]
    if package not in (*KNOWN, *trusted):
        raise UserError(
            f"{_home.get()}: this model's configuration names {path}, expected classes of {', '.join(KNOWN)}: what was "
            f"fetched or unpacked runs no other code. If you know where it comes from and have read {package}, set "
            f"{TRUST}={package}"
        )


def find_inside(name: str, config: Path, home: Path) -> str:
    """A file that a stranger's config.yaml names, which is to be one of its own.

    Args:
        name: relative to a folder between `home` and the config.yaml, the nearest first; or absolute.
        config, home: see `home_of`.

    Raises:
        UserError: if it is elsewhere, or nowhere.
    """
    home = home.absolute()
    for folder in config.absolute().parents:
        found = Path(os.path.normpath(folder / name))
        if found.is_relative_to(home) and found.is_file():
            refuse_bomb(found)
            return str(found)
        if folder == home:
            break
    raise UserError(
        f"{config} names {name}, which is no file in {home}, expected one of the model's own: fetch or unpack it anew, "
        "and do not trust it if it says so again"
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """A config.yaml, never building objects.

    Raises:
        UserError: if it is none.
    """
    import yaml

    try:
        if path.stat().st_size > BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        with open(path, encoding="utf-8") as stream:
            found = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path}: found no configuration ({reason}), expected the plain YAML of a trained model's config.yaml, of "
            f"at most {BYTES:,} bytes, without tags such as !!python"
        ) from error
    return found


def check_options(config: dict[str, Any], path: Path, home: Path) -> None:
    """Refuse options that reach beyond a stranger's own files, or are huge; changes those that are for training.

    Raises:
        UserError: naming the first such option.
    """
    left = VALUES
    for key in list(config):
        options = key.endswith("_conf") and key != "preprocessor_conf"  # that is training's alone
        if options and not isinstance(config[key] or {}, dict):
            raise UserError(f"{path}: found {key}: no table, expected options by name")
        if options:
            config[key] = _for_inference(config[key] or {})
        waiting: list[tuple[str, Any]] = [(key, config[key])]
        while waiting:
            name, value = waiting.pop()
            left -= 1
            if left < 0:
                raise UserError(f"{path}: found more than {VALUES:,} values, expected a model's")
            if isinstance(value, Mapping):
                waiting += [(str(n), v) for n, v in value.items()]
            elif isinstance(value, (list, tuple)):
                waiting += [(name, v) for v in value]
            elif options:
                _check_value(name, value, path, home)
    for key in _TEXTS:
        given = config.get(key)
        fits = given is None or isinstance(given, str) or (key in _LISTS and _is_texts(given))
        if not fits:
            raise UserError(f"{path}: found a {type(given).__name__} for {key}, expected a text")


def _for_inference(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only training needs: a fused language model's folder, too, where its options stand beside it."""
    needless = (*_TRAINING, "lm_dir") if options.get("lm") else _TRAINING
    return {name: value for name, value in options.items() if name not in needless}


def _is_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)


def _is_inside(name: str, home: Path) -> bool:
    if "/" not in name and name != "..":
        return True
    return Path(os.path.normpath(home.absolute() / name)).is_relative_to(home.absolute())


def _check_value(name: str, value: Any, path: Path, home: Path) -> None:
    if isinstance(value, str):
        if "://" in value or not _is_inside(value, home):
            raise UserError(
                f"{path}: found {name}: {value!r:.200}, expected nothing outside the model's folder {home}: do not "
                "trust this model"
            )
    elif isinstance(value, (int, float)):
        most = next((m for part, m in GREATEST.items() if part in name.lower()), MOST)
        if value == value and abs(value) > most and abs(value) != float("inf"):
            raise UserError(
                f"{path}: found {name}: {value!r:.80}, expected at most {most:,} in a model from elsewhere"
            )


def refuse_larger(build: Callable[[Any], Any], config: Any, weights: str | Path) -> None:
    """Refuse a configuration of a model much larger than its weights, before memory is asked for.

    Args:
        build: makes the model of a configuration.
        config: is left as it is.
        weights: a file with at least a byte a number.

    Raises:
        UserError: with both sizes; and what `build` raises of it.
    """
    import copy
    import logging

    import torch

    room = Path(weights).stat().st_size + BESIDE if Path(weights).is_file() else None
    if room is None:
        return
    try:
        with torch.device("meta"):
            model = build(copy.deepcopy(config))
    except (NotImplementedError, RuntimeError, TypeError) as error:  # what wants numbers at once
        logging.debug("%s: its size is not known beforehand (%s)", weights, error)
        return
    found = sum(t.numel() for t in (*model.parameters(), *model.buffers()))
    if found > room:
        raise UserError(
            f"{weights}: found a configuration of {found:,} numbers beside a file of {room - BESIDE:,} bytes, expected "
            "those of one model: do not trust it"
        )
