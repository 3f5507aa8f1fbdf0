"""Look through a data directory: its tables, every utterance's audio and text, and who is heard."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from espnet_ext.audio.measures import Measures
from espnet_ext.datadir.check import check
from espnet_ext.datadir.stream import Follower, rows_however_broken
from espnet_ext.datadir.tables import Segment, is_table, parse_segment
from espnet_ext.errors import UserError
from espnet_ext.progress import progress
from espnet_ext.quality.examine import Outcome, Task, examine_all
from espnet_ext.quality.findings import KINDS, Limits, Policy, judge
from espnet_ext.quality.representation import Rows, Spread, represented
from espnet_ext.quality.rules import derived

MEASURED = tuple(f.name for f in fields(Measures) if f.name not in ("seconds", "digest"))
COLUMNS = ("seconds", "chars", "words", "cps", *MEASURED)
#: So many findings of a kind keep their message; all are counted, and all are in the table.
KEPT = 200
_BIT = {kind: bit for bit, kind in enumerate(KINDS)}


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
        problems: of each utterance, one bit for each of KINDS.
        spreads: what -> how time is spread over speakers, genders, ...
        policy: which kinds are refused.
        limits: what was looked for.
        places: utterance -> its row and its task, of those that the findings name.
    """

    directory: Path
    utts: list[str]
    policy: Policy
    limits: Limits
    columns: dict[str, array[float]] = field(default_factory=dict)
    digests: array[int] = field(default_factory=lambda: array("Q"))
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    problems: array[int] = field(default_factory=lambda: array("Q"))
    spreads: dict[str, Spread] = field(default_factory=dict)
    places: dict[str, tuple[int, Task]] = field(default_factory=dict)

    def note(self, finding: Finding, row: int | None = None) -> None:
        """Count a finding, of the utterance in a row if it is of one, and keep it while there is room."""
        self.counts[finding.kind] += 1
        kept = self.findings.setdefault(finding.kind, [])
        kept.append(finding)
        if len(kept) >= 2 * KEPT:
            self._thin(kept)
        if row is not None:
            self.problems[row] |= 1 << _BIT[finding.kind]

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

    def kinds(self, index: int) -> list[str]:
        """What was found of one utterance."""
        return [kind for kind in KINDS if self.problems[index] >> _BIT[kind] & 1]

    def lengths(self) -> Iterator[tuple[str, float]]:
        """Seconds of every utterance that could be read."""
        pairs = zip(self.utts, self.columns["seconds"], strict=True)
        return ((utt, seconds) for utt, seconds in pairs if not math.isnan(seconds))

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
    utts = [task.utt for task in _tasks(directory, tables)]
    found = Audit(directory, utts, policy or Policy(), limits or Limits())
    for problem in check(directory, text=text):
        found.note(Finding("table", "", problem))
    found.columns = {name: array("d") for name in COLUMNS}
    outcomes = examine_all(_tasks(directory, tables), len(utts), workers)
    words = _add_all(found, tables, progress(outcomes, len(utts), f"audit {directory}"))
    _compare(found)
    _same_texts(found, tables, words)
    found.spreads = represented(tables, found.lengths)
    found.finish()
    named = {f.utt for findings in found.findings.values() for f in findings}
    every = enumerate(_tasks(directory, tables))
    found.places = {task.utt: (row, task) for row, task in every if task.utt in named}
    return found


def _tables(directory: Path) -> dict[str, Rows]:
    """What can be read of them; `check` says what is wrong with the rest."""
    if not directory.is_dir():
        raise UserError(
            f"{directory}: no such directory, expected a data directory: check the path"
        )
    tables: dict[str, Rows] = {}
    for path in sorted(p for p in directory.iterdir() if is_table(p)):
        try:
            tables[path.name] = rows_however_broken(path, empty=path.name == "text")
        except UserError:
            continue
    return tables


def _follow(tables: Mapping[str, Rows], name: str) -> Callable[[str], str | None]:
    """What finds the values of ascending utterances."""
    return Follower(tables[name]() if name in tables else ()).get


