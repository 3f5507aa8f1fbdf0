"""An audit as files that programs read: audit.tsv (a line an utterance) and audit.json (the sums)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from espnet_ext.files import atomic_open, write_json
from espnet_ext.quality.audit import COLUMNS, Audit
from espnet_ext.quality.findings import KINDS

#: So many findings of a kind are named in audit.json; all are in audit.tsv.
NAMED = 20


def write_results(found: Audit, output: Path) -> dict[str, Any]:
    """Write `audit.tsv` and `audit.json` into `output`; returns what the latter holds."""
    with atomic_open(output / "audit.tsv") as stream:
        stream.write("\t".join(["utt", *COLUMNS, "digest", "problems"]) + "\n")
        for index, utt in enumerate(found.utts):
            values = (_number(found.columns[name][index]) for name in COLUMNS)
            digest = f"{found.digests[index]:016x}" if found.digests[index] else ""
            problems = ",".join(found.kinds(index))
            stream.write("\t".join([utt, *values, digest, problems]) + "\n")
    summary = summarise(found)
    write_json(output / "audit.json", summary)
    return summary


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def summarise(found: Audit) -> dict[str, Any]:
    """Sums of an audit, as JSON holds them."""
    return {
        "directory": str(found.directory),
        "verdict": "refused" if found.refused else "fit for training",
        "utterances": len(found.utts),
        "hours": found.seconds / 3600,
        "findings": {kind: _findings(found, kind) for kind in found.findings},
        "columns": {name: quantiles(found.columns[name]) for name in COLUMNS},
        "represented": {what: asdict(spread) for what, spread in found.spreads.items()},
        "limits": asdict(found.limits),
    }


def _findings(found: Audit, kind: str) -> dict[str, Any]:
    named = found.findings[kind][:NAMED]
    return {
        "count": found.counts[kind],
        "refused": kind in found.policy.refused,
        "meaning": KINDS[kind],
        "worst": [{"utt": f.utt, "message": f.message} for f in named],
    }


def quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """Minimum, 5 %, median, 95 % and maximum of what is known; None where nothing is."""
    import numpy as np

    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return None
    names = ("min", "p5", "median", "p95", "max")
    points = np.quantile(known, (0, 0.05, 0.5, 0.95, 1))
    return {name: round(float(v), 6) for name, v in zip(names, points, strict=True)}


def offenders(found: Audit, shown: int = 5) -> str:
    """The findings for which a directory is refused, a few lines for each kind."""
    lines = []
    for kind in found.refused:
        lines.append(f"\n  {kind}: {found.counts[kind]} ({KINDS[kind]})")
        for finding in found.findings[kind][:shown]:
            lines.append(f"\n    {': '.join(filter(None, (finding.utt, finding.message)))}")
        more = found.counts[kind] - shown
        lines += [f"\n    ... and {more} more"] * (more > 0)
    return "".join(lines)
