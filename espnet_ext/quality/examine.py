"""Measure the utterances of a data directory, whatever state their audio is in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from espnet_ext.audio.headers import header_faults
from espnet_ext.audio.measures import Measures, measure
from espnet_ext.audio.read import AudioError, CutOff, NoSamples, NotFinite, ark_offset
from espnet_ext.errors import UserError

_KIND_OF = {CutOff: "truncated", NotFinite: "not_finite", NoSamples: "no_samples"}


class Task(NamedTuple):
    """One utterance to be measured."""

    utt: str
    entry: str
    start: float
    end: float | None
    samples: str  # what utt2num_samples says, or ""


class Outcome(NamedTuple):
    """What measuring it gave: no measures where it cannot be used; (kind, message) of all faults."""

    measures: Measures | None
    faults: tuple[tuple[str, str], ...]


def examine_all(tasks: Iterable[Task], count: int, workers: int) -> Iterator[Outcome]:
    """Outcomes of `count` tasks, in their order, by so many processes.

    Raises:
        UserError: one of them was killed.
    """
    if workers < 2 or count < 2:
        yield from map(examine, tasks)
        return
    import multiprocessing

    size = max(1, min(64, count // (4 * workers)))
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context) as pool:
        try:
            # A window of tasks at a time: results do not pile up behind a slow one.
            for window in _windows(tasks, 64 * size * workers):
                yield from pool.map(examine, window, chunksize=size)
        except BrokenProcessPool:
            raise UserError(
                "a process that reads audio was killed, expected it to end by itself (no memory left, "
                "or a file that breaks libsndfile): run it again with --nj 1 to see where it stops"
            ) from None


def _windows(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    rest = iter(tasks)
    while window := list(islice(rest, size)):
        yield window


def examine(task: Task) -> Outcome:
    """Measure one utterance; whatever is wrong with it becomes a fault, never an exception."""
    if not task.entry:
        return Outcome(None, (("unreadable", "found no recording for its line of segments"),))
    plain = not task.entry.endswith("|") and ark_offset(task.entry)[1] is None
    if plain and not Path(task.entry).is_file():
        return Outcome(None, (("unreadable", f"{task.entry}: no such file"),))
    faults = list(header_faults(task.entry)) if plain else []
    try:
        measures, samples = measure(task.entry, task.utt, start=task.start, end=task.end)
    except AudioError as error:
        return Outcome(None, ((_KIND_OF.get(type(error), "unreadable"), str(error)),))
    except Exception as error:  # the file is anything at all: a library may fail in any way
        message = f"{task.entry}: found {type(error).__name__} ({error}), expected readable audio"
        return Outcome(None, (("unreadable", message),))
    said = [(kind, f"{task.entry}: {message}") for kind, message in faults]
    said += _wrong_lengths(task, measures, samples)
    return Outcome(measures, tuple(said))


def _wrong_lengths(task: Task, measures: Measures, samples: int) -> list[tuple[str, str]]:
    found = []
    if task.samples and task.samples != str(samples):
        found.append(
            ("wrong_length", f"found {samples} samples, expected {task.samples} (utt2num_samples)")
        )
    if task.end is not None and measures.seconds < task.end - task.start - 0.1:
        found.append(
            (
                "wrong_duration",
                f"its segment ends at {task.end:g} s, but its recording at "
                f"{task.start + measures.seconds:.2f} s",
            )
        )
    return found
