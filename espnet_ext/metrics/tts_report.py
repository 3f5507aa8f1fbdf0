"""Scoring what a synthesiser wrote: several processes, means with intervals, tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.bootstrap import mean_interval
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.tables import markdown, match_keys
from espnet_ext.metrics.tts import METRICS, TtsScore, score_files, values
from espnet_ext.progress import progress

HEADER = (
    "dataset",
    "Snt",
    "MCD [dB]",
    "log F0 RMSE",
    "F0 corr.",
    "V/UV err. [%]",
    "duration ratio",
)
Pair = tuple[str, str, str]  # utterance, entry of the synthesised speech, entry of the recording


@dataclass(frozen=True)
class SpeechScores:
    """One set: the score of every utterance, and those that were not synthesised."""

    dataset: str
    utterances: dict[str, TtsScore]
    missing: tuple[str, ...]

    def summary(self, samples: int, seed: int) -> dict[str, Any]:
        """Mean, 95 % interval and number of utterances of every metric."""
        result: dict[str, Any] = {"sentences": len(self.utterances), "missing": len(self.missing)}
        for metric in METRICS:
            known = values(list(self.utterances.values()), metric)
            result[metric] = {
                "mean": sum(known) / len(known) if known else None,
                "interval_95": mean_interval(known, samples, seed=seed),
                "utterances": len(known),
            }
        return result


def _score(pair: Pair) -> TtsScore:
    return score_files(*pair)


def score_pairs(pairs: Sequence[Pair], nj: int = 1) -> Iterator[TtsScore]:
    """Scores in the order of the pairs, by `nj` processes."""
    if nj <= 1 or len(pairs) <= 1:
        yield from map(_score, pairs)
        return
    # spawn: a forked child of a process with threads (BLAS) may hang
    with ProcessPoolExecutor(min(nj, len(pairs)), get_context("spawn")) as pool:
        yield from pool.map(_score, pairs, chunksize=max(1, min(16, len(pairs) // (4 * nj))))


def score_set(ref_dir: str | Path, hyp_dir: str | Path, nj: int = 1) -> SpeechScores:
    """Score one set and write `score_tts/utterances.tsv` below `hyp_dir`.

    Args:
        ref_dir: data directory of the recordings, with `wav.scp`.
        hyp_dir: directory of the synthesised speech, with `wav.scp`.
        nj: number of processes.

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
    pairs = [(utt, hyps[utt], refs[utt]) for utt in expected if utt in hyps]
    scored = progress(score_pairs(pairs, nj), len(pairs), f"score {hyp_dir.name}")
    utterances = {pair[0]: score for pair, score in zip(pairs, scored, strict=True)}
    write_text(hyp_dir / "score_tts/utterances.tsv", _lines(utterances))
    return SpeechScores(hyp_dir.name, utterances, tuple(missing))


def _lines(utterances: dict[str, TtsScore]) -> str:
    rows = [["utterance", *METRICS]]
    for name, score in utterances.items():
        cells = score.as_dict().values()
        rows.append([name, *("" if cell is None else f"{cell:.4f}" for cell in cells)])
    return "".join("\t".join(row) + "\n" for row in rows)


def _cell(metric: dict[str, Any]) -> str:
    if metric["mean"] is None:
        return "-"
    low, high = metric["interval_95"]
    return f"{metric['mean']:.3f} [{low:.3f}, {high:.3f}]"


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
    rows = [
        (f"{directory.name}/{name}", found["sentences"], *(_cell(found[m]) for m in METRICS))
        for name, found in sets.items()
    ]
    table = markdown(HEADER, rows)
    note = "Means over utterances, with 95 % bootstrap intervals; see espnet_ext/metrics/tts.py."
    head = f"# RESULTS\n\n## Environment\n\n{source.as_markdown()}\n\n## {directory}\n\n"
    write_text(directory / "RESULTS.md", f"{head}{table}\n{note}\n")
    return table
