"""Copies of a data directory's utterances, augmented or at other speeds; tables only, format_audio makes the sound."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.audio.augment import augmentation
from espnet_ext.datadir import numbers_in
from espnet_ext.datadir.edit import AUGMENT, Tables, prefixed
from espnet_ext.errors import UserError


def with_augmented(
    tables: Tables, data: Path, config: Path, copies: int, originals: bool = True
) -> Tables:
    """The tables with `copies` augmented copies of each utterance.

    Args:
        tables: of the data directory `data`.
        data: for messages.
        config: YAML, see espnet_ext.audio.augment.Augmentation.
        copies: how many.
        originals: keep the utterances themselves, too.

    Raises:
        UserError: for options that are wrong, or a directory that has been augmented before.
    """
    from espnet_ext.train.config import load_yaml

    options = load_yaml(config)
    changed = {"feats.scp"}
    if not augmentation(options, str(config)).lasts:
        changed |= {"utt2num_samples", "utt2dur"}
    _require_without("utt2augment", tables, data, "augmentation")
    tables = {name: table for name, table in tables.items() if name not in changed}
    whole: Tables = prefixed(tables, "", "") if originals else {}
    whole["utt2augment"] = dict.fromkeys(whole.get("utt2spk", {}), "0")
    for draw in range(1, copies + 1):
        copy = prefixed(tables, f"aug{draw}-", f"aug{draw}-")
        copy["utt2augment"] = dict.fromkeys(copy["utt2spk"], str(draw))
        _add(whole, copy)
    return {**whole, AUGMENT: {name: json.dumps(value) for name, value in options.items()}}


def at_speeds(tables: Tables, data: Path, speeds: Sequence[str]) -> Tables:
    """The tables once for every speed; arguments as those of with_augmented.

    Raises:
        UserError: for a directory that has speeds already.
    """
    _require_without("utt2speed", tables, data, "other speeds")
    changed = {"feats.scp", "utt2num_samples", "utt2dur"}
    seconds = numbers_in(tables.get("utt2dur", {}), data / "utt2dur")
    tables = {name: table for name, table in tables.items() if name not in changed}
    whole: Tables = {}
    for speed in speeds:
        factor = float(speed)
        prefix = "" if factor == 1 else f"sp{speed}-"
        copy = prefixed(tables, prefix, prefix)
        copy["utt2speed"] = dict.fromkeys(copy["utt2spk"], speed)
        if seconds:
            copy["utt2dur"] = {prefix + u: f"{s / factor:.6f}" for u, s in seconds.items()}
        _add(whole, copy)
    return whole


def _require_without(name: str, tables: Tables, data: Path, what: str) -> None:
    if "utt2spk" not in tables or name in tables:
        found = name if name in tables else "no utt2spk"
        raise UserError(
            f"{data}: found {found}, expected a data directory without {what}: choose another one"
        )


def _add(whole: Tables, copy: Tables) -> None:
    for name, table in copy.items():
        whole.setdefault(name, {}).update(table)
