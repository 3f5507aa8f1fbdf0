"""Look through a data directory: its tables, every utterance's audio and text, and who is heard."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from espnet_ext.audio.headers import header_faults
from espnet_ext.audio.measures import Measures, measure
from espnet_ext.audio.read import AudioError, CutOff, NoSamples, NotFinite, ark_offset
from espnet_ext.datadir.check import check
from espnet_ext.datadir.edit import Tables, read_loosely
from espnet_ext.datadir.tables import Segment, is_table, parse_segment
from espnet_ext.errors import UserError
from espnet_ext.progress import progress
from espnet_ext.quality.findings import KINDS, Limits, Policy, judge
from espnet_ext.quality.representation import Spread, represented
from espnet_ext.quality.rules import derived

_KIND_OF = {CutOff: "truncated", NotFinite: "not_finite", NoSamples: "no_samples"}
MEASURED = tuple(f.name for f in fields(Measures) if f.name not in ("seconds", "digest"))
COLUMNS = ("seconds", "chars", "words", "cps", *MEASURED)
#: So many findings of a kind keep their message; all are counted, and all are in the table.
KEPT = 200


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


class Finding(NamedTuple):
    """Something wrong: `utt` is "" where it concerns the directory; the larger `badness`, the worse."""

    kind: str
    utt: str
    message: str
    badness: float = 0.0


@dataclass
class Audit:
    """All that an audit found.

    Attributes:
        directory: what was audited.
        utts: its utterances, sorted; row i of every column belongs to utts[i].
        columns: COLUMNS, NaN where not known.
        digests: of the samples; 0 where not known.
        counts: kind -> how many.
        findings: kind -> the worst of them, up to KEPT.
        problems: utterance -> kinds, of those that have any.
        spreads: what -> how time is spread over speakers, genders, ...
        policy: which kinds are refused.
        limits: what was looked for.
        places: utterance -> wav.scp entry, start, end (for players).
    """

    directory: Path
    utts: list[str]
    policy: Policy
    limits: Limits
    columns: dict[str, array[float]] = field(default_factory=dict)
    digests: array[int] = field(default_factory=lambda: array("Q"))
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    places: dict[str, Task] = field(default_factory=dict)

    def note(self, finding: Finding) -> None:
        """Count a finding and keep it while there is room."""
        self.counts[finding.kind] += 1
        kept = self.findings.setdefault(finding.kind, [])
        kept.append(finding)
        if len(kept) >= 2 * KEPT:
            self._thin(kept)
        if finding.utt:
            kinds = self.problems.setdefault(finding.utt, [])
            if finding.kind not in kinds:
                kinds.append(finding.kind)

    @staticmethod
    def _thin(kept: list[Finding]) -> None:
        kept.sort(key=lambda f: (-f.badness, f.utt))
        del kept[KEPT:]

    def finish(self) -> None:
        """Bring kinds and findings into order."""
        for kept in self.findings.values():
            self._thin(kept)
        self.findings = {kind: self.findings[kind] for kind in KINDS if kind in self.findings}

    def row(self, index: int) -> dict[str, float]:
        """The values of one utterance."""
        return {name: column[index] for name, column in self.columns.items()}

    @cached_property
    def index(self) -> dict[str, int]:
        """Utterance -> its row."""
        return {utt: i for i, utt in enumerate(self.utts)}

    @property
    def refused(self) -> list[str]:
        """Kinds found for which the directory is refused."""
        return [kind for kind in self.findings if kind in self.policy.refused]

    @property
    def seconds(self) -> float:
        """Of all that could be read."""
        return math.fsum(s for s in self.columns.get("seconds", ()) if not math.isnan(s))


def audit(
    directory: str | Path,
    limits: Limits | None = None,
    policy: Policy | None = None,
    workers: int = 1,
    text: bool = True,
) -> Audit:
    """Audit a data directory, however broken it is.

    Args:
        directory: where the tables lie.
        limits: beyond which something is a finding.
        policy: which kinds refuse the directory.
        workers: processes that read the audio.
        text: there must be a text.

    Raises:
        UserError: there is no such directory, or it names no audio at all.
    """
    directory = Path(directory)
    tables = _tables(directory)
    tasks = _tasks(directory, tables)
    found = Audit(directory, [task.utt for task in tasks], policy or Policy(), limits or Limits())
    for problem in check(directory, text=text):
        found.note(Finding("table", "", problem))
    found.columns = {name: array("d") for name in COLUMNS}
    outcomes = _measure_all(tasks, workers)
    pairs = zip(tasks, outcomes, strict=True)
    for task, outcome in progress(pairs, len(tasks), f"audit {directory}"):
        _add(found, task, outcome, tables)
    _compare(found, tables)
    found.places = {task.utt: task for task in tasks if task.utt in found.problems}
    lengths = zip(found.utts, found.columns["seconds"], strict=True)
    found.spreads = represented(tables, {u: s for u, s in lengths if not math.isnan(s)})
    found.finish()
    return found


def _tables(directory: Path) -> Tables:
    """What can be read of them; `check` says what is wrong with the rest."""
    if not directory.is_dir():
        raise UserError(
            f"{directory}: no such directory, expected a data directory: check the path"
        )
    tables: Tables = {}
    for path in sorted(p for p in directory.iterdir() if is_table(p)):
        try:
            tables[path.name] = read_loosely(path, {}, empty=path.name == "text")
        except UserError:
            continue
    return tables


def _tasks(directory: Path, tables: Tables) -> list[Task]:
    scp = tables.get("wav.scp")
    if not scp:
        raise UserError(
            f"{directory}/wav.scp: found no line `id path` in UTF-8, expected the audio to look "
            "through: run stage 1 first"
        )
    lengths = tables.get("utt2num_samples", {})
    if "segments" not in tables:
        return [Task(u, scp[u], 0.0, None, lengths.get(u, "")) for u in sorted(scp)]
    tasks = []
    for utt, value in sorted(tables["segments"].items()):
        # A broken line has the recording "", which nobody has.
        recording, start, end = parse_segment(value) or Segment("", 0.0, None)
        tasks.append(Task(utt, scp.get(recording, ""), start, end, lengths.get(utt, "")))
    return tasks


def _measure_all(tasks: list[Task], workers: int) -> Iterator[Outcome]:
    if workers < 2 or len(tasks) < 2:
        yield from map(examine, tasks)
        return
    import multiprocessing

    size = max(1, min(64, len(tasks) // (4 * workers)))
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


def _windows(tasks: list[Task], size: int) -> Iterator[list[Task]]:
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


def _add(found: Audit, task: Task, outcome: Outcome, tables: Tables) -> None:
    """Enter one utterance into columns and findings."""
    measures = outcome.measures
    seconds = measures.seconds if measures else math.nan
    text = tables["text"].get(task.utt, "") if "text" in tables else None
    row = derived(seconds, text)
    row.update({name: float(getattr(measures, name, math.nan)) for name in MEASURED})
    for name, column in found.columns.items():
        column.append(row[name])
    found.digests.append(int(measures.digest, 16) if measures else 0)
    for kind, message in outcome.faults:
        found.note(Finding(kind, task.utt, message))
    if text is not None and not text:
        found.note(Finding("empty_text", task.utt, "found no text"))
    for kind, badness in judge(row, found.limits):
        found.note(Finding(kind, task.utt, "", badness))
    claimed = tables.get("utt2dur", {}).get(task.utt)
    if claimed and _apart(claimed, seconds):
        found.note(
            Finding("wrong_duration", task.utt, f"found {seconds:.2f} s, utt2dur says {claimed}")
        )


def _apart(claimed: str, seconds: float) -> bool:
    try:
        return abs(float(claimed) - seconds) > max(0.1, 0.01 * seconds)
    except ValueError:
        return True


def _compare(found: Audit, tables: Tables) -> None:
    """Findings that only show beside other utterances."""
    for name, kind, unit in (
        ("rate", "mixed_rates", "Hz"),
        ("channels", "mixed_channels", "channels"),
    ):
        known = Counter(v for v in found.columns[name] if not math.isnan(v))
        usual = known.most_common(1)[0][0] if known else math.nan
        for utt, value in zip(found.utts, found.columns[name], strict=True):
            if not math.isnan(value) and value != usual:
                message = f"found {value:g} {unit}, most have {usual:g}"
                found.note(Finding(kind, utt, message))
    first: dict[int, str] = {}
    for utt, digest in zip(found.utts, found.digests, strict=True):
        if digest and first.setdefault(digest, utt) != utt:
            found.note(Finding("same_audio", utt, f"the samples of {first[digest]}"))
    del first
    _same_texts(found, tables)


def _same_texts(found: Audit, tables: Mapping[str, Mapping[str, str]]) -> None:
    speakers = tables.get("utt2spk", {})
    said: dict[int, str] = {}
    for utt in found.utts:
        text = tables.get("text", {}).get(utt)
        if text and utt in speakers:
            other = said.setdefault(hash((speakers[utt], text)), utt)
            if other != utt:
                found.note(Finding("same_text", utt, f"as in {other}: {text[:80]}"))
