"""What an experiment is made of: its configuration, its data, and what earlier stages have made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.audio.read import opened
from espnet_ext.bridge.choices import find_class
from espnet_ext.bridge.tasks import Task, made, sampling_rate
from espnet_ext.errors import UserError
from espnet_ext.text.token_features import with_features
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.config import (
    TRAINING,
    Config,
    check_keys,
    complete,
    load_yaml,
    merge,
    parse_overrides,
)
from espnet_ext.train.data import Utterances, read_data_dir, read_text
from espnet_ext.train.extraction import check_extraction, check_record
from espnet_ext.train.feeds import feed, wanted
from espnet_ext.train.values import KINDS, MAPPING, check_values, optional
from espnet_ext.vocoder.build import features as front_end
from espnet_ext.vocoder.build import needs_f0
from espnet_ext.vocoder.data import read_segments


@dataclass(frozen=True)
class Places:
    """Where training reads and writes.

    Attributes:
        config: the experiment's YAML.
        train, valid: formatted data directories; for a language model text files.
        tokens: directory made by train_tokens; None for a vocoder, which sees no text.
        output_dir: receives config.yaml, weights, metrics.jsonl.
        stats_dir: made by collect_stats; None for a language model.
        overrides: "key=value" changes to the YAML.
    """

    config: Path
    train: Sequence[Path]
    valid: Sequence[Path]
    tokens: Path | None
    output_dir: Path
    stats_dir: Path | None = None
    overrides: Sequence[str] = ()


def read_config(task: Task, path: Path, overrides: Sequence[str] = ()) -> Config:
    """The whole configuration of an experiment.

    Raises:
        UserError: on a key that neither the task nor the training knows, and on a value of the wrong kind.
    """
    found = merge(load_yaml(path), parse_overrides(overrides))
    known = {**task.defaults, **TRAINING}
    check_keys(found, known, str(path))
    config = complete(known, found)
    parts = {key: optional(MAPPING) for key in known if key.endswith("_conf")}
    check_values(config, {**parts, **KINDS, **task.kinds}, str(path))
    return config


def fill_in(config: Config, pipeline: TextPipeline | None, stats_dir: Path | None) -> Config:
    """Put what the earlier stages made into the configuration: tokens, where there are any, and statistics."""
    if pipeline is not None:
        config["token_list"] = pipeline.token_list
        config["token_type"], config["g2p"] = pipeline.token_type, pipeline.g2p
        config["cleaner"] = pipeline.cleaner
        config["non_linguistic_symbols"] = list(pipeline.nlsyms) or None
        config["bpemodel"] = None if pipeline.bpemodel is None else str(pipeline.bpemodel)
    for key, stats in (
        ("normalize", "feats"),
        ("pitch_normalize", "pitch"),
        ("energy_normalize", "energy"),
    ):
        if config.get(key) == "global_mvn" and "stats_file" not in config[f"{key}_conf"]:
            command = "vocoder_stats" if pipeline is None else "collect_stats"
            config[f"{key}_conf"]["stats_file"] = _stats_file(stats_dir, key, stats, command)
    return config


def _stats_file(stats_dir: Path | None, key: str, name: str, command: str) -> str:
    if stats_dir is None:
        raise UserError(
            f"{key}: found global_mvn and no --stats_dir, expected the directory that {command} made"
        )
    path = stats_dir / "train" / f"{name}_stats.npz"
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, expected mean and variance as {key}: global_mvn says: run {command} first"
        )
    return str(path)


def read_data(
    task: Task, places: Places, pipeline: TextPipeline, pitch: bool = False
) -> tuple[Utterances, Utterances]:
    """Training and validation data; `pitch`: with what the statistics' stage has kept of it."""
    train, valid = (
        read_text(where, pipeline)
        if task.name == "lm"
        else read_split(where, split, pipeline, places.stats_dir if pitch else None)
        for split, where in (("train", places.train), ("valid", places.valid))
    )
    for split, data, where in (("train", train, places.train), ("valid", valid, places.valid)):
        if len(data) == 0:
            raise UserError(f"{where[0]} ({split}) has no utterance; check the filter's limits")
    return train, valid


