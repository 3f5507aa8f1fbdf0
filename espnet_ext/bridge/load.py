"""A trained model from its config.yaml and .pth, whoever trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from espnet_ext.bridge.device import choose_device
from espnet_ext.bridge.tasks import TASKS, Config
from espnet_ext.bridge.trust import (
    check_options,
    find_inside,
    home_of,
    read_yaml,
    refuse_larger,
    stranger,
)
from espnet_ext.bridge.weights import load_weights
from espnet_ext.errors import UserError
from espnet_ext.files import find_above
from espnet_ext.text.token_features import with_features
from espnet_ext.text.tokens import TextPipeline

_FILES = ("bpemodel", "token_list", "non_linguistic_symbols")
_STATS = ("normalize_conf", "pitch_normalize_conf", "energy_normalize_conf")


def find_file(name: str, config_path: Path) -> str:
    """A file named in a config.yaml, where `find_above` finds it; a stranger's names files of its own only.

    Raises:
        UserError: if it is in none of the places.
    """
    if (home := home_of(config_path)) is not None:
        return find_inside(name, config_path, home)
    found = find_above(name, config_path)
    if found is None:
        raise UserError(
            f"{config_path} names {name}, which is neither in a folder above it nor here; "
            "run from the recipe's folder, or unpack the model anew"
        )
    return str(found)


def find_g2p(name: str | None, config_path: Path) -> str | None:
    """The g2p of a config.yaml: a converter's name as it stands, a lexicon where it lies.

    Raises:
        UserError: if it is a lexicon that is nowhere.
    """
    if name and ("/" in name or name.endswith(".txt")):
        return find_file(name, config_path)
    return name


def read_model_config(task_name: str, path: str | Path) -> Config:
    """The part of a config.yaml that a model is built from, its files found.

    Args:
        task_name: "asr", "lm", "tts" or "gan_tts".
        path: written by us or by stock ESPnet.

    Raises:
        UserError: if it is none, or one of a stranger that says what it may not (see bridge.trust).
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected a trained model's config.yaml")
    found, home = read_yaml(path), home_of(path)
    config = {key: found.get(key, default) for key, default in TASKS[task_name].defaults.items()}
    if home is not None:
        check_options(config, path, home)
    for key in _FILES:
        if isinstance(config.get(key), str) and ("/" in config[key] or home is not None):
            config[key] = find_file(config[key], path)
    if "g2p" in config:
        config["g2p"] = find_g2p(config["g2p"], path)
    for key in _STATS:
        if (config.get(key) or {}).get("stats_file"):
            config[key] = {**config[key], "stats_file": find_file(config[key]["stats_file"], path)}
    return config


def load_model(
    task_name: str, config: str | Path, weights: str | Path | None, device: str = "cpu"
) -> tuple[Any, Config]:
    """Build and load a model, ready for inference.

    Returns:
        The model in evaluation mode on `device`, and its configuration.

    Raises:
        UserError: if the device or a file is not there, or they do not fit each other.
    """
    device = choose_device(device)
    settings = read_model_config(task_name, config)
    build, home = TASKS[TASKS[task_name].speaks_as or task_name].build, home_of(config)
    with stranger(home):
        if home is not None and weights is not None:
            refuse_larger(build, settings, weights)
        model = build(settings)
    if weights is not None:
        load_weights(model, weights)
    model = model.to(device).eval()
    return model, settings


def text_pipeline(config: Config) -> TextPipeline:
    """The text side of a trained model."""
    found = TextPipeline(
        config["token_type"],
        config["token_list"],
        bpemodel=config["bpemodel"],
        g2p=config["g2p"],
        cleaner=config["cleaner"],
        nlsyms=_symbols(config["non_linguistic_symbols"]),
    )
    return with_features(found, config)


def _symbols(given: str | list[str] | None) -> list[str]:
    """Non-linguistic symbols as ESPnet's configurations hold them: a file's name or a list."""
    if isinstance(given, str):
        return Path(given).read_text(encoding="utf-8").split()
    return given or []