def _tasks(directory: Path, tables: Mapping[str, Rows]) -> Iterator[Task]:
    """Every utterance, ascending; of `segments` the recordings are held."""
    scp = tables.get("wav.scp", tuple)
    if next(iter(scp()), None) is None:
        raise UserError(
            f"{directory}/wav.scp: found no line `id path` in UTF-8, expected the audio to look "
            "through: run stage 1 first"
        )
    length = _follow(tables, "utt2num_samples")
    if "segments" not in tables:
        for utt, entry in scp():
            yield Task(utt, entry, 0.0, None, length(utt) or "")
        return
    entries = dict(scp())
    for utt, value in tables["segments"]():
        # A broken line has the recording "", which nobody has.
        recording, start, end = parse_segment(value) or Segment("", 0.0, None)
        yield Task(utt, entries.get(recording, ""), start, end, length(utt) or "")


def _add_all(found: Audit, tables: Mapping[str, Rows], outcomes: Iterable[Outcome]) -> array[int]:
    """Enter all utterances; returns a hash of who says what in each, 0 where that is not known."""
    text_of, claimed_of, speaker_of = (
        _follow(tables, name) for name in ("text", "utt2dur", "utt2spk")
    )
    words = array("q")
    for utt, outcome in zip(found.utts, outcomes, strict=True):
        text = (text_of(utt) or "") if "text" in tables else None
        speaker = speaker_of(utt)
        words.append(hash((speaker, text)) if speaker and text else 0)
        _add(found, utt, outcome, text, claimed_of(utt))
    return words


def _add(found: Audit, utt: str, outcome: Outcome, text: str | None, claimed: str | None) -> None:
    """Enter one utterance into columns and findings; `claimed` is its length as utt2dur has it."""
    measures, index = outcome.measures, len(found.problems)
    seconds = measures.seconds if measures else math.nan
    row = derived(seconds, text)
    row.update({name: float(getattr(measures, name, math.nan)) for name in MEASURED})
    for name, column in found.columns.items():
        column.append(row[name])
    found.digests.append(int(measures.digest, 16) if measures else 0)
    found.problems.append(0)
    for kind, message in outcome.faults:
        found.note(Finding(kind, utt, message), index)
    if text is not None and not text:
        found.note(Finding("empty_text", utt, "found no text"), index)
    for kind, badness in judge(row, found.limits):
        found.note(Finding(kind, utt, "", badness), index)
    if claimed and _apart(claimed, seconds):
        message = f"found {seconds:.2f} s, utt2dur says {claimed}"
        found.note(Finding("wrong_duration", utt, message), index)


def _apart(claimed: str, seconds: float) -> bool:
    try:
        return abs(float(claimed) - seconds) > max(0.1, 0.01 * seconds)
    except ValueError:
        return True


def _compare(found: Audit) -> None:
    """Findings that only show beside other utterances."""
    for name, kind, unit in (
        ("rate", "mixed_rates", "Hz"),
        ("channels", "mixed_channels", "channels"),
    ):
        known = Counter(v for v in found.columns[name] if not math.isnan(v))
        usual = known.most_common(1)[0][0] if known else math.nan
        for index, value in enumerate(found.columns[name]):
            if not math.isnan(value) and value != usual:
                message = f"found {value:g} {unit}, most have {usual:g}"
                found.note(Finding(kind, found.utts[index], message), index)
    for index, first in _again(found.digests):
        message = f"the samples of {found.utts[first]}"
        found.note(Finding("same_audio", found.utts[index], message), index)


def _same_texts(found: Audit, tables: Mapping[str, Rows], words: array[int]) -> None:
    text_of = _follow(tables, "text")
    for index, first in _again(words):
        utt = found.utts[index]
        message = f"as in {found.utts[first]}: {(text_of(utt) or '')[:80]}"
        found.note(Finding("same_text", utt, message), index)


def _again(values: array[int]) -> Iterator[tuple[int, int]]:
    """(index, index of the first) of every value but 0 that was there before, ascending.

    >>> list(_again(array("q", [5, 0, 7, 5, 0, 5])))
    [(3, 0), (5, 0)]
    """
    import numpy as np

    every = np.asarray(values)
    _, first, group = np.unique(every, return_index=True, return_inverse=True)
    for index in np.flatnonzero((first[group] != np.arange(len(every))) & (every != 0)):
        yield int(index), int(first[group[index]])
