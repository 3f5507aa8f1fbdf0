"""Scoring what a vocoder wrote, beside Griffin-Lim: several processes, means with intervals, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.beside import GRIFFIN_LIM, RECORDING
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.speech_tables import MEASURES, cell, each, left_out, lines, means
from espnet_ext.metrics.tables import markdown, match_keys
from espnet_ext.metrics.vocoder import METRICS, VocoderScore, ideal, score_files
from espnet_ext.progress import progress

Pair = tuple[str, str, str]  # utterance, entry of what was made, entry of the recording


@dataclass(frozen=True)
class SetScores:
    """One set: its name and the score of every utterance."""

    name: str
    utterances: dict[str, VocoderScore]

    def summary(self, samples: int, seed: int) -> dict[str, Any]:
        """Mean, 95 % interval and number of utterances of every metric."""
        scores = list(self.utterances.values())
        return {"sentences": len(scores), **means(scores, METRICS, samples, seed)}


def _score(pair: Pair) -> VocoderScore:
    return score_files(*pair)


def score_sets(ref: Path, hyp: Path, sets: Sequence[str], nj: int = 1) -> list[SetScores]:
    """Score sets, what Griffin-Lim made of them where it did, and the recordings, which are ideal by definition.

    Args:
        ref: directory of the sets' data directories.
        hyp: made by vocode.
        sets: their names.
        nj: number of processes.

    Raises:
        UserError: a table is missing or broken, utterances differ, or audio is unusable.
    """
    found = []
    for name in sets:
        for place in (name, f"{GRIFFIN_LIM}/{name}"):
            if place == name or (hyp / place / "wav.scp").is_file():
                found.append(_score_set(ref / name, hyp / place, place, nj))
        found.append(_recordings(ref / name))
    return found


def _recordings(ref: Path) -> SetScores:
    from espnet_ext.audio.read import opened

    found = {}
    for utt, entry in read_table(ref / "wav.scp").items():
        with opened(entry, utt) as stream:
            found[utt] = ideal(stream.samplerate)
    return SetScores(f"{RECORDING}/{ref.name}", found)


def _score_set(ref: Path, hyp: Path, name: str, nj: int) -> SetScores:
    recorded, made = read_table(ref / "wav.scp"), read_table(hyp / "wav.scp")
    expected, missing = match_keys(recorded, made, hyp / "wav.scp")
    if missing:
        raise UserError(
            f"{hyp / 'wav.scp'}: found {len(made)} utterances, expected {len(expected)} (the first missing is "
            f"{missing[0]}): run vocode to its end"
        )
    pairs = [(utt, made[utt], recorded[utt]) for utt in expected]
    scored = progress(each(_score, pairs, nj), len(pairs), f"score {name}")
    utterances = {pair[0]: score for pair, score in zip(pairs, scored, strict=True)}
    write_text(hyp / "utterances.tsv", lines(utterances, METRICS))
    return SetScores(name, utterances)


def write_results(
    directory: Path,
    scores: Sequence[SetScores],
    source: Provenance,
    samples: int = 1000,
    seed: int = 0,
) -> str:
    """Write `scores.json` and `RESULTS.md`; returns the table, with what its means leave out."""
    sets = {score.name: score.summary(samples, seed) for score in scores}
    write_json(directory / "scores.json", {**source.as_dict(), "task": "vocoder", "sets": sets})
    rows = [
        (
            name,
            count := found["sentences"],
            *(cell(found[m], MEASURES[m].digits, count) for m in METRICS),
        )
        for name, found in sets.items()
    ]
    table = markdown(("dataset", "Snt", *(MEASURES[m].head for m in METRICS)), rows)
    gaps = [gap for score in scores for gap in left_out(score.name, score.utterances, METRICS)]
    table += "".join(f"\n{gap}\n" for gap in gaps)
    note = (
        "Means over utterances, with 95 % bootstrap intervals; see espnet_ext/metrics/vocoder.py."
    )
    head = f"# RESULTS\n\n## Environment\n\n{source.as_markdown()}\n\n## {directory}\n\n"
    write_text(directory / "RESULTS.md", f"{head}{table}\n{note}\n")
    return table
