"""Put data directories together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_ext.datadir.edit import AUGMENT, Tables, read_all, write_all
from espnet_ext.errors import UserError

#: What these tables would say of utterances in whose directory they are missing: as recorded.
AS_RECORDED = {"utt2speed": "1", "utt2augment": "0"}


def combine(out: str | Path, directories: Sequence[str | Path]) -> list[str]:
    """Put several directories together; tables that not all of them have are left out.

    Where some have `segments` and others do not, these get segments of whole recordings.
    Where some have `utt2speed` or `utt2augment`, the others' sound stays as it is recorded.

    Returns:
        the names of the tables left out.

    Raises:
        UserError: if an id is in two of them with different values, or they were augmented with
            different options.
    """
    every = {str(d): read_all(d) for d in directories}
    anywhere = {name for tables in every.values() for name in tables} - {"spk2utt"}
    common = anywhere.intersection(*every.values())
    joined: Tables = {}
    for name in sorted(common | (anywhere & {"segments", *AS_RECORDED})):
        joined[name] = {}
        for directory, tables in every.items():
            _join(joined[name], _table_of(name, tables), f"{directory}/{name}")
    if AUGMENT in anywhere:
        joined[AUGMENT] = _one_augmentation(every)
    write_all(out, joined)
    return sorted(anywhere - joined.keys())


def _table_of(name: str, tables: Tables) -> dict[str, str]:
    """A table, or what it would say if it were there."""
    if name == "segments" and name not in tables:
        return {utt: f"{utt} 0 -1" for utt in tables["utt2spk"]}
    if name not in AS_RECORDED:
        return tables[name]
    usual = AS_RECORDED[name]
    found = tables.get(name) or dict.fromkeys(tables["utt2spk"], usual)
    # The same in one spelling, so that 1.0 of one directory does not contradict 1 of another.
    return {u: usual if re.fullmatch(rf"{usual}(\.0*)?", v) else v for u, v in found.items()}


def _one_augmentation(every: Mapping[str, Tables]) -> dict[str, str]:
    found = {d: tables[AUGMENT] for d, tables in every.items() if AUGMENT in tables}
    first, options = next(iter(found.items()))
    other = next((d for d, others in found.items() if others != options), None)
    if other is not None:
        raise UserError(
            f"{other}/{AUGMENT}: found other options than in {first}/{AUGMENT}, expected the same: "
            "run format_audio on each directory, then combine what it wrote"
        )
    return options


def _join(whole: dict[str, str], table: Mapping[str, str], where: str) -> None:
    for key, value in table.items():
        if whole.setdefault(key, value) != value:
            raise UserError(
                f"{where}: found {key!r} -> {value!r}, but another directory says {whole[key]!r}: "
                "give the ids a prefix of their own (datadir.copy) before combining"
            )
