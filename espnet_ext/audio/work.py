"""Make the sound of every utterance of a data directory anew, in shares that go on after any stop.

Whoever finds that the logs of all shares together cover the set writes its tables. Tables and logs are read line by
line: held are some ten bytes an utterance, and one utterance's sound.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from espnet_ext.audio.logs import UNMOVED, Logs, Record
from espnet_ext.audio.read import AudioError
from espnet_ext.audio.shares import Share, Wanted, prune
from espnet_ext.audio.sources import Part, Source, sources
from espnet_ext.datadir.stream import rows, write_kept, written
from espnet_ext.errors import UserError
from espnet_ext.files import locked
from espnet_ext.progress import progress

#: Give up on a share after so many unusable utterances: then something is wrong with the whole set.
TOO_MANY = 20
#: Tables that are written anew.
NEW = frozenset({"wav.scp", "utt2num_samples", "utt2dur"})
#: A segment that ends so many seconds after its recording is said to be shortened.
TOLERANCE = 0.1
NAMED = 5


class Made(NamedTuple):
    """What an utterance has become.

    Attributes:
        sound: the bytes of its sound file; None where it stays where it is.
        rate: Hz.
        channels, samples: how many.
        facts: a word on it, for Work.finish; "-" for none.
        cut: seconds by which the source ended too early.
    """

    sound: bytes | None
    rate: int
    channels: int
    samples: int
    facts: str = "-"
    cut: float = 0.0


@dataclass(frozen=True)
class Work:
    """What is done to a set.

    Attributes:
        data: the data directory.
        out: gets `data/`, `shares/` and the tables.
        label: what is done, for messages.
        audio_format: flac, wav, flac.ark or wav.ark.
        key_of: 64 bits that change when an utterance has to be made anew.
        make: makes one; raises AudioError where it cannot.
        finish: called when all is there, with what gives the records, before the tables are written.
        consumed: tables, beside those made anew, that no longer hold.
        skip_broken: leave unusable utterances out instead of failing.
        advice: what else to do about them.
    """

    data: Path
    out: Path
    label: str
    audio_format: str
    key_of: Callable[[Source], int]
    make: Callable[[str, Source], Made]
    finish: Callable[[Callable[[], Iterator[Record]]], None]
    consumed: frozenset[str]
    skip_broken: bool = False
    advice: str = ""


def do_share(work: Work, job: int, jobs: int) -> bool:
    """Do the `job`-th of `jobs` shares (counted from 1), and the set's tables when it was the last one.

    Returns:
        whether the set is complete.

    Raises:
        UserError: broken tables, or unusable audio (all of it is named, up to twenty).
    """
    part = Part.of(work.data, job, jobs)
    keys = array("Q", (work.key_of(source) for _, source in part))
    wanted = Wanted(zip((utt for utt, _ in part), keys, strict=True))
    with Share(work.out, f"{job}of{jobs}", work.audio_format).opened(wanted) as share:
        there = _there(work.out, part, keys)
        if any(there):
            count = sum(there)
            print(f"{work.out}: {count} utterances of share {job}/{jobs} are there already")
        every = zip(part, keys, there, strict=True)
        todo = ((utt, source, key) for (utt, source), key, done in every if not done)
        label = f"{work.label} {work.out.name} {job}/{jobs}"
        _make(work, share, progress(todo, len(there) - sum(there), label), label)
    return merge(work)


def _there(out: Path, part: Part, keys: array[int]) -> bytearray:
    """1 for each utterance that is done already, else 0."""
    with Logs(out) as logs:
        found = (logs.find(utt, key) for (utt, _), key in zip(part, keys, strict=True))
        return bytearray(item is not None and item[1].samples > 0 for item in found)


def _make(work: Work, share: Share, todo: Iterable[tuple[str, Source, int]], label: str) -> None:
    broken: list[str] = []
    cut: list[str] = []
    for utt, source, key in todo:
        try:
            made = work.make(utt, source)
        except AudioError as error:
            broken.append(str(error))
            if work.skip_broken:
                share.note(Record(utt, key))
            elif len(broken) == TOO_MANY:
                break
            continue
        record = Record(utt, key, made.rate, made.channels, made.samples, facts=made.facts)
        if made.sound is None:
            share.note(record._replace(place=UNMOVED))
        else:
            share.add(record, made.sound)
        if made.cut > TOLERANCE:
            cut.append(f"{utt} by {made.cut:.2f} s")
    _say(work, label, broken, cut)


def _say(work: Work, label: str, broken: list[str], cut: list[str]) -> None:
    """What was wrong with the audio; an error where it is not skipped."""
    if cut:
        more = f" and {len(cut) - NAMED} more" if len(cut) > NAMED else ""
        print(
            f"{label}: {len(cut)} segments end after their recordings and were shortened: "
            f"{', '.join(cut[:NAMED])}{more}",
            file=sys.stderr,
        )
    if not broken:
        return
    lines = "".join(f"\n  {line}" for line in broken)
    if not work.skip_broken:
        raise UserError(f"{label}: {len(broken)} unusable utterances{work.advice}:{lines}")
    print(f"{label}: left out {len(broken)} unusable utterances:{lines}", file=sys.stderr)


def merge(work: Work) -> bool:
    """Write the set's tables if all its utterances are done; as often as one likes.

    Returns:
        whether they are.
    """
    out = work.out
    with locked(out / "shares" / "merge.lock"), Logs(out) as logs:
        chosen = _chosen(work, logs)
        if chosen is None:
            return False
        left_out = chosen.count(-1)
        if left_out == len(chosen):
            raise UserError(
                f"{out}: found no usable utterance, expected some: check the set's audio"
            )
        if left_out:
            said = f"{left_out} of {len(chosen)} utterances left out as unusable"
            print(f"{out}: {said}", file=sys.stderr)
        for leftover in out.glob(".*.tmp-*"):  # of a merge that was killed
            leftover.unlink()

        def records() -> Iterator[Record]:
            return (logs.at(place) for place in chosen if place >= 0)

        work.finish(records)
        _write_tables(work, logs, chosen)
        prune(out / "data", records())
    return True


def _chosen(work: Work, logs: Logs) -> array[int] | None:
    """The place of each utterance's record, -1 where it was left out; None while one is missing."""
    chosen = array("q")
    for utt, source in sources(work.data):
        found = logs.find(utt, work.key_of(source))
        if found is None:
            return None
        chosen.append(found[0] if found[1].samples else -1)
    return chosen


def _write_tables(work: Work, logs: Logs, chosen: array[int]) -> None:
    out = work.out
    with ExitStack() as stack:
        entries, counts, lengths = (
            stack.enter_context(written(out / name))
            for name in ("wav.scp", "utt2num_samples", "utt2dur")
        )
        for (utt, source), place in zip(sources(work.data), chosen, strict=True):
            if place < 0:
                continue
            record = logs.at(place)
            unmoved = record.place == UNMOVED
            entries(utt, source.entry if unmoved else f"{out}/data/{record.place}")
            counts(utt, str(record.samples))
            lengths(utt, f"{record.samples / record.rate:.6f}")

    def kept() -> Iterator[str]:
        return (utt for utt, _ in rows(out / "utt2num_samples"))

    write_kept(work.data, out, kept, new=NEW, consumed=work.consumed)
