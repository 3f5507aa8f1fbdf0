"""Bring the audio of a data directory into one form, in shares that go on after any stop.

Whoever finds that the logs of all shares (espnet_ext.audio.shares) together cover the set writes
its tables.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from espnet_ext.audio.augment import Augmentation, augmented, read_augmentation
from espnet_ext.audio.clean import AS_IT_IS, Cleaning, clean
from espnet_ext.audio.measures import (
    Measures,
    Meter,
    measure,
    measured,
    unpacked,
    write_measures,
)
from espnet_ext.audio.read import AudioError, ark_offset, blocks, opened
from espnet_ext.audio.resample import as_float, resampled, to_int16
from espnet_ext.audio.shares import UNMOVED, Record, Share, finished, locked, prune, usable
from espnet_ext.audio.write import encode
from espnet_ext.datadir.edit import Tables, keep, read_all, write_all
from espnet_ext.datadir.tables import numbers_in, read_segments
from espnet_ext.errors import UserError
from espnet_ext.progress import progress

if TYPE_CHECKING:
    import numpy as np

#: Give up on a share after so many unusable utterances: then something is wrong with the whole set.
TOO_MANY = 20
#: Tables that say how the audio was before and would be wrong afterwards.
CONSUMED = (
    "segments",
    "utt2speed",
    "utt2augment",
    "reco2dur",
    "feats.scp",
    "utt2num_samples",
    "utt2dur",
    "wav.scp",
)


@dataclass(frozen=True)
class Form:
    """What the audio shall be.

    Attributes:
        rate: sampling rate in Hz; None keeps what is there, which must then be one rate.
        audio_format: flac, wav, flac.ark or wav.ark; always 16-bit.
        channels: which channels, counted from 0, in this order; None keeps all.
        no_resample: another rate than `rate` is an error.
        skip_broken: leave unusable utterances out instead of failing.
        copy: write audio that has the right form already, too, instead of referring to it.
        clean: what is done to the sound beside that.
        augment: what may happen to utterances of `utt2augment` after that; format_set reads it from the data directory.
    """

    rate: int | None = 16000
    audio_format: str = "flac"
    channels: tuple[int, ...] | None = None
    no_resample: bool = False
    skip_broken: bool = False
    copy: bool = False
    clean: Cleaning = AS_IT_IS
    augment: Augmentation | None = None


class Source(NamedTuple):
    """Where an utterance comes from: a wav.scp entry, a stretch of it in seconds, a speed, the number of a draw."""

    entry: str
    start: float
    end: float | None
    speed: float
    draw: str = "0"  # which is none: it is not augmented


#: an entry as it is, behind its path
WHOLE = (0.0, None, 1.0, "0")


def sources(tables: Tables, segments_path: Path) -> dict[str, Source]:
    """Every utterance of a data directory, by id."""
    speeds = numbers_in(tables.get("utt2speed", {}), segments_path.with_name("utt2speed"))
    draws = tables.get("utt2augment", {})
    scp = tables["wav.scp"]
    if "segments" not in tables:
        return {
            u: Source(e, 0.0, None, speeds.get(u, 1.0), draws.get(u, "0")) for u, e in scp.items()
        }
    found = {}
    for utt, part in read_segments(segments_path).items():
        if part.recording not in scp:
            raise UserError(
                f"{segments_path}: found the recording {part.recording!r} for {utt!r}, expected "
                "one of wav.scp: run fix_data on the directory"
            )
        entry = scp[part.recording]
        speed = speeds.get(utt, 1.0)
        found[utt] = Source(entry, part.start, part.end, speed, draws.get(utt, "0"))
    return found


def _speeds(tables: Tables, data: Path) -> dict[str, float]:
    found = {}
    for utt, text in tables.get("utt2speed", {}).items():
        try:
            found[utt] = float(text)
        except ValueError:
            found[utt] = 0.0
        if not 0.1 <= found[utt] <= 10:
            raise UserError(
                f"{data}/utt2speed: found {text!r} for {utt!r}, expected a factor from 0.1 to 10"
            )
    return found


def file_state(path: str) -> tuple[int, int]:
    """Size and time of a file; zeros where there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def key_of(source: Source, form: Form) -> str:
    """Changes when the form, the place in wav.scp or the file itself (size, time) does."""
    file = file_state(ark_offset(source.entry)[0])
    what: tuple[object, ...] = (*source[:4], *file, form.rate, form.audio_format, form.channels)
    what = (*what, form.copy)
    if form.channels is not None:
        what = (*what, "measured")  # these channels were; older logs have figures of the whole file
    if form.clean != AS_IT_IS:
        what = (*what, form.clean)
    if source.draw != "0":
        what = (*what, source.draw, form.augment)
    return hashlib.sha1(repr(what).encode()).hexdigest()[:16]


