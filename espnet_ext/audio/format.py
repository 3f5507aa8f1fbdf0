"""Bring the audio of a data directory into one form, in shares that go on after any stop; measure it on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

from espnet_ext.audio.augment import read_augmentation
from espnet_ext.audio.form import Form, formatted, key_of
from espnet_ext.audio.logs import Record
from espnet_ext.audio.measures import Measures
from espnet_ext.audio.work import Work, do_share
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open

#: Tables that say how the audio was before and would be wrong afterwards.
CONSUMED = frozenset({"segments", "utt2speed", "utt2augment", "reco2dur", "feats.scp"})


def format_set(data: Path, out: Path, job: int, jobs: int, form: Form) -> bool:
    """Do one share of a set, and the set's tables when it was the last one.

    Args:
        data: the data directory.
        out: gets `data/`, `shares/` and the tables, with quality.tsv: what the source measured.
        job: which share, counted from 1.
        jobs: how many shares.
        form: the wanted form.

    Returns:
        whether the set is complete.

    Raises:
        UserError: unusable audio (all of it is named, up to twenty), or rates that differ though
            `form.rate` is None.
    """
    if (data / "utt2augment").is_file():
        form = replace(form, augment=read_augmentation(data))

    def finish(records: Callable[[], Iterator[Record]]) -> None:
        require_alike(records())
        write_measures(out / "quality.tsv", records())

    work = Work(
        data=data,
        out=out,
        label="format",
        audio_format=form.audio_format,
        key_of=lambda source: key_of(source, form),
        make=lambda utt, source: formatted(utt, source, form),
        finish=finish,
        consumed=CONSUMED,
        skip_broken=form.skip_broken,
        advice=' (--skip_broken leaves them out, in a recipe --format_opts "--skip_broken")',
    )
    return do_share(work, job, jobs)


def require_alike(records: Iterator[Record]) -> None:
    """Refuse a set whose utterances differ in sampling rate or number of channels.

    Raises:
        UserError: with an utterance of every value.
    """
    rates: dict[int, str] = {}
    channels: dict[int, str] = {}
    for record in records:
        rates.setdefault(record.rate, record.utt)
        channels.setdefault(record.channels, record.utt)
    for values, what, option in (
        (rates, "sampling rates in Hz", "--fs"),
        (channels, "numbers of channels", "--ref_channels"),
    ):
        if len(values) > 1:
            listed = ", ".join(f"{v} ({utt!r})" for v, utt in sorted(values.items()))
            raise UserError(f"found {what} {listed}, expected a single one: set it with {option}")


def write_measures(path: Path, records: Iterator[Record]) -> None:
    """Write a line an utterance under a line of names, separated by tabs, sorted by utterance."""
    with atomic_open(path) as stream:
        stream.write("\t".join(["utt", *(field.name for field in fields(Measures))]) + "\n")
        for record in records:
            stream.write("\t".join([record.utt, *record.facts.split(",")]) + "\n")
