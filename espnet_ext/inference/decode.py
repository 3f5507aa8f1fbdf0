"""Decode data directories: what the asr_decode command calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.audio.read import read
from espnet_ext.datadir import read_table
from espnet_ext.files import write_text
from espnet_ext.inference.nbest import to_line
from espnet_ext.inference.shares import Share, run_key, share_of
from espnet_ext.inference.speech2text import Speech2Text
from espnet_ext.machine import hardware
from espnet_ext.progress import progress
from espnet_ext.train.config import check_keys, load_yaml

#: Utterances, and seconds of sound, that are read before they are recognised together: enough to find many of like
#: length, and little enough to hold.
_WINDOW, _SECONDS = 128, 900.0


def read_options(path: Path | None, cls: Any) -> Any:
    """An options dataclass from a YAML that names some of its fields.

    Raises:
        UserError: on a key that is not one of its fields.
    """
    found = {} if path is None else load_yaml(path)
    check_keys(found, {field.name: None for field in fields(cls)}, str(path))
    return cls(**found)


def _windows(
    entries: Iterable[tuple[str, str]],
) -> Iterator[tuple[list[str], list[np.ndarray], list[int]]]:
    """Utterances with their sound, as many at a time as are recognised together: ids, samples, rates."""
    utts: list[str] = []
    speeches: list[np.ndarray] = []
    rates: list[int] = []
    seconds = 0.0
    for utt, entry in entries:
        samples, rate = read(entry, utt)
        utts, speeches, rates = [*utts, utt], [*speeches, samples], [*rates, rate]
        seconds += len(samples) / rate
        if len(utts) == _WINDOW or seconds >= _SECONDS:
            yield utts, speeches, rates
            utts, speeches, rates, seconds = [], [], [], 0.0
    if utts:
        yield utts, speeches, rates


def decode_sets(
    recogniser: Speech2Text, data: Path, sets: Sequence[str], output: Path, job: int, jobs: int
) -> None:
    """Recognise this job's share of each set.

    Args:
        recogniser: a loaded model.
        data: directory of the sets' data directories.
        sets: their names.
        output: receives `SET/{text,token,score,rtf,hardware}` and, if there is more than one hypothesis, `SET/nbest`:
            a line of JSON an utterance, see `inference.nbest`. `rtf` is that of the utterances recognised together.
        job, jobs: the share.
    """
    for name in sets:
        every = sorted(read_table(data / name / "wav.scp").items())
        share = Share(output / name, run_key([], recogniser.identity, every), job, jobs)
        entries = share_of(every, job, jobs)
        tables: dict[str, dict[str, str]] = {"text": {}, "token": {}, "score": {}, "rtf": {}}
        shown = progress(entries, len(entries), f"decode {name}")
        for utts, speeches, rates in _windows(shown):
            if recogniser.rate not in (None, rates[0]) and not tables["text"]:
                given = (name, rates[0], recogniser.rate)
                logging.warning("%s: audio at %d Hz is resampled to the model's %d Hz", *given)
            started = time.monotonic()
            lists = recogniser.many(speeches, rates)
            spent = time.monotonic() - started
            seconds = sum(max(len(s), 1) / r for s, r in zip(speeches, rates, strict=True))
            for utt, found in zip(utts, lists, strict=True):
                best = found[0]
                tables["text"][utt] = best.text.strip()
                tables["token"][utt] = " ".join(best.tokens)
                tables["score"][utt] = f"{best.score:.4f}"
                if recogniser.options.nbest > 1:
                    tables.setdefault("nbest", {})[utt] = to_line(found)
                tables["rtf"][utt] = f"{spent / seconds:.4f}"
        share.write(tables)
        write_text(output / name / "hardware", _machine(recogniser, jobs) + "\n")


def _machine(recogniser: Speech2Text, jobs: int) -> str:
    """What the real-time factors were measured on."""
    import torch

    used = f"{torch.get_num_threads()} threads" if recogniser.device == "cpu" else recogniser.device
    return f"{hardware()}, {used}, {jobs} jobs at once"
