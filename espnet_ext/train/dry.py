"""A few updates at full size that leave nothing behind: does it fit, how long will it take."""

from __future__ import annotations

import math
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.bridge.device import choose_device
from espnet_ext.bridge.tasks import TASKS, Task, sampling_rate
from espnet_ext.errors import UserError
from espnet_ext.text.token_features import with_features
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.config import Config
from espnet_ext.train.data import Collate, Item, Utterances, read_text
from espnet_ext.train.experiment import (
    Places,
    fill_in,
    preprocessor,
    read_config,
    read_split,
)
from espnet_ext.train.feeds import feed, wanted
from espnet_ext.train.monitor import Averages
from espnet_ext.train.phases import read_phases
from espnet_ext.train.precision import keep_features_whole, set_precision
from espnet_ext.train.run import make_sampler, new_model, optimisation, plan_schedules
from espnet_ext.train.state import Position
from espnet_ext.train.step import DoesNotFit, Step

#: Seconds of an utterance that is made up, and the tokens in each.
_UTTERANCE, _TOKENS = 10.0, 6
_SENTENCE = 40  # tokens of a made-up sentence of a language model, with <sos/eos>


@dataclass(frozen=True)
class Dry:
    """What is tried.

    Attributes:
        steps: updates.
        seconds: audio in a batch; None = the batch_size of the YAML.
        vocabulary: number of tokens where no token list is given.
        channels: microphones of made-up audio.
    """

    steps: int = 1
    seconds: float | None = None
    vocabulary: int = 500
    channels: int = 1


@dataclass(frozen=True)
class Cost:
    """What updates cost.

    Attributes:
        seconds: of an update of one batch, the fastest seen.
        memory: peak in bytes, of the process on a CPU, else of the GPU's tensors.
    """

    seconds: float
    memory: float


@dataclass
class Trial:
    """A model on its device, and batches to try it with."""

    task: Task
    config: Config
    device: str
    step: Step
    data: Utterances | None

    def batches(self, size: float, dry: Dry) -> list[list[tuple[str, Item]]]:
        """The most demanding batches of a batch_size: of real data if there is any."""
        if self.data is None:
            return [made_up(self.task, self.config, size, dry)]
        sampler = make_sampler({**self.config, "batch_size": size}, self.data)
        lengths = self.data.seconds or self.data.lengths("tokens")
        found = sampler.batches(1)
        longest = max(found, key=lambda batch: max(lengths[i] for i in batch))
        fullest = max(found, key=lambda batch: len(batch) * max(lengths[i] for i in batch))
        most = max(found, key=len)
        chosen = {tuple(batch): batch for batch in (longest, fullest, most)}
        return [[self.data[index] for index in batch] for batch in chosen.values()]

    def run(self, batches: Sequence[list[tuple[str, Item]]], steps: int) -> Cost:
        """Updates of one batch each."""
        collate, at, took = Collate(self.task.text_pad), Position(), []
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)
        self.step.model.train()
        for number in range(steps):
            batch = collate(batches[number % len(batches)])
            started = time.monotonic()
            self.step.update(at, range(1), iter([batch]), Averages())
            if self.device.startswith("cuda"):
                torch.cuda.synchronize(self.device)
            took.append(time.monotonic() - started)
        return Cost(min(took), peak(self.device))


def peak(device: str) -> float:
    """The most memory used so far, in bytes."""
    if device.startswith("cuda"):
        return float(torch.cuda.max_memory_allocated(device))
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def available(device: str) -> float:
    """Memory that this process may come to use, in bytes: most of what is free now."""
    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(device)[0])
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return 0.9 * 1024 * float(line.split()[1])
    raise UserError("found no /proc/meminfo, expected Linux: --find_batch needs to know the memory")


def _conf(config: Config, key: str) -> Any:
    """A number of speakers, languages or dimensions that a synthesiser asks for; None if it does not."""
    conf = config.get("tts_conf") or {}
    return conf.get(key) or (conf.get("generator_params") or {}).get(key)


def made_up(task: Task, config: Config, size: float, dry: Dry) -> list[tuple[str, Item]]:
    """A batch of noise and random tokens, of `size` in the unit of batch_type."""
    random = np.random.default_rng(0)
    vocabulary, unit = len(config["token_list"]), config["batch_type"]
    if task.name == "lm":
        number = {"tokens": size / _SENTENCE}.get(unit, size)
        text = random.integers(2, vocabulary - 1, (max(1, int(number)), _SENTENCE - 1))
        return [(f"made-up-{i}", {"text": row}) for i, row in enumerate(text)]
    seconds = {"seconds": size, "tokens": size / _TOKENS}.get(unit, size * _UTTERANCE)
    seconds = min(seconds, dry.seconds or math.inf)
    each = min(_UTTERANCE, seconds)
    return [
        (f"made-up-{i}", _utterance(task, config, each, dry.channels, random))
        for i in range(max(1, int(seconds / each)))
    ]


