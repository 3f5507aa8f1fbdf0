"""The figures that a person looks at first, and the same for machines (summary.json).

summary.json is
    {"asr": {"wer", "wer_interval_95", "cer", "cer_interval_95", "ser", "ser_interval_95", ...},
     "tts": {"mcd", "log_f0_rmse", "mel_correlation", "f0_deviation", "duration_error", "round_trip_cer",
             "round_trip_wer", "recordings_cer", ..., with intervals},
     "lm": {"perplexity"}, "seconds": {"asr1/asr_train": 12.3, ...}, "total_seconds", "wall_seconds",
     "versions": {...}}.
Error rates (wer, cer, ser, round_trip_*, recordings_cer) are in percent, 4.2 meaning 4.2 %, and lower is better;
mcd is in dB, log_f0_rmse in natural logarithms, f0_deviation and duration_error in percent; a mel_correlation
is 1 at most, and high ones are good. A figure that nothing was found for is null.
A stage's seconds hold all attempts at it; total_seconds is their sum, wall_seconds how long any stage was at
work: less where recipes run at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.machine import hardware
from espnet_ext.metrics.provenance import commit, installed_version
from espnet_ext.report.sources import Experiment, newest_model, read_json, spans, stage_records

Bounds = Sequence[float] | None


@dataclass(frozen=True)
class Sources:
    """What a report is about; each part may be missing.

    Attributes:
        asr: recogniser and its decoding.
        tts: synthesiser and its synthesis.
        round_trip: directory written by the command round_trip: the recogniser heard the synthesiser.
    """

    asr: Experiment | None = None
    tts: Experiment | None = None
    round_trip: Path | None = None

    @property
    def recipes(self) -> list[Experiment]:
        return [part for part in (self.asr, self.tts) if part]

    def round_trip_scores(self, of: str = "") -> dict[str, Any] | None:
        """What scoring the round trip wrote, of the synthesis or of the "recordings"; or None."""
        return read_json(self.round_trip / of / "decode/scores.json") if self.round_trip else None

    def empty(self) -> bool:
        """Whether there is nothing at all to report."""
        return not any(part.model for part in self.recipes) and not self.round_trip_scores()


def pooled(scores: Mapping[str, Any] | None, kind: str) -> tuple[float | None, Bounds]:
    """Error rate over all sets together, in percent, and its 95 % interval.

    The interval is the bootstrap's of scoring; over several sets there is none.

    Args:
        scores: a scores.json of score_asr.
        kind: "wer", "cer" or "ter".
    """
    found = [kinds[kind] for kinds in (scores or {}).get("sets", {}).values() if kind in kinds]
    words = sum(part["words"] for part in found)
    errors = sum(p["substitutions"] + p["deletions"] + p["insertions"] for p in found)
    bounds = found[0].get("interval_95") if len(found) == 1 else None
    return (100.0 * errors / words if words else None), bounds


def sentence_errors(scores: Mapping[str, Any] | None) -> tuple[float | None, Bounds]:
    """Sentences with any wrong word, in percent, and Wilson's 95 % interval of it."""
    found = [kinds["wer"] for kinds in (scores or {}).get("sets", {}).values() if "wer" in kinds]
    wrong, total = (sum(p[key] for p in found) for key in ("wrong_sentences", "sentences"))
    return (100.0 * wrong / total, wilson(wrong, total)) if total else (None, None)


def wilson(part: int, whole: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a proportion, in percent (E. B. Wilson 1927).

    >>> [round(x, 1) for x in wilson(0, 10)]
    [0.0, 27.8]
    """
    share = part / whole
    scale = 1 + z * z / whole
    middle = (share + z * z / (2 * whole)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    low = 0.0 if part == 0 else middle - half  # exact where rounding would not be
    return 100 * low, 100.0 if part == whole else 100 * (middle + half)


def mean_of(scores: Mapping[str, Any] | None, metric: str) -> tuple[float | None, Bounds]:
    """Mean of a metric of score_tts over the utterances of all sets, and its 95 % interval."""
    sets = (scores or {}).get("sets", {}).values()
    found = [part[metric] for part in sets if (part.get(metric) or {}).get("mean") is not None]
    count = sum(part["utterances"] for part in found)
    if not count:
        return None, None
    mean = sum(part["mean"] * part["utterances"] for part in found) / count
    return mean, found[0].get("interval_95") if len(found) == 1 else None


def seconds(sources: Sources) -> dict[str, float]:
    """Wall time of each stage, keyed "asr1/asr_train", in the order in which they ran."""
    times = {
        f"{part.name}/{record['name']}": float(record["seconds"])
        for part in sources.recipes
        for record in stage_records(part.recipe)
    }
    trip = read_json(sources.round_trip / "round_trip.json") if sources.round_trip else None
    if trip and "seconds" in trip:
        times["round_trip"] = float(trip["seconds"])
    return times


def wall_seconds(sources: Sources) -> float:
    """How long any of the stages was at work; what ran at the same time counts once."""
    records = [record for part in sources.recipes for record in stage_records(part.recipe)]
    total, latest = seconds(sources).get("round_trip", 0.0), -math.inf
    total += sum(float(record["seconds"]) for record in records if not spans(record))
    for start, end in sorted(span for record in records for span in spans(record)):
        total += max(0.0, end - max(start, latest))
        latest = max(latest, end)
    return total


def versions() -> dict[str, str]:
    """What made the figures."""
    import platform

    from espnet_ext import __version__

    packages = ("torch", "espnet", "numpy", "soundfile", "sentencepiece")
    return {
        "python": platform.python_version(),
        **{name: installed_version(name) for name in packages},
        "espnet_ext": __version__,
        "commit": commit(),
        "platform": platform.platform(),
        "hardware": hardware(),
    }


def summarise(sources: Sources) -> dict[str, Any]:
    """Everything for summary.json; see the module's docstring."""
    asr, tts = (part.scores() if part else None for part in (sources.asr, sources.tts))
    trip, recordings = sources.round_trip_scores(), sources.round_trip_scores("recordings")
    times = seconds(sources)
    return {
        "asr": _with_intervals(
            wer=pooled(asr, "wer"), cer=pooled(asr, "cer"), ser=sentence_errors(asr)
        ),
        "tts": _with_intervals(
            mcd=mean_of(tts, "mcd"),
            log_f0_rmse=mean_of(tts, "log_f0_rmse"),
            mel_correlation=mean_of(tts, "mel_correlation"),
            f0_deviation=mean_of(tts, "f0_deviation"),
            duration_error=mean_of(tts, "duration_error"),
            round_trip_cer=pooled(trip, "cer"),
            round_trip_wer=pooled(trip, "wer"),
            recordings_cer=pooled(recordings, "cer"),
        ),
        "lm": {"perplexity": perplexity(sources.asr)},
        "seconds": times,
        "total_seconds": round(sum(times.values()), 3),
        "wall_seconds": round(wall_seconds(sources), 3),
        "versions": versions(),
    }


def _with_intervals(**figures: tuple[float | None, Bounds]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, (value, bounds) in figures.items():
        flat[name] = value
        flat[f"{name}_interval_95"] = list(bounds) if bounds else None
    return flat


def perplexity(asr: Experiment | None) -> float | None:
    """Per token, of the recipe's newest language model on the first test set."""
    model = newest_model(asr.recipe, "lm") if asr else None
    found = read_json(model / "perplexity.json") if model else None
    value = (found or {}).get("perplexity")
    return float(value) if isinstance(value, (int, float)) else None
