"""What the scoring of synthesisers and of vocoders shares: columns, means with intervals, several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from espnet_ext.metrics.bootstrap import ratio_interval

T = TypeVar("T")
S = TypeVar("S")
Row = Mapping[str, float | None]


class Score(Protocol):
    """Figures of one utterance, by name; None where one is not known."""

    def as_dict(self) -> dict[str, float | None]: ...


@dataclass(frozen=True)
class Measure:
    """How a figure is shown.

    Attributes:
        head: of its column.
        name: in words, for the report.
        digits: after the point.
        best: "low", "high", or "one": which values are good.
        weight: name of the figure by which utterances count in the mean; "" = all alike.
    """

    head: str
    name: str
    digits: int
    best: str = "low"
    weight: str = ""


MEASURES: Mapping[str, Measure] = {
    "mcd": Measure("MCD [dB]", "mel-cepstral distortion, dB", 2),
    "mel_correlation": Measure("mel corr.", "correlation of mel spectrograms", 3, "high"),
    "band_correlation": Measure("band corr.", "correlation within mel bands", 3, "high"),
    "lsd": Measure("LSD [dB]", "log-spectral distance, dB", 2),
    "log_f0_rmse": Measure("log F0 RMSE", "log-F0 RMSE", 3),
    "f0_deviation": Measure("F0 dev. [%]", "F0 deviation, %", 1),
    "f0_correlation": Measure("F0 corr.", "F0 correlation", 3, "high"),
    "voicing_error": Measure("V/UV err. [%]", "voicing errors, %", 1),
    "energy_error": Measure("energy err. [dB]", "energy error, dB", 2),
    "duration_ratio": Measure("duration ratio", "length, synthesis : recording", 3, "one"),
    "duration_error": Measure("duration err. [%]", "error of the length, %", 1),
    "pesq": Measure("PESQ", "PESQ, 1 to 4.6", 2, "high"),
    "stoi": Measure("STOI", "STOI, 0 to 1", 3, "high"),
    "token_duration_error": Measure("token dur. err. [%]", "error of the tokens' lengths, %", 1),
    "token_mcd": Measure("MCD by tokens [dB]", "mel-cepstral distortion, tokens aligned, dB", 2),
    "token_mel_correlation": Measure(
        "mel corr. by tokens", "correlation of mel spectrograms, tokens aligned", 3, "high"
    ),
    "token_energy_error": Measure(
        "energy err. by tokens [dB]", "energy error, tokens aligned, dB", 2
    ),
    "token_f0_deviation": Measure("F0 dev. by tokens [%]", "F0 deviation, tokens aligned, %", 1),
    "dnsmos": Measure("DNSMOS", "quality that DNSMOS predicts, 1 to 5", 2, "high"),
    "utmos": Measure("UTMOS", "naturalness that UTMOS predicts, 1 to 5", 2, "high"),
    "speaker_similarity": Measure("speaker sim.", "similarity of the voice, 0 to 1", 3, "high"),
    "cer": Measure("CER [%]", "letters that a recogniser mishears, %", 1, weight="characters"),
    "wer": Measure("WER [%]", "words that a recogniser mishears, %", 1, weight="words"),
}


def each(function: Callable[[S], T], arguments: Sequence[S], nj: int = 1) -> Iterator[T]:
    """`function` of each argument, in their order, by `nj` processes."""
    if nj <= 1 or len(arguments) <= 1:
        yield from map(function, arguments)
        return
    # spawn: a forked child of a process with threads (BLAS) may hang
    with ProcessPoolExecutor(min(nj, len(arguments)), get_context("spawn")) as pool:
        chunk = max(1, min(16, len(arguments) // (4 * nj)))
        yield from pool.map(function, arguments, chunksize=chunk)


def means(
    scores: Sequence[Score], metrics: Sequence[str], samples: int, seed: int
) -> dict[str, Any]:
    """Mean, 95 % interval and number of utterances of every metric; error rates are of all utterances together."""
    rows = [score.as_dict() for score in scores]
    return {metric: _mean(rows, metric, samples, seed) for metric in metrics}


def weighted(rows: Sequence[Row], metric: str) -> tuple[list[float], list[float]]:
    """Values times weights, and weights, of those rows that have the metric."""
    weight = MEASURES[metric].weight if metric in MEASURES else ""
    pairs = [
        (value, row[weight] or 0.0 if weight else 1.0)
        for row in rows
        if (value := row[metric]) is not None
    ]
    return [value * by for value, by in pairs], [by for _, by in pairs]


def _mean(rows: Sequence[Row], metric: str, samples: int, seed: int) -> dict[str, Any]:
    values, weights = weighted(rows, metric)
    whole = sum(weights)
    return {
        "mean": sum(values) / whole if whole else None,
        "interval_95": ratio_interval(values, weights, samples, seed=seed),
        "utterances": len(values),
    }


def known_metrics(sets: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> list[str]:
    """Those of which any of the summaries has a mean."""
    return [
        m for m in metrics if any((found.get(m) or {}).get("mean") is not None for found in sets)
    ]


def lines(utterances: Mapping[str, Score], metrics: Sequence[str]) -> str:
    """A line an utterance, separated by tabs; nothing stands for what is not known."""
    rows = [["utterance", *metrics]]
    for name, score in utterances.items():
        cells = score.as_dict()
        rows.append([name, *("" if (cell := cells[m]) is None else f"{cell:.4f}" for m in metrics)])
    return "".join("\t".join(row) + "\n" for row in rows)


def cell(found: Mapping[str, Any] | None, digits: int = 3, sentences: int = 0) -> str:
    """A mean, its interval if it has one, and of how many of the `sentences` it is, if not of all.

    >>> cell({"mean": 3.2, "interval_95": (3.1, 3.4), "utterances": 16}, 1, 17)
    '3.2 [3.1, 3.4] (16 of 17)'
    """
    if not found or found.get("mean") is None:
        return "-"
    text = f"{found['mean']:.{digits}f}"
    if found["interval_95"]:
        low, high = found["interval_95"]
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text + share(found, sentences)


def share(found: Mapping[str, Any], sentences: int) -> str:
    """` (16 of 17)` where a mean is not of all sentences, else nothing."""
    known = found.get("utterances", sentences)
    return f" ({known} of {sentences})" if known < sentences else ""


def left_out(name: str, utterances: Mapping[str, Score], metrics: Sequence[str]) -> list[str]:
    """A sentence for those figures of a set that are not known of the same utterances."""
    rows = {utt: score.as_dict() for utt, score in utterances.items()}
    found: dict[tuple[str, ...], list[str]] = {}
    for metric in metrics:
        without = tuple(utt for utt, row in rows.items() if row[metric] is None)
        if 0 < len(without) < len(rows):
            found.setdefault(without, []).append(MEASURES[metric].head)
    return [
        f"{name}: not known of {some(without)}, which the means leave out: {', '.join(heads)}."
        for without, heads in found.items()
    ]


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of the names, and how many more there are.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
