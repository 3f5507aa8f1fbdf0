"""How fast a recogniser was: real-time factor and latency, with their percentiles.

The real-time factor (RTF) is seconds of work per second of sound. A recogniser that hears an utterance to its end
before it starts has the result RTF x length after that: its latency. One that works while it listens writes its own
`latency`, seconds from the end of the utterance to its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError

PERCENTILES = (50, 90, 95, 99)


def numbers(path: Path) -> dict[str, float]:
    """A table of numbers that a decoder wrote; empty where it is missing.

    Raises:
        UserError: for a value that is no number.
    """
    if not path.is_file():
        return {}
    try:
        return {utt: float(value) for utt, value in read_table(path).items()}
    except ValueError as error:
        raise UserError(f"{path}: {error}, expected a number an utterance: decode again") from None


def percentiles(values: Mapping[str, float]) -> dict[str, float]:
    """`p50`, `p90`, ... of the values of utterances, and their `max`; interpolated between neighbours."""
    import numpy as np

    found = np.percentile(list(values.values()), PERCENTILES)
    named = {f"p{p}": round(float(v), 4) for p, v in zip(PERCENTILES, found, strict=True)}
    return {**named, "max": round(max(values.values()), 4)}


def timing(ref_dir: Path, hyp_dir: Path) -> dict[str, Any] | None:
    """What the decoder's `rtf` (and `latency`, if it wrote one) say of a set; None without one.

    Args:
        ref_dir: data directory; its `utt2dur` tells how long utterances are.
        hyp_dir: with `rtf`, and `hardware`, the machine's name, if the decoder wrote it.
    """
    rtf = numbers(hyp_dir / "rtf")
    if not rtf:
        return None
    lengths = numbers(ref_dir / "utt2dur")
    found: dict[str, Any] = {"utterances": len(rtf), "hardware": _hardware(hyp_dir)}
    known = {utt: lengths[utt] for utt in rtf if utt in lengths}
    if known:
        work = sum(rtf[utt] * seconds for utt, seconds in known.items())
        total = sum(known.values())
        found |= {"audio_seconds": round(total, 3), "rtf_overall": round(work / total, 4)}
    found["rtf"] = percentiles(rtf)
    latency = numbers(hyp_dir / "latency") or {u: rtf[u] * s for u, s in known.items()}
    if latency:
        found["latency"] = percentiles(latency)
    return found


def _hardware(hyp_dir: Path) -> str | None:
    path = hyp_dir / "hardware"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None
