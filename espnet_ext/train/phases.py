"""A curriculum: phases of training, each with its share of the data, its augmentation and its learning rate.

In a YAML, in place of max_epoch (which becomes the sum):

    phases:
      - {name: clean, epochs: 10, rules: ["snr>=20", "seconds<=6"], vocabulary: 500, augment: false}
      - {name: full, epochs: 30}
      - {name: domain, epochs: 5, utterances: data/lists/domain, lr_factor: 0.1, freeze: [frontend, encoder.layers.0]}

Which epoch belongs to which phase follows from the list alone, and the order within an epoch from (seed, epoch), so
that a training killed anywhere goes on as if nothing had been.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.quality.filtering import Demands
from espnet_ext.quality.rules import DERIVED, derived, parse_rule, read_measures
from espnet_ext.train.config import TRAINING, check_keys
from espnet_ext.train.data import Preprocessor, Utterances
from espnet_ext.train.initial import check_patterns, load_initial, matches
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.values import (
    MAPPING,
    NAMES,
    SEVERAL,
    SWITCH,
    TEXT,
    Kind,
    check_values,
    numeric,
    optional,
    whole,
)


@dataclass(frozen=True)
class Phase:
    """One entry of `phases:`.

    Attributes:
        name: what metrics.jsonl calls it.
        epochs: how many it lasts.
        rules: what an utterance fulfils, as in the filter stage: "snr>=20", "seconds<=6", ...
        utterances: a file with the ids (first word of a line) that belong to it.
        vocabulary: only utterances all of whose words are among so many most frequent ones of the training set.
        tokens: the same for tokens.
        augment: whether the preprocessor augments and SpecAugment masks.
        preprocessor_conf: values for this phase in place of the YAML's.
        specaug_conf: the same.
        lr_factor: the schedule's learning rate is multiplied by it.
        freeze: names of parameters that rest in this phase, as `freeze:` of the YAML.
        init_param: weights to take over when it begins, as `init_param:` of the YAML.
    """

    name: str
    epochs: int
    rules: Sequence[str] = ()
    utterances: str | None = None
    vocabulary: int | None = None
    tokens: int | None = None
    augment: bool = True
    preprocessor_conf: Mapping[str, Any] = field(default_factory=dict)
    specaug_conf: Mapping[str, Any] = field(default_factory=dict)
    lr_factor: float = 1.0
    freeze: Sequence[str] = ()
    init_param: Sequence[Any] = ()


_KINDS: Mapping[str, Kind] = {
    "name": TEXT,
    "rules": NAMES,
    "utterances": optional(TEXT),
    "vocabulary": optional(whole(1)),
    "tokens": optional(whole(1)),
    "augment": SWITCH,
    "preprocessor_conf": MAPPING,
    "specaug_conf": MAPPING,
    "lr_factor": numeric("a number above 0", lambda x: x > 0),
    "freeze": NAMES,
    "init_param": SEVERAL,
}


def read_phases(config: dict[str, Any]) -> list[Phase]:
    """The phases of a configuration, whose max_epoch becomes their sum; none without `phases:`.

    Raises:
        UserError: if one is not as it should be.
    """
    known = {entry.name: None for entry in fields(Phase)}
    found = []
    for number, entry in enumerate(config["phases"] or [], 1):
        where = f"phases, number {number}"
        if not isinstance(entry, Mapping) or not {"name", "epochs"} <= set(entry):
            raise UserError(f"{where}: found {entry!r}, expected at least name and epochs")
        check_keys(entry, known, where)
        if not isinstance(entry["epochs"], int) or entry["epochs"] < 1:
            raise UserError(f"{where}: found epochs {entry['epochs']!r}, expected 1 or more")
        where = f"{where} ({entry['name']})"
        check_values(entry, _KINDS, where)
        _check_company(entry, config, where)
        found.append(Phase(**entry))
    if found:
        _set_epochs(config, sum(phase.epochs for phase in found))
    return found


def _check_company(entry: Mapping[str, Any], config: Mapping[str, Any], where: str) -> None:
    """What the rest of the configuration has to have for a phase, and what it must not have."""
    if entry.get("preprocessor_conf") and config.get("preprocessor") in (None, "default"):
        raise UserError(
            f"{where}: found preprocessor_conf, expected a preprocessor that it is for: name one in the YAML"
        )
    if entry.get("specaug_conf") and config.get("specaug") is None:
        raise UserError(f"{where}: found specaug_conf, expected a specaug in the YAML to change")
    if entry.get("init_param") and config.get("lora"):
        raise UserError(
            f"{where}: found init_param beside lora, whose matrices belong to other weights; expected one of the two"
        )


def _set_epochs(config: dict[str, Any], epochs: int) -> None:
    if config["max_epoch"] not in (epochs, TRAINING["max_epoch"]):
        raise UserError(
            f"phases: found {epochs} epochs in all and max_epoch {config['max_epoch']}, expected only one of the two: "
            "leave max_epoch out"
        )
    config["max_epoch"] = epochs


def phase_of(phases: Sequence[Phase], epoch: int) -> tuple[Phase, int]:
    """The phase of an epoch, and its first epoch; after the last one's end still the last."""
    first = 1
    for phase in phases[:-1]:
        if epoch < first + phase.epochs:
            return phase, first
        first += phase.epochs
    return phases[-1], first


