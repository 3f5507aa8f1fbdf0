"""What kind of value each training key of a YAML has, so that a wrong one is named before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from espnet_ext.errors import UserError


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        words: what a message says is expected.
        fits: whether a value is one.
    """

    words: str
    fits: Callable[[Any], bool]


def whole(least: int) -> Kind:
    """A whole number from `least` on."""
    return Kind(
        f"a whole number, {least} or more",
        lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= least,
    )


def numeric(words: str = "a number", fits: Callable[[float], bool] = lambda x: True) -> Kind:
    """A number, perhaps of some range."""
    return Kind(
        words, lambda x: isinstance(x, (int, float)) and not isinstance(x, bool) and fits(x)
    )


def optional(kind: Kind) -> Kind:
    """Such a value, or null."""
    return Kind(f"{kind.words}, or null", lambda x: x is None or kind.fits(x))


def one_of(*words: str) -> Kind:
    """One of some words."""
    return Kind(" or ".join(words), lambda x: x in words)


SWITCH = Kind("true or false", lambda x: isinstance(x, bool))
TEXT = Kind("a name", lambda x: isinstance(x, str))
SEVERAL = Kind("a list such as [a, b]", lambda x: isinstance(x, (list, tuple)))
MAPPING = Kind("`key: value` lines", lambda x: isinstance(x, Mapping))
NAMES = Kind(
    "a list of names such as [a, b]",
    lambda x: isinstance(x, (list, tuple)) and all(isinstance(name, str) for name in x),
)
CRITERIA = Kind(
    "a list of [split, figure, min or max], such as [[valid, loss, min]]",
    lambda x: (
        isinstance(x, (list, tuple))
        and len(x) > 0
        and all(isinstance(c, (list, tuple)) and len(c) == 3 and c[2] in ("min", "max") for c in x)
    ),
)

#: The keys of espnet_ext/train/config.py; what else has a name is looked up, which says what there is.
KINDS: Mapping[str, Kind] = {
    "seed": whole(0),
    "max_epoch": whole(1),
    "patience": optional(whole(0)),
    "batch_size": numeric("a number above 0", lambda x: x > 0),
    "sampler_conf": MAPPING,
    "num_workers": whole(0),
    "accum_grad": whole(1),
    "grad_clip": optional(numeric()),
    "optim_conf": MAPPING,
    "scheduler_conf": MAPPING,
    "optim2_conf": MAPPING,
    "scheduler2_conf": MAPPING,
    "generator_first": SWITCH,
    "best_model_criterion": CRITERIA,
    "keep_nbest_models": whole(1),
    "checkpoint_minutes": numeric("a number of minutes", lambda x: x >= 0),
    "num_att_plot": whole(0),
    "weight_decay_groups": SWITCH,
    "phases": optional(SEVERAL),
    "ema": optional(numeric("a decay between 0 and 1", lambda x: 0 < x < 1)),
    "freeze": NAMES,
    "fsdp": SWITCH,
    "lora": optional(MAPPING),
    "not_finite": one_of("skip", "stop"),
    "monitor_every": whole(0),
    "trackers": NAMES,
    "init_param": SEVERAL,
}


def check_values(found: Mapping[str, Any], kinds: Mapping[str, Kind], where: str) -> None:
    """Stop at the first value that is not of its kind.

    Raises:
        UserError: naming key, value and what is expected.
    """
    for key, kind in kinds.items():
        if key in found and not kind.fits(found[key]):
            raise UserError(f"{where}: {key}: found {found[key]!r}, expected {kind.words}")
