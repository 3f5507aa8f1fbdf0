"""One table of a recogniser under many conditions: error rates, and how much worse than the recordings as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.asr import ScoreConfig, splitters
from espnet_ext.metrics.bootstrap import Interval, improvement, ratio_interval
from espnet_ext.metrics.groups import speakers_of
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.tables import markdown, match_keys
from espnet_ext.metrics.timing import timing
from espnet_ext.metrics.wer import Alignment, Counts, align, fold, total

CLEAN = "clean"
Aligned = dict[str, Alignment]


@dataclass(frozen=True)
class Result:
    """A test set under one condition.

    Attributes:
        condition: its name; "clean": the recordings as they are.
        kind: of condition: "noise", "telephone", ..., "selection", "clean".
        what: in words.
        words: counts in words.
        cer: error rate in characters, percent; None if there is none.
        interval: 95 % of the WER, percent.
        more: WER less that of the clean set, in points; None for the clean set or where there is no WER.
        more_interval: 95 % of that, on the same utterances; None where these are not the same.
        factor: WER over that of the clean set; None likewise, or if that is 0.
        missing: utterances without a hypothesis.
        terms, terms_right: words that a selection was made for, and how many of them were recognised, if it was.
        rtf: median real-time factor; None where the decoder did not say.
    """

    condition: str
    kind: str
    what: str
    words: Counts
    cer: float | None
    interval: Interval | None
    more: float | None = None
    more_interval: Interval | None = None
    factor: float | None = None
    missing: int = 0
    terms: int | None = None
    terms_right: int | None = None
    rtf: float | None = None

    @property
    def wer(self) -> float | None:
        return self.words.error_rate

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "wer": self.wer,
            "sentence_error_rate": self.words.sentence_error_rate,
        }


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        suites: what make_suite wrote: data directories SET-CONDITION with suite.json.
        decoded: what was recognised there, SET-CONDITION/text.
        clean_ref, clean: data directories and decoding of the test sets themselves.
        conditions: those to score, beside all selections; none: those that were decoded.
    """

    suites: Path
    decoded: Path
    clean_ref: Path
    clean: Path
    conditions: tuple[str, ...] = ()


def score_suites(
    places: Places, sets: Sequence[str], config: ScoreConfig
) -> dict[str, list[Result]]:
    """Score all conditions of some test sets; selections are scored by what was recognised in the whole set.

    Args:
        places: see Places.
        sets: names of the test sets; all that have a suite if none is named.
        config: how to score.

    Returns:
        set -> the clean result, then the others in the order of their kinds.

    Raises:
        UserError: if a set has no suite or lacks a condition, was not decoded, or a hypothesis has no reference.
    """
    known = _suites(places.suites)
    if not known:
        raise UserError(f"{places.suites}: found no */suite.json, expected suites: run make_suite")
    lost = sorted(set(sets) - {record["set"] for record in known.values()})
    if lost:
        raise UserError(
            f"{places.suites}: found no suite of {lost[0]}, expected one: run make_suite on it"
        )
    names = list(sets) or sorted({record["set"] for record in known.values()})
    made = {(record["set"], record["condition"]) for record in known.values()}
    for name, wanted in product(names, places.conditions):
        if (name, wanted) not in made:
            raise UserError(
                f"{places.suites}: found no {name}-{wanted}, expected that condition of --conditions: run make_suite "
                "with it"
            )
    return {name: _score_set(name, places, known, config) for name in names}


def _suites(directory: Path) -> dict[Path, dict[str, Any]]:
    found = sorted(directory.glob("*/suite.json"))
    return {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in found}


def _score_set(
    name: str, places: Places, known: Mapping[Path, dict[str, Any]], config: ScoreConfig
) -> list[Result]:
    clean_ref, clean_hyp = places.clean_ref / name, places.clean / name
    cut = splitters(config)
    hyps = _hypotheses(clean_hyp)
    whole = {kind: _align(clean_ref, hyps, split, config) for kind, split in cut.items()}
    first = _result(
        CLEAN, CLEAN, "the recordings as they are", whole, hyps, config, clean_ref, clean_hyp
    )
    found = [first]
    for folder, record in known.items():
        if record["set"] != name:
            continue
        selection = record["kind"] == "selection"
        hyp_dir = clean_hyp if selection else places.decoded / folder.name
        if not selection and not _wanted(record["condition"], hyp_dir, places):
            continue
        here = hyps if selection else _hypotheses(hyp_dir)
        aligned = {kind: _align(folder, here, split, config) for kind, split in cut.items()}
        about = (record["condition"], record["kind"], record["what"])
        result = _result(*about, aligned, here, config, folder, hyp_dir)
        found.append(_beside(result, aligned["wer"], first, whole["wer"], clean_ref, config))
    return [first, *sorted(found[1:], key=_order)]


def _wanted(condition: str, hyp_dir: Path, places: Places) -> bool:
    """Whether a condition was asked for or, where none was, is decoded."""
    if places.conditions:
        return condition in places.conditions
    return (hyp_dir / "text").is_file()


def _order(result: Result) -> tuple[int, str, float, str]:
    """Conditions of a kind together, the mildest first; selections last."""
    head, _, tail = result.condition.rpartition("_")
    try:
        value = float(tail.rstrip("dbspc"))
    except ValueError:
        head, value = result.condition, 0.0
    decibels = tail.endswith("db")
    return int(result.kind == "selection"), head, -value if decibels else value, result.condition


def _hypotheses(directory: Path) -> dict[str, str]:
    path = directory / "text"
    if not path.is_file():
        raise UserError(
            f"{path}: not found, expected what was recognised: decode {directory.name} first"
        )
    return read_table(path, empty=True)