def select(phase: Phase, data: Utterances, folder: Path | None) -> list[int]:
    """Places of a phase's utterances.

    Args:
        phase: what it wants.
        data: the training set.
        folder: its data directory; None for a language model, which has no measures and no words.

    Raises:
        UserError: if nothing is left, or what is asked for is not known.
    """
    if folder is None and (phase.rules or phase.vocabulary):
        raise UserError(
            f"phase {phase.name}: rules and vocabulary need a data directory; a text has only tokens and utterances"
        )
    tests: list[Callable[[int], bool]] = []
    if phase.utterances:
        tests.append(_listed(Path(phase.utterances), data))
    if phase.rules and folder is not None:
        tests.append(_by_rules(phase, data, folder))
    if phase.vocabulary and folder is not None:
        table = read_table(folder / "text")
        words = [table[utt].split() for utt in data.ids]
        tests.append(_frequent(words, phase.vocabulary))
    if phase.tokens:
        tests.append(_frequent([ids.tolist() for ids in data.tokens], phase.tokens))
    found = [index for index in range(len(data)) if all(test(index) for test in tests)]
    if not found:
        raise UserError(
            f"phase {phase.name}: found no utterance of {len(data)} that fulfils it, expected some: loosen its rules, "
            "vocabulary or list"
        )
    return found


def _listed(path: Path, data: Utterances) -> Callable[[int], bool]:
    if not path.is_file():
        raise UserError(f"phases: {path}: no such file, expected utterance ids, one a line")
    wanted = {line.split()[0] for line in path.read_text("utf-8").splitlines() if line.strip()}
    return lambda index: data.ids[index] in wanted


def _by_rules(phase: Phase, data: Utterances, folder: Path) -> Callable[[int], bool]:
    """Rules as the filter stage has them, on what format_audio or audit_data measured."""
    rules = tuple(parse_rule(rule) for rule in phase.rules)
    names = sorted({rule.name for rule in rules} - set(DERIVED))
    table = Demands(rules=rules).table(folder)
    measures = dict(read_measures(table, names)) if names else {}
    texts = read_table(folder / "text")

    def stays(index: int) -> bool:
        utt = data.ids[index]
        values = {**measures.get(utt, {}), **derived(data.seconds[index], texts[utt])}
        return not any(rule.reason(values) for rule in rules)

    return stays


def _frequent(units: Sequence[Sequence[Any]], number: int) -> Callable[[int], bool]:
    """Whether all units of an utterance are among the most frequent ones; of equals the smaller first."""
    counts = Counter(unit for row in units for unit in row)
    ranked = sorted(counts, key=lambda unit: (-counts[unit], unit))
    known = set(ranked[:number])
    return lambda index: known.issuperset(units[index])