def _utterance(
    task: Task, config: Config, seconds: float, channels: int, random: np.random.Generator
) -> Item:
    """Arrays of an utterance as the task's model takes them."""
    tokens = max(1, int(seconds * _TOKENS))
    item: Item = {"text": random.integers(2, len(config["token_list"]) - 1, tokens)}
    width = config.get("input_size") or config.get("odim")
    samples = int(seconds * (sampling_rate(task.name, config) or 16000))
    shape = (int(seconds * 100), width) if width else (samples, channels)
    speech = 0.1 * random.standard_normal(shape).astype(np.float32)
    item["speech"] = speech[:, 0] if not width and channels == 1 else speech
    for key, name in (("spks", "sids"), ("langs", "lids")):
        if _conf(config, key):
            item[name] = np.zeros(1, np.int64)
    item.update(_targets(config.get("model_conf") or {}, len(config["token_list"]), tokens, random))
    if _conf(config, "spk_embed_dim"):
        item["spembs"] = random.standard_normal(_conf(config, "spk_embed_dim")).astype(np.float32)
    return item


def _targets(
    conf: Config, vocabulary: int, tokens: int, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """What a recogniser's further objectives learn from, where `model_conf` asks for them."""
    found = {}
    if conf.get("lm_text_weight"):
        found["lm_text"] = random.integers(2, vocabulary - 1, tokens)
    if conf.get("phone_weight"):
        found["phones"] = random.integers(2, conf["phones"] - 1, tokens)
    if conf.get("speaker_weight"):
        found["sids"] = np.ones(1, np.int64)
    return found


def _configuration(task: Task, places: Places, dry: Dry) -> Config:
    """The whole configuration; without statistics nothing is normalised by them, which costs next to nothing."""
    config = read_config(task, places.config, places.overrides)
    read_phases(config)
    known = places.tokens is not None and places.tokens.is_dir()
    if places.stats_dir is None or not known:
        for key in ("normalize", "pitch_normalize", "energy_normalize"):
            config[key] = None if config.get(key) == "global_mvn" else config.get(key)
    if places.tokens is not None and known:
        return fill_in(config, TextPipeline.from_dir(places.tokens), places.stats_dir)
    middle = [f"token{i}" for i in range(dry.vocabulary - 3)]
    return {**config, "token_list": ["<blank>", "<unk>", *middle, "<sos/eos>"]}


class _Guess:
    """Batches of an epoch that nobody has counted, for schedules that ask."""

    def batches(self, epoch: int) -> list[list[int]]:
        return [[0]] * 100


def prepare_trial(task_name: str, places: Places, device: str | None, dry: Dry) -> Trial:
    """Model, optimiser and data of an experiment. `places.train` may be empty, `places.tokens` missing."""
    task, device = TASKS[task_name], choose_device(device)
    config = _configuration(task, places, dry)
    set_precision(device, config["precision"])
    data = None
    if places.train:
        if places.tokens is None or not places.tokens.is_dir():
            raise UserError(
                f"--train without --tokens (found {places.tokens}): give both or neither"
            )
        pipeline = TextPipeline.from_dir(places.tokens)
        data = (
            read_text(places.train, pipeline)
            if task.name == "lm"
            else read_split(places.train, "train", with_features(pipeline, config), None)
        )
        if task.name != "lm":
            feed(data, places.train[0], wanted(task.name, config))
        data.preprocessor = preprocessor(config, True)
    plan_schedules(config, _Guess() if data is None else make_sampler(config, data))
    model = new_model(task, config).to(device)
    keep_features_whole(model, device, config["precision"])
    start: Any = getattr(getattr(model, "tts", None), "start_discriminators", None)
    if start is not None:  # late ones cost, too
        start()
    optimisers, turns = optimisation(task, model, config, device)
    step = Step(model, optimisers, turns, config["seed"], device, precision=config["precision"])
    return Trial(task, config, device, step, data)


def dry_run(task_name: str, places: Places, device: str | None, dry: Dry) -> Iterator[str]:
    """Make `dry.steps` updates and say in lines what they cost; nothing is written."""
    with tempfile.TemporaryDirectory() as nowhere:
        trial = prepare_trial(task_name, replace(places, output_dir=Path(nowhere)), device, dry)
        yield _size(trial)
        batches = trial.batches(trial.config["batch_size"], dry)
        if trial.data is not None and dry.seconds is not None:
            batches = [_cut(batch, trial, dry.seconds) for batch in batches]
        yield _content(trial, batches)
        cost = trial.run(batches, dry.steps)
    yield (
        f"{cost.seconds:.2f} s for an update of one batch, {cost.seconds * trial.config['accum_grad']:.2f} s with "
        f"accum_grad {trial.config['accum_grad']}; peak memory {cost.memory / 1e9:.2f} GB on {trial.device}"
    )
    if dry.steps == 1:
        yield "the first update is slower than later ones: --dry_steps 5 tells the speed"
    yield _estimate(trial, cost)


def _cut(batch: list[tuple[str, Item]], trial: Trial, seconds: float) -> list[tuple[str, Item]]:
    """As many of a batch's utterances as last so long; at least one."""
    assert trial.data is not None
    lengths = dict(zip(trial.data.ids, trial.data.seconds, strict=False))
    longest = max((lengths.get(utt, 1.0) for utt, _ in batch), default=1.0)
    return batch[: max(1, int(seconds / longest))]


def _size(trial: Trial) -> str:
    model = trial.step.model
    every = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for o in trial.step.optimisers for p in o.trained)
    state = 4 * (every + 3 * trained) / 1e9
    return (
        f"{every / 1e6:.2f} M parameters, {trained / 1e6:.2f} M of them trained; {state:.2f} GB for weights, gradients "
        "and optimiser"
    )


