"""From a YAML and two data directories to a trained model: what the *_train commands call."""

from __future__ import annotations

import inspect
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.audio.read import opened
from espnet_ext.bridge.choices import find_class
from espnet_ext.bridge.device import choose_device
from espnet_ext.bridge.hook import import_class
from espnet_ext.bridge.tasks import TASKS, Task, sampling_rate
from espnet_ext.bridge.weights import read_weights
from espnet_ext.errors import UserError
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.attention import save_attention
from espnet_ext.train.config import (
    TRAINING,
    Config,
    check_keys,
    complete,
    load_yaml,
    merge,
    parse_overrides,
)
from espnet_ext.train.data import Collate, Utterances, read_data_dir, read_text
from espnet_ext.train.identity import fingerprint
from espnet_ext.train.loop import Trainer, Turn
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.processes import Processes, joined
from espnet_ext.train.sampler import BucketSampler


@dataclass(frozen=True)
class Places:
    """Where training reads and writes.

    Attributes:
        config: the experiment's YAML.
        train, valid: formatted data directories; for a language model text files.
        tokens: directory made by train_tokens.
        output_dir: receives config.yaml, weights, metrics.jsonl.
        stats_dir: made by collect_stats; None for a language model.
        overrides: "key=value" changes to the YAML.
    """

    config: Path
    train: Sequence[Path]
    valid: Sequence[Path]
    tokens: Path
    output_dir: Path
    stats_dir: Path | None = None
    overrides: Sequence[str] = ()


def read_config(task: Task, path: Path, overrides: Sequence[str] = ()) -> Config:
    """The whole configuration of an experiment.

    Raises:
        UserError: on a key that neither the task nor the training knows.
    """
    found = merge(load_yaml(path), parse_overrides(overrides))
    known = {**task.defaults, **TRAINING}
    check_keys(found, known, str(path))
    return complete(known, found)


def fill_in(config: Config, pipeline: TextPipeline, stats_dir: Path | None) -> Config:
    """Put what the earlier stages made into the configuration: tokens and statistics."""
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
            config[f"{key}_conf"]["stats_file"] = _stats_file(stats_dir, stats)
    return config


def _stats_file(stats_dir: Path | None, name: str) -> str:
    path = None if stats_dir is None else stats_dir / "train" / f"{name}_stats.npz"
    if path is None or not path.is_file():
        raise UserError(
            f"global_mvn needs {name}_stats.npz, not found in {stats_dir}: run collect_stats first"
        )
    return str(path)


