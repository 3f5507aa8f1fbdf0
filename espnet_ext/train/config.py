"""One YAML = one experiment: the keys it may have, their defaults, and the whole configuration written back."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.files import write_text

Config = dict[str, Any]

#: How a model is trained; the names are ESPnet's where ESPnet has the notion.
TRAINING: Config = {
    "seed": 0,  # of weights, dropout, data order and augmentation
    "max_epoch": 40,
    "patience": None,  # stop after so many epochs without a better criterion
    "batch_type": "seconds",  # what batch_size counts: seconds (of audio, padding included), tokens, utterances
    "batch_size": 60.0,
    "sampler": None,  # dotted path of another batch sampler; None = buckets of similar length
    "sampler_conf": {},
    "num_workers": 1,  # processes that read and prepare data
    "accum_grad": 1,  # batches added up for one update
    "grad_clip": 1.0,  # largest gradient norm
    "optim": "adam",
    "optim_conf": {},
    "scheduler": None,
    "scheduler_conf": {},
    "optim2": "adam",  # the discriminator's, in GAN tasks
    "optim2_conf": {},
    "scheduler2": None,
    "scheduler2_conf": {},
    "generator_first": False,
    "best_model_criterion": [["valid", "loss", "min"]],
    "keep_nbest_models": 5,  # as many epochs are averaged into the final model
    "checkpoint_minutes": 5.0,  # besides the end of every epoch and SIGTERM
    "num_att_plot": 3,  # validation utterances whose attention is kept for the report
    "precision": "tf32",  # fp32, tf32 (fp32 on a CPU), bf16 or fp16
    "weight_decay_groups": False,  # weight decay leaves biases, norms and embeddings alone
    "phases": [],  # a curriculum, see espnet_ext/train/phases.py; max_epoch is then their sum
    "ema": None,  # decay of a moving average of the weights, for example 0.999; kept as valid.*.ema.pth
    "freeze": [],  # names of parameters that stay as they are: [frontend, encoder.layers.0, "*.bias"]
    "fsdp": False,  # several processes share the weights, too, of a model too large for one device; no layer_drop then
    "lora": None,  # low-rank adaptation: {rank: 8, alpha: 16, targets: [encoder], train: [ctc]}
    "not_finite": "skip",  # what follows on a loss that is NaN or infinite: skip the update, or stop
    "monitor_every": 200,  # updates between two looks at the gradients of each group of modules; 0 = none
    "trackers": [],  # tensorboard, mlflow, wandb
    "init_param": [],  # weights to start from, see espnet_ext/train/initial.py: "file.pth", "file.pth:encoder"
}


@cache
def _loader() -> Any:
    """PyYAML's safe loader, to which 1e-3 is a number as it is to everybody else (YAML 1.1 wants 1.0e-3).

    A key that stands twice in a mapping is an error: PyYAML's own loader forgets the first without a word.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        told = f"found the key {key.value!r} twice, expected it once: join the two"
                        raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    number = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return Loader


def parse_yaml(text: str, where: str) -> Any:
    """The value that a YAML text stands for.

    Raises:
        UserError: if it is not YAML; in one line, with the place.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise UserError(f"{where}: not readable as YAML: {' '.join(str(error).split())}") from error


def load_yaml(path: str | Path) -> Config:
    """Read a YAML mapping.

    Raises:
        UserError: if the file is missing, is not YAML or not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such configuration file: check --config")
    try:
        loaded = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a readable YAML file: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: found a {type(loaded).__name__}, expected `key: value` lines")
    return loaded


def check_keys(found: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """Stop at the first key that is not known, naming the nearest known ones.

    Raises:
        UserError: naming the key, where it stands, and what may have been meant.
    """
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=3)
            hint = (
                f"did you mean {' or '.join(near)}?"
                if near
                else f"known keys: {', '.join(sorted(known))}"
            )
            raise UserError(f"{where}: unknown key {key!r}; {hint}")


def parse_overrides(overrides: Sequence[str]) -> Config:
    """`["max_epoch=3", "encoder_conf.num_blocks=2"]` -> a nested mapping, values read as YAML."""
    nested: Config = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--set: found {override!r}, expected key=value")
        place = nested
        *parents, last = name.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UserError(
                    f"--set: found {override!r} after {parent}={place!r}, expected only one of the two"
                )
        place[last] = parse_yaml(value, f"--set {override}")
    return nested


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Config:
    """`base` with `changes`; mappings are merged key by key, everything else is replaced."""
    merged = copy.deepcopy(dict(base))
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


def complete(defaults: Mapping[str, Any], found: Mapping[str, Any]) -> Config:
    """`found` on top of `defaults`; unlike `merge`, a `..._conf` is replaced whole, as a class owns its own."""
    # `encoder_conf:` with nothing behind it is an empty mapping
    given = {k: {} if v is None and k.endswith("_conf") else v for k, v in found.items()}
    return {**copy.deepcopy(dict(defaults)), **copy.deepcopy(given)}


def write_config(path: str | Path, config: Mapping[str, Any]) -> None:
    """Write the whole configuration as YAML, keys in their order, readable by stock ESPnet."""
    import yaml

    write_text(path, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
