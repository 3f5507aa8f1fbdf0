"""Scoring what a recogniser wrote: words, characters, tokens; trn files, reports, tables.

The conventions are those of ESPnet's recipes: WER on words, CER on characters with `<space>` as one
of them, TER on the model's own tokens; non-linguistic symbols are removed for WER and CER.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_text
from espnet_ext.metrics.bootstrap import Interval, ratio_interval
from espnet_ext.metrics.calibration import calibration_of
from espnet_ext.metrics.confusion import summary
from espnet_ext.metrics.groups import Groups, group_key, groupings, speakers_of
from espnet_ext.metrics.tables import markdown, match_keys
from espnet_ext.metrics.timing import timing
from espnet_ext.metrics.trn import find_sclite, run_sclite, write_trn
from espnet_ext.metrics.wer import Alignment, Counts, align, by_speaker, pretty, total
from espnet_ext.text.cleaners import make_cleaner
from espnet_ext.text.tokens import CharTokenizer, TextPipeline

Split = Callable[[str], list[str]]
HEADER = ("dataset", "Snt", "Wrd", "Corr", "Sub", "Del", "Ins", "Err", "S.Err")


@dataclass(frozen=True)
class ScoreConfig:
    """How to score."""

    cleaner: str | None = None  # applied to references and hypotheses for WER and CER
    nlsyms: tuple[str, ...] = ()  # symbols removed for WER and CER, e.g. <noise>
    token_dir: str | None = None  # directory of train_tokens: adds the token error rate
    case_sensitive: bool = False  # sclite ignores the case of ASCII letters unless told
    sclite: bool = True  # let sclite write result.txt where it is installed
    samples: int = 1000  # draws of the bootstrap
    seed: int = 0  # of the bootstrap
    blocks: str = (
        "utterance"  # what the bootstrap draws: "utterance", or "speaker" for whole speakers
    )
    by: tuple[Path, ...] = ()  # more tables of utterance (or speaker) and group


@dataclass(frozen=True)
class Group:
    """Utterances that have something in common."""

    counts: Counts
    interval: Interval | None  # 95 % of the error rate, percent

    def as_dict(self) -> dict[str, Any]:
        return {**_numbers(self.counts), "interval_95": self.interval}


@dataclass(frozen=True)
class SetScore:
    """One error rate of one set."""

    kind: str  # wer, cer or ter
    dataset: str
    counts: Counts
    interval: Interval | None  # 95 % of the error rate, percent
    missing: int  # utterances without a hypothesis
    speakers: dict[str, Counts]
    groups: dict[str, dict[str, Group]] = field(default_factory=dict)  # "gender" -> "f" -> ...
    mistakes: dict[str, Any] = field(default_factory=dict)  # see confusion.summary; of wer alone

    def row(self, prefix: str = "") -> tuple[object, ...]:
        """The line of ESPnet's table: numbers of sentences and tokens, then percentages."""
        return count_row(prefix + self.dataset, self.counts)

    def as_dict(self) -> dict[str, Any]:
        groups = {
            way: {g: s.as_dict() for g, s in found.items()} for way, found in self.groups.items()
        }
        return {
            **_numbers(self.counts),
            "interval_95": self.interval,
            "missing": self.missing,
            "speakers": {name: _numbers(counts) for name, counts in self.speakers.items()},
            "groups": groups,
            **({"mistakes": self.mistakes} if self.mistakes else {}),
        }


@dataclass(frozen=True)
class Scored:
    """All that is known of a decoded set; the last two are None where the decoder wrote nothing about it."""

    dataset: str
    scores: list[SetScore]
    timing: dict[str, Any] | None  # see timing.timing
    calibration: dict[str, Any] | None  # see calibration.Calibration


def count_row(name: str, c: Counts) -> tuple[object, ...]:
    """A line of ESPnet's table."""
    parts = (c.correct, c.substitutions, c.deletions, c.insertions)
    rates = [100.0 * part / c.words if c.words else None for part in parts]
    return (name, c.sentences, c.words, *rates, c.error_rate, c.sentence_error_rate)


def _numbers(counts: Counts) -> dict[str, Any]:
    return {
        **vars(counts),
        "error_rate": counts.error_rate,
        "sentence_error_rate": counts.sentence_error_rate,
    }


def split_words(text: str, nlsyms: Sequence[str] = ()) -> list[str]:
    """Words, without non-linguistic symbols."""
    return [word for word in text.split() if word not in nlsyms]


def split_chars(text: str, nlsyms: Sequence[str] = ()) -> list[str]:
    """Characters with `<space>`, no non-linguistic symbols.

    White space is made single first; as in ESPnet, a symbol that goes leaves the spaces around it.
    """
    tokens = CharTokenizer(nlsyms).split(" ".join(text.split()))
    return [token for token in tokens if token not in nlsyms]


def splitters(config: ScoreConfig) -> dict[str, Split]:
    """Kind of error rate -> what cuts a sentence for it."""
    clean = make_cleaner(config.cleaner)

    def cut(split: Callable[[str, Sequence[str]], list[str]], text: str) -> list[str]:
        return split(clean(text), config.nlsyms)

    found: dict[str, Split] = {"wer": partial(cut, split_words), "cer": partial(cut, split_chars)}
    if config.token_dir:
        found["ter"] = TextPipeline.from_dir(config.token_dir).tokens
    return found