def read_data(
    task: Task, places: Places, pipeline: TextPipeline, pitch: bool = False
) -> tuple[Utterances, Utterances]:
    """Training and validation data; `pitch`: with what the statistics' stage has kept of it."""
    train, valid = (
        read_text(where, pipeline)
        if task.name == "lm"
        else _read_split(where, split, pipeline, places.stats_dir if pitch else None)
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


def _read_split(
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


def optimisation(task: Task, model: Any, config: Config) -> tuple[list[Optimiser], list[Turn]]:
    """Optimisers, and the turns of a batch: one, or generator and discriminator as in ESPnet's GAN tasks."""
    if task.name != "gan_tts":
        return [Optimiser(model.parameters(), config)], [({}, 0)]
    optimisers = [
        Optimiser(model.tts.generator.parameters(), config),
        Optimiser(model.tts.discriminator.parameters(), config, "2"),
    ]
    turns: list[Turn] = [({"forward_generator": True}, 0), ({"forward_generator": False}, 1)]
    return optimisers, turns if config["generator_first"] else turns[::-1]


def load_initial(model: torch.nn.Module, specs: Sequence[str]) -> None:
    """Start from other weights: "file.pth" or "file.pth:prefix" (names that begin with it).

    Raises:
        UserError: if no name fits.
    """
    own = model.state_dict()
    for spec in specs:
        path, _, prefix = spec.partition(":")
        chosen = {
            name: tensor
            for name, tensor in read_weights(path).items()
            if name.startswith(prefix) and name in own and own[name].shape == tensor.shape
        }
        if not chosen:
            raise UserError(
                f"init_param {spec}: no name and shape of {path} fits the model; check the prefix"
            )
        print(f"init_param {spec}: {len(chosen)} of {len(own)} tensors taken over")
        own.update(chosen)
    model.load_state_dict(own)


def _preprocessor(config: Config, train: bool) -> Any:
    """A user's preprocessor, made as ESPnet makes its own; None for the default."""
    name = config.get("preprocessor")
    if name in (None, "default"):
        return None
    keys = ("token_type", "token_list", "bpemodel", "non_linguistic_symbols")
    given = {key: config[key] for key in keys}
    return find_class("asr", "preprocessor", name)(
        train=train, **given, **config["preprocessor_conf"]
    )


def _plan_schedules(config: Config, sampler: Any) -> None:
    """Tell a schedule that wants to know how many updates there will be, unless the YAML does."""
    for suffix in ("", "2"):
        name, conf = config[f"scheduler{suffix}"], config[f"scheduler{suffix}_conf"]
        if name is None or "total_steps" in conf:
            continue
        if "total_steps" in inspect.signature(find_class("abs_task", "scheduler", name)).parameters:
            epochs = range(1, config["max_epoch"] + 1)
            conf["total_steps"] = sum(
                -(-len(sampler.batches(e)) // config["accum_grad"]) for e in epochs
            )


def _sampler(config: Config, data: Utterances) -> Any:
    cls = BucketSampler if config["sampler"] is None else import_class(config["sampler"])
    lengths = data.lengths(config["batch_type"])
    try:
        return cls(lengths, config["batch_size"], seed=config["seed"], **config["sampler_conf"])
    except TypeError as error:
        raise UserError(
            f"sampler_conf does not fit sampler: {config['sampler']} ({error})"
        ) from error


def describe(model: torch.nn.Module, data: Utterances, batches: int) -> str:
    """One line: size of the model and of the data."""
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    hours = f", {sum(data.seconds) / 3600:.2f} h" if data.seconds else ""
    return f"{millions:.2f} M parameters; {len(data)} utterances{hours}, {batches} batches an epoch"


def train_model(
    task_name: str, places: Places, device: str | None = None, anew: bool = False
) -> list[Path]:
    """Train a model of a task to the end, or go on with it.

    Args:
        task_name: "asr", "lm", "tts" or "gan_tts".
        places: inputs and output.
        device: None = "cuda" where there is one.
        anew: set a finished training aside and train again.

    Returns:
        The averaged models' files, by criterion; of several processes only the first one has an answer.

    Raises:
        UserError: for a configuration or data that cannot be trained on.
    """
    with joined() as processes:
        return _train_model(task_name, places, device, anew, processes)


def _train_model(
    task_name: str, places: Places, device: str | None, anew: bool, processes: Processes
) -> list[Path]:
    task = TASKS[task_name]
    device = _own_device(device, processes)
    set_precision(device)
    pipeline = TextPipeline.from_dir(places.tokens)
    config = fill_in(read_config(task, places.config, places.overrides), pipeline, places.stats_dir)
    share_updates(config, processes)
    train, valid = data = _checked_data(task, places, pipeline, config)
    model = _new_model(task, config).to(device)
    trainer = _trainer(task, places, config, model, data, device, anew, processes)
    if processes.first:
        print(describe(model, train, len(trainer.sampler.batches(1))), flush=True)
    averaged = trainer.fit()
    if averaged:
        model.load_state_dict(torch.load(averaged[0], map_location=device, weights_only=True))
        number, folder = config["num_att_plot"], places.output_dir
        save_attention(model, valid, trainer.collate, folder, number, pipeline, device)
    return averaged


def _own_device(name: str | None, processes: Processes) -> str:
    """This process' device: of several GPUs the one with its number."""
    if processes.size > 1 and name in (None, "cuda") and torch.cuda.is_available():
        name = f"cuda:{processes.local}"
    found = choose_device(name, training=True)
    if found.startswith("cuda"):
        torch.cuda.set_device(found)
    return found


def share_updates(config: Config, processes: Processes) -> None:
    """See to it that each process has a batch of every update (`accum_grad`), and say so."""
    wanted = config["accum_grad"]
    if wanted >= processes.size:
        if wanted % processes.size and processes.first:
            logging.warning(
                "accum_grad: found %d batches an update for %d processes, some will wait; expected a multiple",
                wanted,
                processes.size,
            )
        return
    config["accum_grad"] = processes.size
    if processes.first:
        logging.warning(
            "accum_grad: found %d, made it %d, a batch for each process; batch_size: %g would keep an update's size",
            wanted,
            processes.size,
            config["batch_size"] * wanted / processes.size,
        )


def set_precision(device: str) -> None:
    """On a GPU, products of matrices in TF32 (10 bits of mantissa, sums in fp32), as convolutions are anyway.

    That is several times as fast as full fp32 on an A100 or newer; older GPUs and CPUs compute as ever.
    """
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")


def _checked_data(
    task: Task, places: Places, pipeline: TextPipeline, config: Config
) -> tuple[Utterances, Utterances]:
    """Training and validation data as the configuration wants them."""
    pitch = config.get("pitch_extract") is not None
    train, valid = read_data(task, places, pipeline, pitch)
    check_rate(task, config, train)
    train.preprocessor = _preprocessor(config, True)
    valid.preprocessor = _preprocessor(config, False)
    return train, valid


def _new_model(task: Task, config: Config) -> torch.nn.Module:
    """The model before its first update; all that is drawn follows from the seed."""
    random.seed(config["seed"])
    torch.manual_seed(config["seed"])
    np.random.seed(config["seed"])
    model = task.build(config)
    load_initial(model, config["init_param"])
    return model


def _trainer(
    task: Task,
    places: Places,
    config: Config,
    model: torch.nn.Module,
    data: tuple[Utterances, Utterances],
    device: str,
    anew: bool,
    processes: Processes,
) -> Trainer:
    train, valid = data
    sampler = _sampler(config, train)
    _plan_schedules(config, sampler)
    optimisers, turns = optimisation(task, model, config)
    return Trainer(
        model=model,
        optimisers=optimisers,
        turns=turns,
        config=config,
        train=train,
        valid=valid,
        collate=Collate(task.text_pad),
        sampler=sampler,
        folder=places.output_dir,
        fingerprint=fingerprint(config, model, train, valid, stats=places.stats_dir),
        device=device,
        anew=anew,
        processes=processes,
    )
