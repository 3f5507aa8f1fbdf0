"""The first thing on the page: a handful of figures and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espnet_ext.progress import clock
from espnet_ext.report.markup import esc, interval, number, section, table


@dataclass(frozen=True)
class Figure:
    """One of the main figures: where it lies in the summary, and how it is told.

    Attributes:
        group: "asr" or "tts".
        key: its key in there.
        name: what people call it.
        unit: that it is in; "" without one.
        digits: after the point.
        meaning: what it says, for who does not know it.
    """

    group: str
    key: str
    name: str
    unit: str
    digits: int
    meaning: str

    def found(self, summary: Mapping[str, Any]) -> tuple[float | None, Sequence[float] | None]:
        """Its value and the 95 % interval, each None if it was not measured."""
        group = summary[self.group]
        return group[self.key], group[f"{self.key}_interval_95"]


_WORDS = "words wrong, missing or made up, per word said"
_MCD = "distance of the sound from a recording"
_F0 = "distance of the melody from a recording's"
_MEL = "likeness of the spectrograms, 1 being the same"
_MISHEARS = "our recogniser mishears in our synthesis"
_RECORDINGS = "letters it mishears where the recorded voice says the same sentences"
FIGURES = (
    Figure("asr", "wer", "Recognition: word error rate (WER)", "%", 1, _WORDS),
    Figure("asr", "cer", "Recognition: character error rate (CER)", "%", 1, "the same, in letters"),
    Figure("asr", "ser", "Recognition: sentence error rate (SER)", "%", 1, "with any mistake"),
    Figure("tts", "mcd", "Synthesis: mel-cepstral distortion (MCD)", "dB", 2, _MCD),
    Figure("tts", "log_f0_rmse", "Synthesis: log-F0 error (RMSE)", "", 3, _F0),
    Figure("tts", "mel_correlation", "Synthesis: mel correlation, at best 1", "", 3, _MEL),
    Figure("tts", "f0_deviation", "Synthesis: F0 deviation", "%", 1, "how far off the melody is"),
    Figure("tts", "duration_error", "Synthesis: duration error", "%", 1, "of a sentence's length"),
    Figure("tts", "round_trip_cer", "Round trip: CER", "%", 1, f"letters {_MISHEARS}"),
    Figure("tts", "round_trip_wer", "Round trip: WER", "%", 1, f"words {_MISHEARS}"),
    Figure("tts", "recordings_cer", "Round trip: CER of the recordings", "%", 1, _RECORDINGS),
)
_HEADER = ("figure (lower is better where nothing else is said)", "value", "95 %")


def headline(summary: Mapping[str, Any]) -> str:
    """A table of the main figures; those that were not measured are left out, and named."""
    rows: list[tuple[object, ...]] = []
    absent = []
    for figure in FIGURES:
        value, bounds = figure.found(summary)
        if value is None:
            absent.append(figure.name)
            continue
        shown = f"<strong>{number(value, figure.digits)}</strong> {figure.unit}"
        around = interval(bounds, figure.digits)
        rows.append((_named(figure.name, figure.meaning), shown, around))
    if summary["lm"]["perplexity"] is not None:
        shown = number(summary["lm"]["perplexity"])
        rows.append(
            (
                _named("Language model: perplexity", "choices it wavers between at each token"),
                shown,
                "",
            )
        )
    if summary["seconds"]:
        rows.append(
            (_named("Total time", "that any stage was at work"), clock(summary["wall_seconds"]), "")
        )
    left_out = f"Not measured: {', '.join(absent)}." if absent else ""
    explain = (
        "The interval says how far a figure may be off because the test is small: were it repeated with "
        "other sentences like these, it would lie in there about 95 times in 100."
    )
    return section(
        "results", "Results", table(_HEADER, rows), f'<p class="small">{explain} {left_out}</p>'
    )


def plain(summary: Mapping[str, Any]) -> str:
    """The same as lines of text."""
    lines = []
    for figure in FIGURES:
        value, bounds = figure.found(summary)
        digits = figure.digits
        shown = "not measured" if value is None else f"{value:8.{digits}f} {figure.unit}"
        around = f"   [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]" if bounds else ""
        lines.append(f"{figure.name:<43}{shown}{around}".rstrip())
    lines.append(f"{'Total time':<43}{summary['wall_seconds']:8.0f} s")
    return "\n".join(lines) + "\n"


def _named(name: str, meaning: str) -> str:
    """A figure's name with what it means below."""
    return f'{esc(name)}<br><span class="small">{esc(meaning)}</span>'
