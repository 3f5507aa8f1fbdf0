"""Decode data directories: what the asr_decode command calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from espnet_ext.audio.read import read
from espnet_ext.datadir import read_table
from espnet_ext.files import write_text
from espnet_ext.inference.nbest import to_line
from espnet_ext.inference.shares import Share, run_key, share_of
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
        output: receives `SET/{text,token,score,rtf,hardware}` and, if there is more than one hypothesis, `SET/nbest`:
            a line of JSON an utterance, see `inference.nbest`.
        job, jobs: the share.
    """
    for name in sets:
        every = sorted(read_table(data / name / "wav.scp").items())
        share = Share(output / name, run_key([], recogniser.identity, every), job, jobs)
        entries = share_of(every, job, jobs)
        tables: dict[str, dict[str, str]] = {"text": {}, "token": {}, "score": {}, "rtf": {}}
        for utt, entry in progress(entries, len(entries), f"decode {name}"):
            samples, rate = read(entry, utt)
            if recogniser.rate not in (None, rate) and not tables["text"]:
                given = (name, rate, recogniser.rate)
                logging.warning("%s: audio at %d Hz is resampled to the model's %d Hz", *given)
            started = time.monotonic()
            found = recogniser(samples, rate)
            best, spent = found[0], time.monotonic() - started
            tables["text"][utt] = best.text.strip()
            tables["token"][utt] = " ".join(best.tokens)
            tables["score"][utt] = f"{best.score:.4f}"
            if recogniser.options.nbest > 1:
                tables.setdefault("nbest", {})[utt] = to_line(found)
            tables["rtf"][utt] = f"{spent * rate / max(len(samples), 1):.4f}"
        share.write(tables)
        write_text(output / name / "hardware", _machine(recogniser, jobs) + "\n")


def _machine(recogniser: Speech2Text, jobs: int) -> str:
    """What the real-time factors were measured on."""
    import torch

    used = f"{torch.get_num_threads()} threads" if recogniser.device == "cpu" else recogniser.device
    return f"{hardware()}, {used}, {jobs} jobs at once"
