"""Scoring what a recogniser wrote: words, characters, tokens; trn files, reports, tables.

The conventions are those of ESPnet's recipes: WER on words, CER on characters with `<space>` as one
of them, TER on the model's own tokens; non-linguistic symbols are removed for WER and CER.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.bootstrap import Interval, ratio_interval
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.tables import markdown, match_keys
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


@dataclass(frozen=True)
class SetScore:
    """One error rate of one set."""

    kind: str  # wer, cer or ter
    dataset: str
    counts: Counts
    interval: Interval | None  # 95 % of the error rate, percent
    missing: int  # utterances without a hypothesis
    speakers: dict[str, Counts]

    def row(self, prefix: str = "") -> tuple[object, ...]:
        """The line of ESPnet's table: numbers of sentences and tokens, then percentages."""
        c = self.counts
        parts = (c.correct, c.substitutions, c.deletions, c.insertions)
        rates = [100.0 * part / c.words if c.words else None for part in parts]
        name = prefix + self.dataset
        return (name, c.sentences, c.words, *rates, c.error_rate, c.sentence_error_rate)

    def as_dict(self) -> dict[str, Any]:
        return {
            **_numbers(self.counts),
            "interval_95": self.interval,
            "missing": self.missing,
            "speakers": {name: _numbers(counts) for name, counts in self.speakers.items()},
        }


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


def score_set(ref_dir: str | Path, hyp_dir: str | Path, config: ScoreConfig) -> list[SetScore]:
    """Score one set and write `score_wer/`, `score_cer/` (and `score_ter/`) below `hyp_dir`.

    Args:
        ref_dir: data directory with `text` and, if there, `utt2spk`.
        hyp_dir: directory with `text`, what was recognised.
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
    speakers = read_table(ref_dir / "utt2spk") if (ref_dir / "utt2spk").is_file() else {}
    scores = []
    for kind, split in splitters(config).items():
        aligned = {
            utt: align(split(refs[utt]), split(hyps[utt]), config.case_sensitive) for utt in refs
        }
        counts = [a.counts for a in aligned.values()]
        interval = _interval(counts, config)
        score = SetScore(
            kind, hyp_dir.name, total(counts), interval, len(missing), by_speaker(aligned, speakers)
        )
        write_report(hyp_dir / f"score_{kind}", aligned, speakers, score, config)
        scores.append(score)
    return scores


def _interval(counts: Sequence[Counts], config: ScoreConfig) -> Interval | None:
    errors, words = [100.0 * c.errors for c in counts], [float(c.words) for c in counts]
    return ratio_interval(errors, words, config.samples, seed=config.seed)


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


def table(scores: Sequence[SetScore], name: str) -> str:
    """ESPnet's tables, one a kind: `### WER` and so on."""
    parts = []
    for kind in dict.fromkeys(score.kind for score in scores):
        rows = [score.row(f"{name}/") for score in scores if score.kind == kind]
        parts.append(f"### {kind.upper()}\n\n{markdown(HEADER, rows)}")
    return "\n".join(parts)


def write_results(directory: str | Path, scores: Sequence[SetScore], source: Provenance) -> str:
    """Write `scores.json` and `RESULTS.md` to a decode directory; returns the tables."""
    directory = Path(directory)
    sets: dict[str, dict[str, Any]] = {}
    for score in scores:
        sets.setdefault(score.dataset, {})[score.kind] = score.as_dict()
    write_json(directory / "scores.json", {**source.as_dict(), "task": "asr", "sets": sets})
    tables = table(scores, directory.name)
    head = f"# RESULTS\n\n## Environment\n\n{source.as_markdown()}\n\n## {directory}\n\n"
    write_text(directory / "RESULTS.md", head + tables)
    return tables
