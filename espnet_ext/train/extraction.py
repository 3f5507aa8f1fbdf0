"""How a synthesiser's features, pitch and energy are extracted: what fits together, and what statistics were made with.

A model's class may say in `extraction` what it counts on: options of extractors with their values.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet_ext.audio.features import hertz
from espnet_ext.bridge.choices import find_class
from espnet_ext.errors import UserError
from espnet_ext.files import write_text

#: beside the statistics, what they were made with
RECORD = "extraction.json"
_KINDS = {
    "feats_extract": "feats_extractor",
    "pitch_extract": "pitch_extractor",
    "energy_extract": "energy_extractor",
}
#: options that are those of the features, so that a frame of the one is one of the other; energy has no use for fs
_SHARED = {"pitch_extract": ("fs", "hop_length"), "energy_extract": ("hop_length",)}
_NORMALISED = {"feats_extract": "normalize", "energy_extract": "energy_normalize"}

Settings = dict[str, dict[str, Any]]


def settings(task: str, config: Mapping[str, Any]) -> Settings:
    """Each extractor's class and options, with their defaults; none of what a configuration does not extract.

    Args:
        task: the task's name.
        config: the whole configuration.
    """
    if config.get("odim") is not None:
        return {}
    used = [key for key in _KINDS if config.get(key) is not None]
    return {key: _options(find_class(task, _KINDS[key], config[key]), config, key) for key in used}


def _options(cls: type, config: Mapping[str, Any], key: str) -> dict[str, Any]:
    known = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in known if p.default is not p.empty}
    found = {**defaults, **(config.get(f"{key}_conf") or {})}
    if found.get("fs") is not None:
        found["fs"] = hertz(found["fs"])
    return {"class": f"{cls.__module__}:{cls.__qualname__}", **found}


def check_extraction(task: str, config: Mapping[str, Any]) -> None:
    """Pitch and energy have the features' frames, and are of the kind that the model reads.

    Args:
        task: the task's name; for one without features nothing is checked.
        config: the whole configuration.

    Raises:
        UserError: naming the option.
    """
    found = settings(task, config)
    if not found:
        return
    for key, option, value in _expected(task, config, found):
        if key in found and found[key].get(option, value) != value:
            raise UserError(
                f"{key}_conf.{option}: found {_said(found[key][option])}, expected {_said(value)} for tts: "
                f"{config['tts']}: set `{key}_conf.{option}: {_said(value)}` and collect the statistics again"
            )


def _expected(
    task: str, config: Mapping[str, Any], found: Settings
) -> Iterator[tuple[str, str, Any]]:
    """Extractor, option, value."""
    for key, options in _SHARED.items():
        feats = found.get("feats_extract", {})
        yield from ((key, option, feats[option]) for option in options if option in feats)
    wanted = getattr(find_class(task, "tts", config["tts"]), "extraction", {})
    for key, values in wanted.items():
        yield from ((key, option, value) for option, value in values.items())


def _said(value: Any) -> str:
    """As a YAML has it."""
    return json.dumps(value, default=str)


def write_record(task: str, config: Mapping[str, Any], folder: Path) -> None:
    """Leave beside statistics what they were made with; nothing for a task without such settings."""
    found = settings(task, config)
    if found:
        write_text(folder / RECORD, json.dumps(found, indent=2, default=str) + "\n")


def check_record(task: str, config: Mapping[str, Any], folder: Path | None) -> None:
    """The statistics that are read were made as the configuration says; those without a record are taken as such.

    Args:
        task: the task's name.
        config: the whole configuration, `stats_file` filled in.
        folder: directory made by collect_stats.

    Raises:
        UserError: naming the option that differs.
    """
    if folder is None or not (folder / RECORD).is_file():
        return
    before = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    now = json.loads(json.dumps(settings(task, config), default=str))
    for key in [key for key in now if key in before and _is_read(config, key, folder)]:
        for option in sorted({*before[key]} & {*now[key]}):  # a later version may have others
            was, wanted = (each[key][option] for each in (before, now))
            if option == "class":  # wherever it lives by now
                was, wanted = (str(name).rpartition(":")[2] for name in (was, wanted))
            if was != wanted:
                raise UserError(
                    f"{folder}: found statistics made with {key}_conf.{option} {_said(was)}, expected "
                    f"{_said(wanted)} as the configuration says: collect them again with the same --set (stage "
                    "tts_stats of a recipe), or take that option back"
                )


def _is_read(config: Mapping[str, Any], key: str, folder: Path) -> bool:
    """Whether training reads of the statistics what this extractor has made; pitch it reads for every utterance."""
    if key not in _NORMALISED:
        return True
    conf = config.get(f"{_NORMALISED[key]}_conf") or {}
    return Path(conf.get("stats_file") or "").parent.parent == folder
