"""The first thing on the page: a handful of figures and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espnet_ext.progress import clock
from espnet_ext.report.markup import esc, interval, number, section, table

# (group, key, name, unit, digits, meaning)
_ROWS = (
    (
        "asr",
        "wer",
        "Recognition: word error rate (WER)",
        "%",
        1,
        "words wrong, missing or made up, per word said",
    ),
    (
        "asr",
        "cer",
        "Recognition: character error rate (CER)",
        "%",
        1,
        "the same, counted in letters",
    ),
    ("asr", "ser", "Recognition: sentence error rate (SER)", "%", 1, "sentences with any mistake"),
    (
        "tts",
        "mcd",
        "Synthesis: mel-cepstral distortion (MCD)",
        "dB",
        2,
        "distance of the sound from a recording",
    ),
    (
        "tts",
        "log_f0_rmse",
        "Synthesis: log-F0 error (RMSE)",
        "",
        3,
        "distance of the melody from a recording's",
    ),
    (
        "tts",
        "round_trip_cer",
        "Round trip: CER",
        "%",
        1,
        "letters our recogniser mishears in our synthesis",
    ),
    (
        "tts",
        "round_trip_wer",
        "Round trip: WER",
        "%",
        1,
        "words our recogniser mishears in our synthesis",
    ),
)
_HEADER = ("figure (lower is better)", "value", "95 %")


def headline(summary: Mapping[str, Any]) -> str:
    """A table of the main figures; those that were not measured are left out, and named."""
    rows: list[tuple[object, ...]] = []
    absent = []
    for group, key, name, unit, digits, meaning in _ROWS:
        value = summary[group][key]
        if value is None:
            absent.append(name)
            continue
        bounds = interval(summary[group][f"{key}_interval_95"], digits)
        rows.append(
            (_named(name, meaning), f"<strong>{number(value, digits)}</strong> {unit}", bounds)
        )
    if summary["lm"]["perplexity"] is not None:
        value = number(summary["lm"]["perplexity"])
        rows.append(
            (
                _named("Language model: perplexity", "choices it wavers between at each token"),
                value,
                "",
            )
        )
    if summary["seconds"]:
        rows.append(
            (_named("Total time", "of all stages below"), clock(summary["total_seconds"]), "")
        )
    left_out = f"Not measured: {', '.join(absent)}." if absent else ""
    explain = (
        "The interval says how far a figure may be off because the test is small: were it repeated with "
        "other sentences like these, it would lie in there about 95 times in 100."
    )
    return section(
        "results", "Results", table(_HEADER, rows), f'<p class="small">{explain} {left_out}</p>'
    )


def _named(name: str, meaning: str) -> str:
    """A figure's name with what it means below."""
    return f'{esc(name)}<br><span class="small">{esc(meaning)}</span>'
