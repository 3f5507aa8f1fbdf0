"""Decode data directories: what the asr_decode command calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_text
from espnet_ext.inference.nbest import confidence_line, detail_line, to_line
from espnet_ext.inference.results import Recognition
from espnet_ext.inference.shares import Share, run_key, share_of
from espnet_ext.inference.sounds import sound_or_error, windows
from espnet_ext.inference.speech2text import Speech2Text
from espnet_ext.machine import hardware
from espnet_ext.progress import progress
from espnet_ext.train.config import check_keys, load_yaml


def read_options(path: Path | None, cls: Any) -> Any:
    """An options dataclass from a YAML that names some of its fields.

    Raises:
        UserError: on a key that is not one of its fields.
    """
    found = {} if path is None else load_yaml(path)
    check_keys(found, {field.name: None for field in fields(cls)}, str(path))
    return cls(**found)


def decode_sets(
    recogniser: Speech2Text, data: Path, sets: Sequence[str], output: Path, job: int, jobs: int
) -> None:
    """Recognise this job's share of each set.

    Args:
        recogniser: a loaded model.
        data: directory of the sets' data directories.
        sets: their names.
        output: receives `SET/{text,token,score,confidence,detail,rtf,hardware}` and, if there is more than one
            hypothesis, `SET/nbest`: a line of JSON an utterance, see `inference.nbest`. `rtf` is that of the utterances
            recognised together.
        job, jobs: the share.

    Raises:
        UserError: for a set without utterances; at the end, if some could not be read: they are empty, and all others
            are written.
    """
    broken: list[str] = []
    for name in sets:
        every = sorted(read_table(data / name / "wav.scp").items())
        if not every:
            raise UserError(
                f"{data / name / 'wav.scp'}: found no utterance, expected at least one: make the set again"
            )
        share = Share(output / name, run_key([], recogniser.identity, every), job, jobs)
        tables, errors = _decoded(recogniser, name, share_of(every, job, jobs))
        share.write(tables)
        write_text(output / name / "hardware", _machine(recogniser, jobs) + "\n")
        broken += errors
    if broken:
        raise UserError(
            f"found {len(broken)} utterances that cannot be read (they are written empty, the others as recognised); "
            f"the first: {broken[0]}"
        )


Tables = dict[str, dict[str, str]]


def _decoded(
    recogniser: Speech2Text, name: str, entries: Sequence[tuple[str, str]]
) -> tuple[Tables, list[str]]:
    """The tables of some utterances of a set, and what is wrong with those that cannot be read."""
    tables: Tables = {table: {} for table in _TABLES}
    errors: list[str] = []
    found = _recognised(recogniser, name, entries)
    for utt, one, rtf in progress(found, len(entries), f"decode {name}"):
        if one.error:  # of what was read, it does not say whose it is
            errors.append(one.error if utt in one.error else f"{utt}: {one.error}")
        _note(tables, utt, one, rtf, recogniser.options.nbest > 1)
    return tables, errors


def _recognised(
    recogniser: Speech2Text, name: str, entries: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, Recognition, float]]:
    """(utterance, what was recognised, real-time factor), many recognised at once."""
    sounds = (sound_or_error(entry, utt=utt) for utt, entry in entries)
    utts = iter([utt for utt, _ in entries])
    for number, window in enumerate(windows(sounds)):
        _warn_of_rate(recogniser, name, window[0].rate, first=not number)
        started = time.monotonic()
        found = recogniser.together(window)
        spent = time.monotonic() - started
        seconds = sum(max(len(s.samples), 1) / (s.rate or 16000) for s in window)
        for one in found:
            yield next(utts), one, spent / seconds


#: What is written of each utterance, and `nbest`.
_TABLES = ("text", "token", "score", "confidence", "detail", "rtf")


def _note(tables: Tables, utt: str, found: Recognition, rtf: float, lists: bool) -> None:
    """Put one utterance into the tables; `lists`: with all of its hypotheses."""
    best = found[0]
    line = {
        "text": best.text.strip(),
        "token": " ".join(best.tokens),
        "score": f"{best.score:.4f}",
        "confidence": confidence_line(found),
        "detail": detail_line(found),
        "rtf": f"{rtf:.4f}",
    }
    if lists:
        line["nbest"] = to_line(found.nbest)
    for table, value in line.items():
        tables.setdefault(table, {})[utt] = value


def _warn_of_rate(recogniser: Speech2Text, name: str, rate: int | None, first: bool) -> None:
    if first and rate is not None and recogniser.rate not in (None, rate):
        given = (name, rate, recogniser.rate)
        logging.warning("%s: audio at %d Hz is resampled to the model's %d Hz", *given)


def _machine(recogniser: Speech2Text, jobs: int) -> str:
    """What the real-time factors were measured on."""
    import torch

    used = f"{torch.get_num_threads()} threads" if recogniser.device == "cpu" else recogniser.device
    return f"{hardware()}, {used}, {jobs} jobs at once"