def check_rate(task: Task, config: Config, data: Utterances) -> None:
    """Training audio is at the rate that the front end is made for, as decoding will take it to be.

    Raises:
        UserError: if it is not; of the data one utterance is looked at, format_audio gives all the same rate.
    """
    wanted = sampling_rate(task.name, config) if data.audio else None
    if wanted is None:
        return
    utt, entry = next(iter(data.audio.items()))
    with opened(entry, utt) as stream:
        found = stream.samplerate
    if found != wanted:
        key = "frontend_conf" if task.name == "asr" else "feats_extract_conf"
        raise UserError(
            f"utterance {utt}: found audio at {found} Hz, expected {wanted} Hz as the front end is made for: "
            f"set `{key}: {{fs: {found}, ...}}` in the YAML, or format the audio with --fs {wanted}"
        )


def read_split(
    directories: Sequence[Path], split: str, pipeline: TextPipeline, stats: Path | None
) -> Utterances:
    if len(directories) != 1:
        found = ", ".join(map(str, directories))
        raise UserError(
            f"--{split}: found {found}, expected one directory: put them together with combine_data"
        )
    pitch = stats / split / "collect_feats" / "pitch.scp" if stats is not None else None
    extra = {"pitch": pitch} if pitch is not None and pitch.is_file() else {}
    return read_data_dir(directories[0], pipeline, extra)


def preprocessor(config: Config, train: bool, augment: bool = True) -> Any:
    """A user's preprocessor, made as ESPnet makes its own; None for the default.

    Args:
        config: the whole configuration.
        train: whether it is for training data.
        augment: otherwise one that augments, which all are whose class has not `augments = False`, takes utterances
            for validation data.

    Raises:
        UserError: if it does not take its options.
    """
    name = config.get("preprocessor")
    if name in (None, "default"):
        return None
    keys = ("token_type", "token_list", "bpemodel", "non_linguistic_symbols")
    given = {key: config[key] for key in keys}
    cls = find_class("asr", "preprocessor", name)
    trains = train and (augment or not getattr(cls, "augments", True))
    found = made(cls, config, "preprocessor", {"train": trains, **given})
    for step in getattr(found, "steps", ()):
        step.train = step.train and (augment or not getattr(step, "augments", True))
    return found


def read_sounds(places: Places, config: Config) -> Any:
    """Training and validation stretches of a vocoder."""
    front, frames = front_end(config), config["segment_frames"]
    each, mels = config["segments_per_utterance"], config["mels"]
    for split, where in (("train", places.train), ("valid", places.valid)):
        if len(where) != 1:
            found = ", ".join(map(str, where))
            raise UserError(f"--{split}: found {found}, expected one directory (combine_data)")
    f0 = needs_f0(config)
    train = read_segments(places.train[0], front, frames, each, mels, f0)
    return train, read_segments(places.valid[0], front, frames, 1, mels, f0)


def checked_data(
    task: Task, places: Places, pipeline: TextPipeline | None, config: Config
) -> tuple[Utterances, Utterances]:
    """Training and validation data as the configuration wants them."""
    if pipeline is None:
        return read_sounds(places, config)
    check_extraction(task.name, config)
    check_record(task.name, config, places.stats_dir)
    pitch = config.get("pitch_extract") is not None
    train, valid = read_data(task, places, with_features(pipeline, config), pitch)
    for data, where in ((train, places.train), (valid, places.valid)):
        feed(data, where[0], wanted(task.name, config))
    check_rate(task, config, train)
    train.preprocessor = preprocessor(config, True)
    valid.preprocessor = preprocessor(config, False)
    return train, valid