def has_form(utt: str, source: Source, form: Form) -> bool:
    """Whether an utterance is a file of its own that has the wanted form already.

    Raises:
        AudioError: unreadable.
    """
    if form.copy or source[1:] != WHOLE or form.audio_format.endswith(".ark"):
        return False
    if form.clean != AS_IT_IS:
        return False
    if source.entry.endswith("|") or ark_offset(source.entry)[1] is not None:
        return False
    with opened(source.entry, utt) as stream:
        channels = tuple(range(stream.channels))
        return (
            (stream.format.lower(), stream.subtype) == (form.audio_format, "PCM_16")
            and form.rate in (None, stream.samplerate)
            and form.channels in (None, channels)
        )


def samples_of(utt: str, source: Source, form: Form) -> tuple[np.ndarray, int, Measures]:
    """int16 samples (T, C) of an utterance in the wanted form, their rate, measures of those channels in the source.

    Raises:
        AudioError: unreadable, empty, a channel that is not there, or a rate that must not be
            changed.
    """
    import numpy as np

    stream = blocks(source.entry, utt, source.start, source.end)
    rate, first = next(stream)
    wanted = form.rate or rate
    if wanted != rate and form.no_resample:
        raise AudioError(
            f"utterance {utt!r}, {source.entry}: found {rate} Hz, expected {wanted} Hz: drop "
            f"--no_resample to have it resampled, or set --fs {rate}"
        )
    # Block by block: of a long recording only the result is held.
    parts = (_channels(b, utt, source, form) for b in chain([first], (b for _, b in stream)))
    meter = Meter(rate, len(form.channels or range(first.shape[1])))
    heard = measured(parts, meter)
    plain = source.draw == "0" and form.clean == AS_IT_IS
    if plain and (wanted, source.speed) == (rate, 1.0) and first.dtype.kind == "i":
        return np.concatenate([*heard]), rate, meter.result()
    # One pass for both: at `speed` times its rate, brought to the wanted one.
    rates = (source.speed, 1.0) if wanted == rate else (rate * source.speed, wanted)
    found = resampled(map(as_float, heard), *rates)
    if plain:
        return np.concatenate([*map(to_int16, found)]), wanted, meter.result()
    samples = np.concatenate([*found])
    if form.clean != AS_IT_IS:
        samples = clean(samples, wanted, form.clean, utt)
    if source.draw != "0" and form.augment:
        samples = augmented(samples, wanted, form.augment, utt, source.draw)
    return to_int16(samples), wanted, meter.result()


def _channels(samples: np.ndarray, utt: str, source: Source, form: Form) -> np.ndarray:
    """Those that the form asks for."""
    if form.channels is None:
        return samples
    if max(form.channels) >= samples.shape[1]:
        raise AudioError(
            f"utterance {utt!r}, {source.entry}: found {samples.shape[1]} channels, expected "
            f"channel {max(form.channels)} (counted from 0): change --ref_channels"
        )
    return samples[:, list(form.channels)]


def sound_of(utt: str, source: Source, form: Form) -> tuple[bytes, Record]:
    """The sound file of an utterance, and a record of it that lacks key, size and place."""
    samples, rate, measures = samples_of(utt, source, form)
    if not len(samples):
        raise AudioError(f"utterance {utt!r}, {source.entry}: found no samples after resampling")
    record = Record(utt, "", rate, len(samples), 0, "", measures.packed())
    container = form.audio_format.removesuffix(".ark")
    whole = source[1:] == WHOLE and form.channels is None
    whole = whole and form.clean == AS_IT_IS
    if whole and container == "flac" and ark_offset(source.entry)[1] is None:
        original = _flac_16(source.entry, rate)
        if original:
            return original, record
    return encode(samples, rate, container), record


def _flac_16(entry: str, rate: int) -> bytes | None:
    """The bytes of a 16-bit flac file at that rate: encoding it again would change nothing."""
    if entry.endswith("|"):
        return None
    with open(entry, "rb") as stream:
        head = stream.read(22)
        # STREAMINFO: 20 bits of rate, 3 of channels, 5 of bits a sample minus one, from byte 18 on.
        bits = int.from_bytes(head[18:22], "big")
        if head[:4] != b"fLaC" or bits >> 12 != rate or (bits >> 4 & 31) + 1 != 16:
            return None
        return head + stream.read()


