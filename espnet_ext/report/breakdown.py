"""The recogniser's errors by group, its speed, and what its confidence is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espnet_ext.report.curves import bars
from espnet_ext.report.markup import esc, figure, folded, interval, number, table

_FEW = 16  # rows of a table before it is folded away
_QUANTILES = ("p50", "p90", "p95", "p99")


def groups(name: str, found: Mapping[str, Any]) -> str:
    """Tables of a set's word error rate by speaker, gender, accent, length, ...

    Args:
        name: of the set.
        found: its figures in scores.json.
    """
    speakers = sorted(found.get("speakers", {}).items(), key=lambda s: -(s[1]["error_rate"] or 0))
    ways = {"speaker": dict(speakers), **found.get("groups", {})}
    return "".join(_group(way, name, rows) for way, rows in ways.items() if len(rows) > 1)


def _group(way: str, name: str, found: Mapping[str, Any]) -> str:
    most = max(c["error_rate"] or 0.0 for c in found.values())
    rows = [
        (
            esc(group),
            c["sentences"],
            c["words"],
            _bar(c["error_rate"], most),
            interval(c.get("interval_95")),
        )
        for group, c in found.items()
    ]
    content = table((way, "sentences", "words", "WER %", "95 %"), rows)
    heading = f"By {way}: {name}"
    return folded(heading, content) if len(rows) > _FEW else f"<h3>{esc(heading)}</h3>{content}"


def _bar(value: float | None, most: float) -> str:
    share = 100 * (value or 0) / most if most else 0
    return f'<span class="bar" style="--share:{share:.1f}%"></span>{number(value)}'


def speed(timings: Mapping[str, Any]) -> str:
    """Real-time factor and latency of each set, with the machine they were measured on."""
    if not timings:
        return ""
    rows = [
        (
            esc(name),
            number(found.get("rtf_overall"), 3),
            *(number(found["rtf"][p], 3) for p in _QUANTILES),
            *(_milliseconds(found.get("latency"), p) for p in _QUANTILES),
        )
        for name, found in timings.items()
    ]
    header = (
        "set",
        "RTF",
        *(f"RTF {p}" for p in _QUANTILES),
        *(f"wait {p} ms" for p in _QUANTILES),
    )
    machines = sorted({found["hardware"] or "a machine not recorded" for found in timings.values()})
    explain = (
        "RTF: seconds of work per second of sound; wait: from the end of an utterance to its result; p95: 95 of 100 "
        f"utterances took no longer. Measured on {'; '.join(machines)}."
    )
    return f'<h3>Speed</h3>{table(header, rows)}<p class="small">{esc(explain)}</p>'


def _milliseconds(latency: Mapping[str, float] | None, quantile: str) -> str:
    return number(1000 * latency[quantile] if latency else None, 0)


def confidence(found: Mapping[str, Any]) -> str:
    """Reliability diagram and figures of each set's confidences."""
    return "".join(_confidence(name, c) for name, c in found.items())


def _confidence(name: str, c: Mapping[str, Any]) -> str:
    points = [(b["low"], b["high"], b["correct"], b["words"]) for b in c["bins"]]
    drawn = bars(f"Words right, by confidence: {name}", points, "confidence")
    figures = (
        ("words recognised", str(c["words"])),
        ("share right", number(c["correct"], 3)),
        ("mean confidence", number(c["confidence"], 3)),
        ("calibration error (ECE), best 0", number(c["ece"], 3)),
        ("normalised cross entropy (NCE), best 1", number(c["nce"], 3)),
        ("right told from wrong (AUROC), best 1", number(c["auroc"], 3)),
    )
    rows = [(esc(what), value) for what, value in figures]
    caption = (
        "Bars: the share of words with that confidence that were right; on the line confidence would mean what it "
        f"says. Confidence is {c['source']}."
    )
    beside = f'<div class="pair"><div>{drawn}</div><div>{table(("", ""), rows)}</div></div>'
    return f"<h3>Confidence: {esc(name)}</h3>{figure(beside, caption)}"
