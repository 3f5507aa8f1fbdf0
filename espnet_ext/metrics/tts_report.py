"""Scoring what a synthesiser wrote: several processes, means with intervals, tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.durations import Durations, read_durations
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.speech_tables import MEASURES, cell, each, known_metrics, lines, means
from espnet_ext.metrics.tables import markdown, match_keys
from espnet_ext.metrics.tts import METRICS, TtsScore, score_files
from espnet_ext.progress import progress

# utterance, entries of the synthesised speech and of the recording, durations of their tokens
Pair = tuple[str, str, str, Durations | None]


@dataclass(frozen=True)
class SpeechScores:
    """One set: the score of every utterance, and those that were not synthesised."""

    dataset: str
    utterances: dict[str, TtsScore]
    missing: tuple[str, ...]

    def summary(self, samples: int, seed: int) -> dict[str, Any]:
        """Mean, 95 % interval and number of utterances of every metric."""
        scores = list(self.utterances.values())
        counts = {"sentences": len(scores), "missing": len(self.missing)}
        return {**counts, **means(scores, METRICS, samples, seed)}


def _score(pair: Pair) -> TtsScore:
    return score_files(*pair)


def score_set(
    ref_dir: str | Path, hyp_dir: str | Path, nj: int = 1, durations: str | Path | None = None
) -> SpeechScores:
    """Score one set and write `score_tts/utterances.tsv` below `hyp_dir`.

    Args:
        ref_dir: data directory of the recordings, with `wav.scp`.
        hyp_dir: directory of the synthesised speech, with `wav.scp`.
        nj: number of processes.
        durations: table of the frames of each token in the recordings; `ref_dir`/durations, if there is one, where
            none is named. It is compared with `hyp_dir`/durations.

    Raises:
        UserError: a table is missing or broken, an utterance is unknown, or audio is unusable.
    """
    ref_dir, hyp_dir = Path(ref_dir), Path(hyp_dir)
    refs, hyps = read_table(ref_dir / "wav.scp"), read_table(hyp_dir / "wav.scp")
    expected, missing = match_keys(refs, hyps, hyp_dir / "wav.scp")
    if len(missing) == len(expected):
        raise UserError(f"{hyp_dir}: no speech at all; synthesise the set first")
    if missing:
        print(
            f"warning: {hyp_dir / 'wav.scp'}: {len(missing)} of {len(refs)} utterances were not "
            f"synthesised and are left out, the first is {missing[0]}",
            file=sys.stderr,
        )
    timing = _durations(
        hyp_dir / "durations", Path(durations or ref_dir / "durations"), bool(durations)
    )
    pairs = [(utt, hyps[utt], refs[utt], timing.get(utt)) for utt in expected if utt in hyps]
    scored = progress(each(_score, pairs, nj), len(pairs), f"score {hyp_dir.name}")
    utterances = {pair[0]: score for pair, score in zip(pairs, scored, strict=True)}
    write_text(hyp_dir / "score_tts/utterances.tsv", lines(utterances, METRICS))
    return SpeechScores(hyp_dir.name, utterances, tuple(missing))


def _durations(hyp: Path, ref: Path, wanted: bool) -> dict[str, Durations]:
    """Durations of the utterances that both tables have; none where a table is missing, unless they are wanted."""
    if not wanted and not (hyp.is_file() and ref.is_file()):
        return {}
    made, real = read_table(hyp), read_table(ref)
    both = {
        utt: Durations(read_durations(made[utt]), read_durations(real[utt]))
        for utt in made
        if utt in real
    }
    other = [utt for utt, found in both.items() if not found.usable()]
    if other:
        print(
            f"warning: {ref}: {len(other)} of {len(both)} utterances have other tokens than {hyp}, or none; their "
            f"durations are not compared, the first is {other[0]}",
            file=sys.stderr,
        )
    return both


def write_results(
    directory: str | Path,
    scores: Sequence[SpeechScores],
    source: Provenance,
    samples: int = 1000,
    seed: int = 0,
) -> str:
    """Write `scores.json` and `RESULTS.md` to a synthesis directory; returns the table."""
    directory = Path(directory)
    sets = {score.dataset: score.summary(samples, seed) for score in scores}
    write_json(directory / "scores.json", {**source.as_dict(), "task": "tts", "sets": sets})
    shown = known_metrics(list(sets.values()), METRICS)
    rows = [
        (f"{directory.name}/{name}", found["sentences"], *(cell(found[m]) for m in shown))
        for name, found in sets.items()
    ]
    table = markdown(("dataset", "Snt", *(MEASURES[m].head for m in shown)), rows)
    note = "Means over utterances, with 95 % bootstrap intervals; see espnet_ext/metrics/tts.py."
    head = f"# RESULTS\n\n## Environment\n\n{source.as_markdown()}\n\n## {directory}\n\n"
    write_text(directory / "RESULTS.md", f"{head}{table}\n{note}\n")
    return table