def format_set(data: Path, out: Path, job: int, jobs: int, form: Form) -> bool:
    """Do one share of a set, and the set's tables when it was the last one.

    Args:
        data: the data directory.
        out: gets `data/`, `shares/` and the tables.
        job: which share, counted from 1.
        jobs: how many shares.
        form: the wanted form.

    Returns:
        whether the set is complete.

    Raises:
        UserError: unusable audio (all of it is named, up to twenty), or rates that differ though
            `form.rate` is None.
    """
    tables = read_all(data)
    if "utt2augment" in tables:
        form = replace(form, augment=read_augmentation(data))
    for name in ("wav.scp", "utt2spk"):
        if name not in tables:
            raise UserError(
                f"{data}/{name}: not found, expected a data directory: run stage 1 first"
            )
    every = sources(tables, data / "segments")
    names = sorted(every)
    mine = names[len(names) * (job - 1) // jobs : len(names) * job // jobs]
    keys = {utt: key_of(every[utt], form) for utt in mine}
    sizes: dict[str, int] = {}
    with Share(out, f"{job}of{jobs}", form.audio_format).opened(keys) as share:
        done = finished(out)
        todo = [u for u in mine if not _record(out, done.get(u, []), keys[u], sizes)]
        if len(todo) < len(mine):
            print(
                f"{out}: {len(mine) - len(todo)} utterances of share {job}/{jobs} are there already"
            )
        _format(share, todo, every, keys, form, f"format {out.name} {job}/{jobs}")
    return merge(out, tables, every, form)


def _record(out: Path, records: list[Record], key: str, sizes: dict[str, int]) -> Record | None:
    """The first record with that key whose audio is there."""
    return next((r for r in records if r.key == key and usable(out / "data", r, sizes)), None)


def _format(
    share: Share,
    todo: list[str],
    every: dict[str, Source],
    keys: dict[str, str],
    form: Form,
    label: str,
) -> None:
    broken: list[str] = []
    for utt in progress(todo, len(todo), label):
        try:
            _format_one(share, utt, every[utt], keys[utt], form)
        except AudioError as error:
            broken.append(str(error))
            if form.skip_broken:
                share.note(Record(utt, keys[utt], 0, 0, 0, "-"))
            elif len(broken) == TOO_MANY:
                break
    if broken:
        lines = "".join(f"\n  {line}" for line in broken)
        if form.skip_broken:
            print(f"{label}: left out {len(broken)} unusable utterances:{lines}", file=sys.stderr)
            return
        raise UserError(
            f"{label}: {len(broken)} unusable utterances (--skip_broken leaves them out, in a recipe "
            f'--format_opts "--skip_broken"):{lines}'
        )


def _format_one(share: Share, utt: str, source: Source, key: str, form: Form) -> None:
    """Write one utterance in the wanted form, or note that it has it already."""
    if has_form(utt, source, form):
        measures, samples = measure(source.entry, utt)
        share.note(Record(utt, key, measures.rate, samples, 0, UNMOVED, measures.packed()))
    else:
        sound, record = sound_of(utt, source, form)
        share.add(record._replace(key=key), sound)


def merge(out: Path, tables: Tables, every: dict[str, Source], form: Form) -> bool:
    """Write the set's tables if all its utterances are done; as often as one likes.

    Returns:
        whether they are.
    """
    logged = finished(out)
    if not every.keys() <= logged.keys():
        return False
    sizes: dict[str, int] = {}
    found: dict[str, Record] = {}
    for utt, source in every.items():
        key = key_of(source, form)
        record = _record(out, logged[utt], key, sizes)
        if record:
            found[utt] = record
        elif not any(r.key == key and not r.samples for r in logged[utt]):
            return False
    measures = {u: m for u, r in found.items() if (m := unpacked(r.measures))}
    _alike({u: f"{r.rate} Hz" for u, r in found.items()}, "sampling rates", "--fs")
    _alike({u: f"{m.channels} channels" for u, m in measures.items()}, "numbers", "--ref_channels")
    dropped = every.keys() - found.keys()
    if dropped:
        print(
            f"{out}: {len(dropped)} of {len(every)} utterances left out as unusable",
            file=sys.stderr,
        )
    if not found:
        raise UserError(f"{out}: found no usable utterance, expected some: check the set's audio")
    done = keep({n: t for n, t in tables.items() if n not in CONSUMED}, found.keys())
    done["wav.scp"] = {u: _entry(out, r, every[u]) for u, r in found.items()}
    done["utt2num_samples"] = {u: str(r.samples) for u, r in found.items()}
    done["utt2dur"] = {u: f"{r.samples / r.rate:.6f}" for u, r in found.items()}
    with locked(out / "shares" / "merge.lock"):
        for leftover in out.glob(".*.tmp-*"):  # of a merge that was killed
            leftover.unlink()
        write_measures(out / "quality.tsv", measures)
        write_all(out, done)
        prune(out / "data", found.values())
    return True


def _entry(out: Path, record: Record, source: Source) -> str:
    """What stands in wav.scp."""
    return source.entry if record.place == UNMOVED else f"{out}/data/{record.place}"


def _alike(values: dict[str, str], what: str, option: str) -> None:
    """Refuse a set whose utterances differ in something.

    Raises:
        UserError: with an utterance of every value.
    """
    first: dict[str, str] = {}
    for utt, value in values.items():
        first.setdefault(value, utt)
    if len(first) > 1:
        listed = ", ".join(f"{value} ({utt!r})" for value, utt in sorted(first.items()))
        raise UserError(f"found {what} {listed}, expected a single one: set it with {option}")
