"""The recogniser under other conditions: a bar for each, and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_ext.files import write_text
from espnet_ext.report.markup import esc, interval, note, number, section, table

_HEADER = ("condition", "", "WER %", "95 %", "more than clean", "CER %", "words sought")
_EXPLAIN = (
    "The same test set under other conditions, and parts of it that are hard. The longer the bar, the more words were "
    "wrong, missing or made up; the line marks the recordings as they are. Words sought are those that a part was "
    "chosen for."
)


def suite_bars(results: Sequence[Mapping[str, Any]]) -> str:
    """A set's table of conditions with bars.

    Args:
        results: what score_suites wrote of the set, the clean one first.
    """
    most = max((r["wer"] or 0.0 for r in results), default=0.0) or 1.0
    clean = next((r["wer"] for r in results if r["kind"] == "clean"), None)
    rows = [
        (
            f'{esc(r["condition"])}<br><span class="small">{esc(r["what"])}</span>',
            _bar(r["wer"], clean, most),
            f"<strong>{number(r['wer'])}</strong>",
            interval(r["interval"]),
            _more(r["more"], r.get("more_interval")),
            number(r["cer"]),
            "" if r["terms"] is None else esc(f"{r['terms_right']} of {r['terms']}"),
        )
        for r in results
    ]
    return table(_HEADER, rows, 2)


def _more(value: float | None, within: Sequence[float] | None) -> str:
    if value is None:
        return ""
    around = f'<br><span class="small">{interval(within)}</span>' if within else ""
    return f"{value:+.1f}{around}"


def _bar(wer: float | None, clean: float | None, most: float) -> str:
    share, mark = (100 * (value or 0.0) / most for value in (wer, clean))
    return f'<span class="bar wide marked" style="--share:{share:.1f}%;--mark:{mark:.1f}%"></span>'


def suites_section(scores: Mapping[str, Any] | None) -> str:
    """The part of a page; empty where no suite was scored.

    Args:
        scores: the suites' scores.json.
    """
    found = (scores or {}).get("suites", {})
    parts = [f"<h3>{esc(name)}</h3>{suite_bars(results)}" for name, results in found.items()]
    return note(_EXPLAIN) + "".join(parts) if parts else ""


def write_page(directory: Path, scores: Mapping[str, Any]) -> Path:
    """Write `suites.html` into a directory; returns its path."""
    from espnet_ext.report.page import document

    facts = [(esc(key), f"<code>{esc(scores[key])}</code>") for key in _FACTS if key in scores]
    body = [
        section("conditions", "Conditions", suites_section(scores)),
        section("origin", "How this was made", table(("what", "value"), facts, 2)),
    ]
    links = {"conditions": "Conditions", "origin": "How made"}
    title = f"Conditions of {directory.resolve().parent.name}"
    write_text(directory / "suites.html", document(title, links, body))
    return directory / "suites.html"


_FACTS = ("date", "commit", "command", "hardware", "python", "espnet", "torch")
