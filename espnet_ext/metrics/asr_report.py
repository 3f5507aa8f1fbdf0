"""What scoring a recogniser writes: scores.json for machines, RESULTS.md for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.asr import HEADER, Scored, SetScore, count_row
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.tables import markdown

_SHOWN = 10  # words of each kind of mistake
_MANY = 40  # groups in a table of RESULTS.md; scores.json has all


def table(scores: Sequence[SetScore], name: str) -> str:
    """ESPnet's tables, one a kind: `### WER` and so on."""
    parts = []
    for kind in dict.fromkeys(score.kind for score in scores):
        rows = [score.row(f"{name}/") for score in scores if score.kind == kind]
        parts.append(f"### {kind.upper()}\n\n{markdown(HEADER, rows)}")
    return "\n".join(parts)


def breakdown(score: SetScore, name: str) -> str:
    """A table for each way in which the set falls into two groups and more."""
    parts = []
    ways = {way: {g: s.counts for g, s in found.items()} for way, found in score.groups.items()}
    for way, groups in {"speaker": score.speakers, **ways}.items():
        if 2 <= len(groups) <= _MANY:
            rows = [count_row(group, counts) for group, counts in groups.items()]
            header = (way, *HEADER[1:])
            parts.append(
                f"### {score.kind.upper()} by {way}: {name}/{score.dataset}\n\n{markdown(header, rows)}"
            )
    return "\n".join(parts)


def mistakes(score: SetScore, name: str) -> str:
    """The words that are confused, missed and made up most."""
    found = score.mistakes
    if not any(found.values()):
        return ""
    columns = (
        [f"{m['said']} -> {m['recognised']} ({m['times']})" for m in found["confused"][:_SHOWN]],
        [f"{m['word']} ({m['times']} of {m['said']})" for m in found["missed"][:_SHOWN]],
        [f"{m['word']} ({m['times']})" for m in found["inserted"][:_SHOWN]],
    )
    longest = max(map(len, columns))
    padded = [
        [c.replace("|", "\\|") for c in column] + [""] * (longest - len(column))
        for column in columns
    ]
    rows = list(zip(*padded, strict=True))
    header = ("confused", "not recognised, of so many said", "made up")
    return f"### Mistakes: {name}/{score.dataset}\n\n{markdown(header, rows)}"


def speed(timings: Mapping[str, dict[str, Any]]) -> str:
    """Real-time factor and latency of each set."""
    header = (
        "dataset",
        "RTF",
        *(f"RTF {p}" for p in _QUANTILES),
        *(f"latency {p} [ms]" for p in _QUANTILES),
    )
    rows = []
    for dataset, found in timings.items():
        rtf = [f"{found['rtf'][p]:.3f}" for p in _QUANTILES]
        latency = [1000 * found["latency"][p] if "latency" in found else None for p in _QUANTILES]
        overall = found.get("rtf_overall")
        rows.append((dataset, "-" if overall is None else f"{overall:.3f}", *rtf, *latency))
    where = sorted({found["hardware"] or "hardware not recorded" for found in timings.values()})
    return f"### Speed\n\n{markdown(header, rows)}\nDecoded on: {'; '.join(where)}.\n"


_QUANTILES = ("p50", "p90", "p95", "p99")


def confidence(found: Mapping[str, dict[str, Any]]) -> str:
    """How good the confidences of each set are."""
    keys = ("words", "correct", "confidence", "ece", "nce", "auroc")
    header = ("dataset", "source", "words", "share right", "mean confidence", "ECE", "NCE", "AUROC")
    rows = [
        (dataset, c["source"], *(_three(c[key]) for key in keys)) for dataset, c in found.items()
    ]
    return f"### Confidence\n\n{markdown(header, rows)}"


def _three(value: float | int | None) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value


def write_results(directory: str | Path, scored: Sequence[Scored], source: Provenance) -> str:
    """Write `scores.json` and `RESULTS.md` to a decode directory; returns the main tables."""
    directory = Path(directory)
    name = directory.name
    scores = [score for part in scored for score in part.scores]
    timings = {part.dataset: part.timing for part in scored if part.timing}
    sure = {part.dataset: part.calibration for part in scored if part.calibration}
    sets = {part.dataset: {score.kind: score.as_dict() for score in part.scores} for part in scored}
    more = {"timing": timings, "calibration": sure}
    write_json(directory / "scores.json", {**source.as_dict(), "task": "asr", "sets": sets, **more})
    tables = table(scores, name)
    words = [score for score in scores if score.kind == "wer"]
    parts = [
        tables,
        *(breakdown(score, name) for score in words),
        *(mistakes(s, name) for s in words),
    ]
    parts += [speed(timings)] if timings else []
    parts += [confidence(sure)] if sure else []
    head = f"# RESULTS\n\n## Environment\n\n{source.as_markdown()}\n\n## {directory}\n\n"
    write_text(directory / "RESULTS.md", head + "\n".join(part for part in parts if part))
    return tables