def _align(ref_dir: Path, hyps: Mapping[str, str], split: Any, config: ScoreConfig) -> Aligned:
    refs = read_table(ref_dir / "text", empty=True)
    return {
        u: align(split(t), split(hyps.get(u, "")), config.case_sensitive) for u, t in refs.items()
    }


def _result(
    name: str,
    kind: str,
    what: str,
    aligned: Mapping[str, Aligned],
    hyps: Mapping[str, str],
    config: ScoreConfig,
    ref_dir: Path,
    hyp_dir: Path,
) -> Result:
    words = aligned["wer"]
    if kind != "selection":
        match_keys(words, hyps, hyp_dir / "text")
    counts = [a.counts for a in words.values()]
    errors = [100.0 * c.errors for c in counts]
    interval = ratio_interval(
        errors,
        [c.words for c in counts],
        config.samples,
        seed=config.seed,
        blocks=_blocks(words, ref_dir, config),
    )
    terms = _terms(ref_dir, words)
    speed = timing(ref_dir, hyp_dir) if kind != "selection" else None
    return Result(
        name,
        kind,
        what,
        total(counts),
        total(a.counts for a in aligned["cer"].values()).error_rate,
        interval,
        missing=sum(utt not in hyps for utt in words),
        terms=terms and terms[0],
        terms_right=terms and terms[1],
        rtf=speed["rtf"]["p50"] if speed else None,
    )


def _blocks(utterances: Iterable[str], ref_dir: Path, config: ScoreConfig) -> list[str] | None:
    """What the bootstrap draws whole."""
    if config.blocks != "speaker":
        return None
    speakers = speakers_of(ref_dir)
    return [speakers.get(utt, utt) for utt in utterances]


def _terms(ref_dir: Path, aligned: Aligned) -> tuple[int, int] | None:
    """How many words of `utt2terms` were said, and how many of these recognised."""
    path = ref_dir / "utt2terms"
    if not path.is_file():
        return None
    said = right = 0
    for utt, line in read_table(path).items():
        wanted = {fold(word) for word in line.split()}
        columns = (
            [c for c in aligned[utt].columns() if fold(c[1]) in wanted] if utt in aligned else []
        )
        said += len(columns)
        right += sum(op == "C" for op, _, _ in columns)
    return said, right


def _beside(
    result: Result,
    aligned: Aligned,
    clean: Result,
    whole: Aligned,
    ref_dir: Path,
    config: ScoreConfig,
) -> Result:
    """With what it is worse than the clean set."""
    if result.wer is None or clean.wer is None:
        return result
    interval = None
    if aligned.keys() == whole.keys():
        both = [(aligned[u].counts, whole[u].counts) for u in whole]
        sure = improvement(
            [100.0 * a.errors for a, _ in both],
            [100.0 * b.errors for _, b in both],
            [float(b.words) for _, b in both],
            config.samples,
            seed=config.seed,
            blocks=_blocks(whole, ref_dir, config),
        )
        interval = sure.interval if sure else None
    factor = result.wer / clean.wer if clean.wer else None
    more = {"more": result.wer - clean.wer, "more_interval": interval, "factor": factor}
    return Result(**{**vars(result), **more})


HEADER = (
    "condition",
    "what",
    "Snt",
    "Wrd",
    "WER",
    "95 %",
    "CER",
    "S.Err",
    "more than clean",
    "times clean",
    "words sought",
)


def suite_table(results: Sequence[Result]) -> str:
    """The table "condition x WER"."""
    rows = []
    for r in results:
        sought = None if r.terms is None else f"{r.terms_right} of {r.terms} right"
        around = f"{r.interval[0]:.1f} to {r.interval[1]:.1f}" if r.interval else None
        more = None if r.more is None else f"{r.more:+.1f}{_within(r.more_interval)}"
        times = None if r.factor is None else f"{r.factor:.2f}"
        size = (r.words.sentences, r.words.words)
        sentences = r.words.sentence_error_rate
        rows.append(
            (r.condition, r.what, *size, r.wer, around, r.cer, sentences, more, times, sought)
        )
    return markdown(HEADER, rows)


def _within(interval: Interval | None) -> str:
    return f" ({interval[0]:.1f} to {interval[1]:.1f})" if interval else ""


def mean_wer(results: Sequence[Result]) -> tuple[float, int] | None:
    """Mean WER over the conditions of sound (no selections, not the clean set), and how many; None if there is none."""
    found = [r.wer for r in results if r.kind not in (CLEAN, "selection") and r.wer is not None]
    return (sum(found) / len(found), len(found)) if found else None


def _told(name: str, results: Sequence[Result]) -> str:
    mean = mean_wer(results)
    line = f"\nMean WER over {mean[1]} conditions of sound: {mean[0]:.1f} %.\n" if mean else ""
    return f"### {name}\n\n{suite_table(results)}{line}"


def write_suites(directory: Path, found: Mapping[str, Sequence[Result]], source: Provenance) -> str:
    """Write `scores.json` and `RESULTS.md`; returns the tables."""
    sets = {name: [r.as_dict() for r in results] for name, results in found.items()}
    means = {name: mean[0] for name, results in found.items() if (mean := mean_wer(results))}
    record = {**source.as_dict(), "task": "asr_suites", "mean_wer": means, "suites": sets}
    write_json(directory / "scores.json", record)
    tables = "\n".join(_told(name, results) for name, results in found.items())
    head = f"# RESULTS\n\n## Environment\n\n{source.as_markdown()}\n\n## {directory}\n\n"
    write_text(directory / "RESULTS.md", head + tables)
    return tables