class PhaseSampler:
    """Batches of an epoch from its phase's utterances.

    Args:
        phases: in their order.
        samplers: of each phase's utterances alone.
        places: of these in the training set.
    """

    def __init__(
        self, phases: Sequence[Phase], samplers: Sequence[Any], places: Sequence[Sequence[int]]
    ) -> None:
        self.phases, self.samplers, self.places = phases, samplers, places

    def batches(self, epoch: int) -> list[list[int]]:
        """Places of the utterances of each batch."""
        number = self.phases.index(phase_of(self.phases, epoch)[0])
        place = self.places[number]
        return [[place[i] for i in batch] for batch in self.samplers[number].batches(epoch)]


@dataclass
class Curriculum:
    """Changes model, data and optimisers from phase to phase.

    Attributes:
        phases: in their order; without any nothing is ever changed.
        model, optimisers, data: what is trained, and on what.
        preprocessors: of the training data, by phase.
        specaugs: modules in place of the model's `specaug`, by phase; None for its own.
        tokens: the model's token list.
    """

    phases: Sequence[Phase]
    model: torch.nn.Module
    optimisers: Sequence[Optimiser]
    data: Utterances
    preprocessors: Sequence[Preprocessor | None] = ()
    specaugs: Sequence[torch.nn.Module | None] = ()
    tokens: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._trained = {name for name, p in self.model.named_parameters() if p.requires_grad}
        for phase in self.phases:
            self._check_rest(phase)

    def _check_rest(self, phase: Phase) -> None:
        """What rests in a phase is there, and leaves something to train."""
        where = f"phase {phase.name}: freeze"
        names = {id(p): name for name, p in self.model.named_parameters()}
        check_patterns(phase.freeze, names.values(), where)
        for optimiser in self.optimisers:
            if all(matches(names[id(p)], phase.freeze) for p in optimiser.parameters):
                patterns = ", ".join(phase.freeze)
                raise UserError(f"{where}: found {patterns}, which leaves nothing to train")

    def name(self, epoch: int) -> dict[str, str]:
        """What metrics.jsonl says of an epoch."""
        return {"phase": phase_of(self.phases, epoch)[0].name} if self.phases else {}

    def enter(self, epoch: int, batch: int) -> bool:
        """Make everything as an epoch wants it, before its batch number `batch` (from 0); whether weights are new."""
        if not self.phases:
            return False
        phase, first = phase_of(self.phases, epoch)
        number = self.phases.index(phase)
        renewed = epoch == first and batch == 0 and bool(phase.init_param)
        if renewed:
            load_initial(self.model, phase.init_param, self.tokens)
        for name, parameter in self.model.named_parameters():
            rests = matches(name, phase.freeze)
            parameter.requires_grad_(name in self._trained and not rests)
        for optimiser in self.optimisers:
            optimiser.factor = phase.lr_factor
        if self.preprocessors:
            self.data.preprocessor = self.preprocessors[number]
        self._mask(phase, number)
        return renewed

    def _mask(self, phase: Phase, number: int) -> None:
        """SpecAugment as in the YAML, as in the phase, or none; names in the state stay the same."""
        own = getattr(self.model, "specaug", None)
        if own is None:
            return
        own.__dict__.pop("forward", None)
        other = self.specaugs[number] if self.specaugs else None
        if not phase.augment:
            own.forward = _unmasked
        elif other is not None:
            other._buffers.update(own._buffers)  # a counter is part of the model's state
            own.forward = partial(_masked, own, other)


def _masked(own: torch.nn.Module, other: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    """What another SpecAugment makes of it, which does not hear when the model begins to train or to be judged."""
    return other.train(own.training)(*args, **kwargs)


def _unmasked(x: torch.Tensor, x_lengths: torch.Tensor | None = None) -> Any:
    """SpecAugment's interface, without masks."""
    return x, x_lengths
