"""A trained model from its config.yaml and .pth, whoever trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from espnet_ext.bridge.device import choose_device
from espnet_ext.bridge.tasks import TASKS, Config
from espnet_ext.bridge.weights import load_weights
from espnet_ext.errors import UserError
from espnet_ext.text.token_features import with_features
from espnet_ext.text.tokens import TextPipeline

_FILES = ("bpemodel", "token_list", "non_linguistic_symbols")
_STATS = ("normalize_conf", "pitch_normalize_conf", "energy_normalize_conf")


def find_file(name: str, config_path: Path) -> str:
    """A file named in a config.yaml: relative to a folder above the config.yaml, the nearest first, else as it stands.

    Recipes write paths relative to their own folder (exp/x/config.yaml says exp/stats/...), and a model may
    be used from anywhere, also from another recipe's folder with files of the same names.

    Raises:
        UserError: if it is in none of these places.
    """
    for base in (*config_path.absolute().parents, Path()):
        if (base / name).exists():
            return str(base / name)
    raise UserError(
        f"{config_path} names {name}, which is neither in a folder above it nor here; "
        "run from the recipe's folder, or unpack the model anew"
    )


def read_model_config(task_name: str, path: str | Path) -> Config:
    """The part of a config.yaml that a model is built from, its files found.

    Args:
        task_name: "asr", "lm", "tts" or "gan_tts".
        path: written by us or by stock ESPnet.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected a trained model's config.yaml")
    with open(path, encoding="utf-8") as stream:
        found = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    config = {key: found.get(key, default) for key, default in TASKS[task_name].defaults.items()}
    for key in _FILES:
        if isinstance(config.get(key), str) and "/" in config[key]:
            config[key] = find_file(config[key], path)
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
    model = TASKS[TASKS[task_name].speaks_as or task_name].build(settings)
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