def _content(trial: Trial, batches: Sequence[list[tuple[str, Item]]]) -> str:
    found = max(batches, key=len)
    kind = "made-up" if trial.data is None else "the most demanding real"
    tokens = sum(len(item["text"]) for _, item in found)
    seconds = sum(len(item["speech"]) for _, item in found if "speech" in item)
    rate = sampling_rate(trial.task.name, trial.config) if seconds else None
    audio = f", {seconds / rate:.0f} s of audio" if rate else ""
    return f"{kind} utterances, {len(found)} in a batch{audio}, {tokens} tokens"


def _estimate(trial: Trial, cost: Cost) -> str:
    epochs = trial.config["max_epoch"]
    if trial.data is None:
        return f"with --train and --tokens it is estimated how long {epochs} epochs take"
    batches = len(make_sampler(trial.config, trial.data).batches(1))
    hours = cost.seconds * batches * epochs / 3600
    return f"at most {hours:.1f} h for {epochs} epochs of {batches} batches, validation not counted"


def find_batch(task_name: str, places: Places, device: str | None, dry: Dry) -> Iterator[str]:
    """The largest batch_size whose most demanding batches fit into memory, in lines."""
    trial = prepare_trial(task_name, places, device, dry)
    limit = available(trial.device) + peak(trial.device)
    known: list[tuple[float, float]] = [(0.0, peak(trial.device))]

    def fits(size: float) -> bool:
        if trial.device == "cpu" and _line(known, size) > limit:
            return False  # a CPU's memory has no error to catch: the system would kill the process
        memory = _memory(trial, size, dry)
        if memory is None:
            torch.cuda.empty_cache()
            return False
        known.append((size, memory))
        return memory <= limit

    start = trial.config["batch_size"] / 8  # the YAML's own may be far too large
    most = math.inf if trial.data is None else _everything(trial)
    found = largest(fits, min(start, most), most=most)
    if found is None:
        raise UserError(
            f"found no batch_size that fits into {limit / 1e9:.1f} GB of {trial.device}; expected a smaller model, "
            "shorter utterances (max_seconds of the recipe), or precision: bf16"
        )
    if found >= most:
        yield f"batch_size: {most:.4g}  # a batch of all the data fits into {limit / 1e9:.1f} GB"
        return
    yield f"batch_size: {0.9 * found:.4g}  # a tenth below what fits into {limit / 1e9:.1f} GB, {found:.4g}"


def _memory(trial: Trial, size: float, dry: Dry) -> float | None:
    """What updates with this batch_size take; None if they fail for want of memory."""
    try:
        return trial.run(trial.batches(size, dry), 3).memory
    except (torch.OutOfMemoryError, DoesNotFit):
        return None


def _everything(trial: Trial) -> float:
    """A batch_size that no batch of the data reaches but one of all utterances."""
    assert trial.data is not None
    lengths = trial.data.lengths(trial.config["batch_type"])
    return max(lengths) * len(lengths)


def _line(known: Sequence[tuple[float, float]], size: float) -> float:
    """Memory at a size, on the line through nothing and the largest size that was tried."""
    (_, base), (last, most) = known[0], max(known)
    return base if last == 0 else base + (most - base) * size / last


def largest(
    fits: Callable[[float], bool], start: float, share: float = 0.05, most: float = math.inf
) -> float | None:
    """The largest number for which `fits`, to a share of it: doubled or halved, then bisected.

    Args:
        fits: whether a number does.
        start: where to begin.
        share: how near to the limit.
        most: nothing beyond it is tried.

    Returns:
        None if a thousandth of `start` does not fit.
    """
    if fits(start):
        good = start
        while good < min(most, 1e6 * start) and fits(min(most, 2 * good)):
            good = min(most, 2 * good)
        if good == most:
            return good
        bad = min(most, 2 * good)
    else:
        bad = start
        while not fits(bad / 2):
            bad /= 2
            if bad < start / 1000:
                return None
        good = bad / 2
    while bad > good * (1 + share):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