def read_pair(ref_dir: Path, hyp_dir: Path) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """References, hypotheses ("" where missing) and the utterances whose hypothesis is missing.

    Raises:
        UserError: if a table is missing or broken, or a hypothesis has no reference.
    """
    refs, hyps = (read_table(d / "text", empty=True) for d in (ref_dir, hyp_dir))
    expected, missing = match_keys(refs, hyps, hyp_dir / "text")
    if len(missing) == len(expected):
        raise UserError(f"{hyp_dir / 'text'}: no hypothesis at all; decode {hyp_dir.name} first")
    return refs, {key: hyps.get(key, "") for key in expected}, missing


def score_set(ref_dir: str | Path, hyp_dir: str | Path, config: ScoreConfig) -> Scored:
    """Score one set and write `score_wer/`, `score_cer/` (and `score_ter/`) below `hyp_dir`.

    Args:
        ref_dir: data directory with `text` and, if there, `utt2spk`, `spk2gender`, `utt2dur`, ...
        hyp_dir: directory with `text`, what was recognised; and, if there, `rtf` and `confidence`.
        config: how to score.

    Raises:
        UserError: if a table is missing or broken, or a hypothesis has no reference.
    """
    ref_dir, hyp_dir = Path(ref_dir), Path(hyp_dir)
    refs, hyps, missing = read_pair(ref_dir, hyp_dir)
    if missing:
        print(
            f"warning: {hyp_dir / 'text'}: {len(missing)} of {len(refs)} utterances have no "
            f"hypothesis and count as deleted, the first is {missing[0]}",
            file=sys.stderr,
        )
    every = {
        kind: {u: align(split(refs[u]), split(hyps[u]), config.case_sensitive) for u in refs}
        for kind, split in splitters(config).items()
    }
    words = {utt: len(a.ref) for utt, a in every["wer"].items()}
    ways, speakers = groupings(ref_dir, words, config.by), speakers_of(ref_dir)
    scores = []
    for kind, aligned in every.items():
        score = _score(kind, hyp_dir.name, aligned, speakers, ways, len(missing), config)
        write_report(hyp_dir / f"score_{kind}", aligned, speakers, score, config)
        scores.append(score)
    sure = calibration_of(hyp_dir, every["wer"])
    return Scored(hyp_dir.name, scores, timing(ref_dir, hyp_dir), sure.as_dict() if sure else None)


def _score(
    kind: str,
    dataset: str,
    aligned: Mapping[str, Alignment],
    speakers: Groups,
    ways: Mapping[str, Groups],
    missing: int,
    config: ScoreConfig,
) -> SetScore:
    counts = {utt: a.counts for utt, a in aligned.items()}
    return SetScore(
        kind,
        dataset,
        total(counts.values()),
        _interval(counts, speakers, config),
        missing,
        by_speaker(aligned, speakers),
        {way: _divide(counts, groups, speakers, config) for way, groups in ways.items()},
        summary(aligned.values()) if kind == "wer" else {},
    )


def _divide(
    counts: Mapping[str, Counts], groups: Groups, speakers: Groups, config: ScoreConfig
) -> dict[str, Group]:
    parts: dict[str, dict[str, Counts]] = {}
    for utt, group in groups.items():
        parts.setdefault(group, {})[utt] = counts[utt]
    return {
        group: Group(total(part.values()), _interval(part, speakers, config))
        for group, part in sorted(parts.items(), key=lambda item: group_key(item[0]))
    }


def _interval(
    counts: Mapping[str, Counts], speakers: Groups, config: ScoreConfig
) -> Interval | None:
    errors = [100.0 * c.errors for c in counts.values()]
    words = [float(c.words) for c in counts.values()]
    blocks = [speakers.get(u, u) for u in counts] if config.blocks == "speaker" else None
    return ratio_interval(errors, words, config.samples, seed=config.seed, blocks=blocks)


def write_report(
    directory: Path,
    aligned: Mapping[str, Alignment],
    speakers: Mapping[str, str],
    score: SetScore,
    config: ScoreConfig,
) -> None:
    """Write ref.trn, hyp.trn, result.txt (sclite's, else ours), aligned.txt, utterances.tsv."""
    write_trn(directory / "ref.trn", {u: a.ref for u, a in aligned.items()}, speakers)
    write_trn(directory / "hyp.trn", {u: a.hyp for u, a in aligned.items()}, speakers)
    write_text(directory / "aligned.txt", _aligned(aligned))
    write_text(directory / "utterances.tsv", _utterances(aligned))
    sclite = find_sclite() if config.sclite else None
    if sclite:
        report = run_sclite(
            sclite, directory / "ref.trn", directory / "hyp.trn", config.case_sensitive
        )
    else:
        report = markdown(HEADER, [score.row()]) + "\n" + _aligned(aligned)
    write_text(directory / "result.txt", report)


def _aligned(aligned: Mapping[str, Alignment]) -> str:
    """What a person reads: every utterance with its counts and its aligned lines."""
    blocks = []
    for utterance, alignment in aligned.items():
        c = alignment.counts
        scores = f"({c.correct} {c.substitutions} {c.deletions} {c.insertions})"
        blocks.append(f"{utterance} (#C #S #D #I) {scores}\n{pretty(alignment)}\n")
    return "\n".join(blocks)


def _utterances(aligned: Mapping[str, Alignment]) -> str:
    lines = ["utterance\twords\tcorrect\tsubstitutions\tdeletions\tinsertions"]
    for utterance, alignment in aligned.items():
        c = alignment.counts
        row = (c.words, c.correct, c.substitutions, c.deletions, c.insertions)
        lines.append("\t".join([utterance, *map(str, row)]))
    return "\n".join(lines) + "\n"
