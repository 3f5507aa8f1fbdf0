"""From a YAML and two data directories to a trained model: what the *_train commands call."""

from __future__ import annotations

import inspect
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.bridge.choices import find_class, meant
from espnet_ext.bridge.device import choose_device
from espnet_ext.bridge.hook import import_class
from espnet_ext.bridge.tasks import TASKS, Task
from espnet_ext.datadir.languages import keep_languages
from espnet_ext.errors import UserError
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.attention import save_attention
from espnet_ext.train.config import Config, merge
from espnet_ext.train.data import Collate, Utterances
from espnet_ext.train.ema import MovingAverage
from espnet_ext.train.experiment import Places, checked_data, fill_in, preprocessor, read_config
from espnet_ext.train.identity import fingerprint
from espnet_ext.train.initial import freeze, load_initial
from espnet_ext.train.loop import Trainer, Turn
from espnet_ext.train.lora import add_lora, load_merged
from espnet_ext.train.optimise import Optimiser, without_decay
from espnet_ext.train.phases import Curriculum, Phase, PhaseSampler, read_phases, select
from espnet_ext.train.precision import keep_features_whole, set_precision
from espnet_ext.train.processes import Processes, joined
from espnet_ext.train.sampler import BucketSampler
from espnet_ext.train.sharded import check, shard


def optimisation(
    task: Task, model: Any, config: Config, device: str = "cpu"
) -> tuple[list[Optimiser], list[Turn]]:
    """Optimisers, and the turns of a batch: one, or generator and discriminator as in ESPnet's GAN tasks."""
    parts = [(model, "")]
    turns: list[Turn] = [({}, 0)]
    judged = model.tts if task.name == "gan_tts" else model
    if task.name in ("gan_tts", "vocoder") and judged.discriminator is not None:
        parts = [(judged.generator, ""), (judged.discriminator, "2")]
        turns = [({"forward_generator": True}, 0), ({"forward_generator": False}, 1)]
    spared = without_decay(model) if config["weight_decay_groups"] else ()
    made = [Optimiser(part.parameters(), config, name, spared, device) for part, name in parts]
    return made, turns if config["generator_first"] else turns[::-1]


def plan_schedules(config: Config, sampler: Any) -> None:
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


def make_sampler(config: Config, data: Utterances, places: Sequence[int] | None = None) -> Any:
    """What forms batches of the data, or of the utterances at some places alone."""
    cls = BucketSampler if config["sampler"] is None else import_class(config["sampler"])
    lengths = data.lengths(config["batch_type"])
    if places is not None:
        lengths = [lengths[place] for place in places]
    try:
        return cls(lengths, config["batch_size"], seed=config["seed"], **config["sampler_conf"])
    except TypeError as error:
        raise UserError(
            f"sampler_conf does not fit sampler: {config['sampler']} ({error}){meant(cls, error)}"
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
        task_name: "asr", "lm", "tts", "gan_tts" or "vocoder".
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
    device = own_device(device, processes)
    pipeline = None if places.tokens is None else TextPipeline.from_dir(places.tokens)
    config = fill_in(read_config(task, places.config, places.overrides), pipeline, places.stats_dir)
    set_precision(device, config["precision"])
    share_updates(config, processes)
    train, valid = data = checked_data(task, places, pipeline, config)
    model = new_model(task, config).to(device)
    keep_features_whole(model, device, config["precision"])
    if config["fsdp"]:
        check(config, task.name, model)
    if config["fsdp"] and processes.size > 1:
        shard(model, device, processes.size)
    trainer = _trainer(task, places, config, model, data, device, anew, processes)
    if processes.first and task.name in ("tts", "gan_tts"):
        keep_languages(places.train[0], places.output_dir)
    if processes.first:
        print(describe(model, train, len(trainer.sampler.batches(1))), flush=True)
    averaged = trainer.fit()
    if averaged and pipeline is not None:
        if config["fsdp"]:  # the parts of the others are gone
            model, device = new_model(task, config), "cpu"
        load_merged(model, torch.load(averaged[0], map_location=device, weights_only=True))
        number, folder = config["num_att_plot"], places.output_dir
        save_attention(model, valid, trainer.collate, folder, number, pipeline, device)
    return averaged


def own_device(name: str | None, processes: Processes) -> str:
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


def new_model(task: Task, config: Config) -> torch.nn.Module:
    """The model before its first update; all that is drawn follows from the seed."""
    random.seed(config["seed"])
    torch.manual_seed(config["seed"])
    np.random.seed(config["seed"])
    model = task.build(config)
    load_initial(model, config["init_param"], config.get("token_list") or ())
    add_lora(model, config["lora"])
    freeze(model, config["freeze"])
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
    phases = read_phases(config)
    sampler, selected = phase_sampler(
        config, phases, train, None if task.name == "lm" else places.train[0]
    )
    plan_schedules(config, sampler)
    optimisers, turns = optimisation(task, model, config, device)
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
        fingerprint=fingerprint(
            config, model, train, valid, stats=places.stats_dir, selected=selected
        ),
        device=device,
        anew=anew,
        processes=processes,
        curriculum=curriculum(task, config, phases, model, optimisers, train),
        average=None if config["ema"] is None else MovingAverage(model, config["ema"]),
    )


def phase_sampler(
    config: Config, phases: Sequence[Phase], data: Utterances, folder: Path | None
) -> tuple[Any, list[list[int]]]:
    """What forms batches, and the places of each phase's utterances."""
    if not phases:
        return make_sampler(config, data), []
    selected = [select(phase, data, folder) for phase in phases]
    samplers = [make_sampler(config, data, places) for places in selected]
    for phase, places, sampler in zip(phases, selected, samplers, strict=True):
        print(
            f"phase {phase.name}: {phase.epochs} epochs of {len(places)} utterances, "
            f"{len(sampler.batches(1))} batches"
        )
    return PhaseSampler(phases, samplers, selected), selected


def curriculum(
    task: Task,
    config: Config,
    phases: Sequence[Phase],
    model: torch.nn.Module,
    optimisers: Sequence[Optimiser],
    data: Utterances,
) -> Curriculum:
    """What changes model, optimisers and data from phase to phase."""
    preprocessors, masks = [], []
    for phase in phases:
        changed = merge(
            config,
            {"preprocessor_conf": phase.preprocessor_conf} if phase.preprocessor_conf else {},
        )
        preprocessors.append(preprocessor(changed, True, phase.augment))
        other = (
            merge(config.get("specaug_conf") or {}, phase.specaug_conf)
            if phase.specaug_conf
            else None
        )
        mask = (
            None if other is None else find_class(task.name, "specaug", config["specaug"])(**other)
        )
        masks.append(mask)
        share: Any = getattr(model, "share_warps_of", None)
        if mask is not None and share is not None:
            share(mask)
    tokens = config.get("token_list") or ()
    return Curriculum(phases, model, optimisers, data, preprocessors, masks, tokens)
