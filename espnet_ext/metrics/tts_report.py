"""Scoring what a synthesiser wrote: several processes, means with intervals, tables."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.beside import RECORDING
from espnet_ext.metrics.durations import Durations, read_durations
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.speech_tables import (
    MEASURES,
    cell,
    each,
    known_metrics,
    left_out,
    lines,
    means,
    some,
)
from espnet_ext.metrics.tables import markdown, match_keys
from espnet_ext.metrics.tts import COLUMNS, METRICS, TtsScore, ideal, score_files
from espnet_ext.progress import progress

if TYPE_CHECKING:
    from espnet_ext.inference.speech2text import Speech2Text
    from espnet_ext.metrics.judges import Judge

# utterance, entries of the synthesised speech and of the recording, durations of their tokens
Pair = tuple[str, str, str, Durations | None]
UTTERANCES = "score_tts/utterances.tsv"


@dataclass(frozen=True)
class How:
    """How sets are scored.

    Attributes:
        nj: number of processes.
        judges: trained models that judge each utterance.
        recogniser: whose errors are counted; None = none.
        durations: directory with SET/durations, frames of each token in the recordings; None = the data directories,
            where they have some.
        language: of the texts: a recogniser's errors are counted with numbers in its words.
    """

    nj: int = 1
    judges: tuple[Judge, ...] = ()
    recogniser: Speech2Text | None = None
    durations: Path | None = None
    language: str = "en"


@dataclass(frozen=True)
class SpeechScores:
    """One set: the score of every utterance, and those that were not synthesised.

    Attributes:
        dataset: its name.
        utterances: their scores.
        missing: utterances without speech.
        beside: "" for the synthesiser's own speech, else the name of what stands beside it.
    """

    dataset: str
    utterances: dict[str, TtsScore]
    missing: tuple[str, ...]
    beside: str = ""

    @property
    def name(self) -> str:
        return f"{self.beside}/{self.dataset}" if self.beside else self.dataset

    def summary(self, samples: int, seed: int) -> dict[str, Any]:
        """Mean, 95 % interval and number of utterances of every metric."""
        scores = list(self.utterances.values())
        counts = {"sentences": len(scores), "missing": len(self.missing)}
        return {**counts, **means(scores, METRICS, samples, seed)}

    def gaps(self) -> list[str]:
        """Sentences on what the means leave out."""
        unsaid = [f"{self.name}: not synthesised: {some(self.missing)}."] if self.missing else []
        return unsaid + left_out(self.name, self.utterances, METRICS)


def _score(pair: Pair) -> TtsScore:
    return score_files(*pair)


def score_set(
    ref_dir: Path,
    hyp_dir: Path,
    how: How = How(),
    beside: str = "",
    only: Collection[str] | None = None,
) -> SpeechScores:
    """Score one set and write `score_tts/utterances.tsv` below `hyp_dir`.

    Args:
        ref_dir: data directory of the recordings, with `wav.scp`, and `text` for a recogniser.
        hyp_dir: directory of the synthesised speech, with `wav.scp`.
        how: see there.
        beside: where the speech is not the synthesiser's own, what it is.
        only: utterances; None = all of the recordings.

    Raises:
        UserError: a table is missing or broken, an utterance is unknown, or audio is unusable.
    """
    refs, hyps = read_table(ref_dir / "wav.scp"), read_table(hyp_dir / "wav.scp")
    if how.recogniser is not None:
        read_table(ref_dir / "text")  # that it is not there is said before the work
    if only is not None:
        refs, hyps = ({u: table[u] for u in table if u in only} for table in (refs, hyps))
    expected, missing = match_keys(refs, hyps, hyp_dir / "wav.scp")
    if len(missing) == len(expected):
        raise UserError(f"{hyp_dir}: no speech at all; synthesise the set first")
    if missing:
        print(
            f"warning: {hyp_dir / 'wav.scp'}: {len(missing)} of {len(refs)} utterances were not "
            f"synthesised and are left out, the first is {missing[0]}",
            file=sys.stderr,
        )
    timing = {} if beside else _durations(ref_dir, hyp_dir, how.durations)
    pairs = [(utt, hyps[utt], refs[utt], timing.get(utt)) for utt in expected if utt in hyps]
    scored = progress(each(_score, pairs, how.nj), len(pairs), f"score {hyp_dir.name}")
    utterances = {pair[0]: score for pair, score in zip(pairs, scored, strict=True)}
    spoken = {utt: hyps[utt] for utt in utterances}
    utterances = _judged(utterances, spoken, refs, ref_dir, hyp_dir, how)
    write_text(hyp_dir / UTTERANCES, lines(utterances, COLUMNS))
    return SpeechScores(hyp_dir.name, utterances, tuple(missing), beside)


def score_recordings(
    ref_dir: Path, folder: Path, utterances: Sequence[str], how: How
) -> SpeechScores:
    """The row of the recordings themselves: what is ideal by definition, and what judges and recogniser say of them.

    Args:
        ref_dir: data directory of the recordings.
        folder: receives what the recogniser heard, and the scores of the utterances.
        utterances: that were synthesised.
        how: see there.
    """
    from espnet_ext.audio.read import opened

    refs = read_table(ref_dir / "wav.scp")
    chosen = {utt: refs[utt] for utt in utterances}
    found = {}
    for utt, entry in chosen.items():
        with opened(entry, utt) as stream:
            found[utt] = ideal(stream.samplerate)
    found = _judged(found, chosen, refs, ref_dir, folder, how)
    write_text(folder / UTTERANCES, lines(found, COLUMNS))
    return SpeechScores(ref_dir.name, found, (), RECORDING)


def _judged(
    scores: dict[str, TtsScore],
    spoken: Mapping[str, str],
    recorded: Mapping[str, str],
    ref_dir: Path,
    folder: Path,
    how: How,
) -> dict[str, TtsScore]:
    """The scores with the opinions of judges and the errors of a recogniser."""
    if how.judges:
        from espnet_ext.metrics.judges import judge

        shown = progress(scores.items(), len(scores), f"judge {folder.name}")
        scores = {
            utt: replace(score, **judge(how.judges, spoken[utt], recorded[utt]))
            for utt, score in shown
        }
    if how.recogniser is not None:
        from espnet_ext.metrics.hearing import errors, hear

        said = read_table(ref_dir / "text")
        heard = hear(how.recogniser, spoken, folder)
        scores = {
            utt: replace(score, **errors(said.get(utt, ""), heard[utt], how.language))
            for utt, score in scores.items()
        }
    return scores


def _durations(ref_dir: Path, hyp_dir: Path, given: Path | None) -> dict[str, Durations]:
    """Durations of the utterances that both tables have; none where a table is missing, unless one is given."""
    hyp, ref = hyp_dir / "durations", (given / ref_dir.name if given else ref_dir) / "durations"
    if given is None and not (hyp.is_file() and ref.is_file()):
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
    """Write `scores.json` and `RESULTS.md` to a synthesis directory; returns the table, with what its means leave out.

    `sets` of scores.json holds the synthesiser's own speech, `beside` what stands beside it: "recording/SET", ...
    """
    directory = Path(directory)
    found = {score.name: score.summary(samples, seed) for score in scores}
    groups: dict[str, dict[str, Any]] = {"sets": {}, "beside": {}}
    for score in scores:
        groups["beside" if score.beside else "sets"][score.name] = found[score.name]
    write_json(directory / "scores.json", {**source.as_dict(), "task": "tts", **groups})
    shown = known_metrics(list(found.values()), METRICS)
    rows = [
        (
            score.name if score.beside else f"{directory.name}/{score.name}",
            found[score.name]["sentences"],
            *(cell(found[score.name][m], MEASURES[m].digits, len(score.utterances)) for m in shown),
        )
        for score in scores
    ]
    table = markdown(("dataset", "Snt", *(MEASURES[m].head for m in shown)), rows)
    table += "".join(f"\n{gap}\n" for score in scores for gap in score.gaps())
    note = "Means over utterances, with 95 % bootstrap intervals; see espnet_ext/metrics/tts.py."
    head = f"# RESULTS\n\n## Environment\n\n{source.as_markdown()}\n\n## {directory}\n\n"
    write_text(directory / "RESULTS.md", f"{head}{table}\n{note}\n")
    return table
