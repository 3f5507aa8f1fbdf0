"""Which words a recogniser confuses, misses and makes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from espnet_ext.metrics.wer import Alignment, fold

Confusions = Counter[tuple[str, str, str]]


def confusions(aligned: Iterable[Alignment]) -> Confusions:
    """How often each (operation, reference word, recognised word) that is an error occurs."""
    columns = (column for alignment in aligned for column in alignment.columns())
    return Counter(column for column in columns if column[0] != "C")


def said(aligned: Iterable[Alignment]) -> Counter[str]:
    """How often each word occurs in the references, upper and lower case of ASCII letters together."""
    return Counter(fold(word) for alignment in aligned for word in alignment.ref)


def most_frequent(found: Confusions, op: str, count: int) -> list[tuple[tuple[str, str], int]]:
    """((reference word, recognised word), times) of an operation, the most frequent first, ties by word."""
    rows = [((ref, hyp), times) for (kind, ref, hyp), times in found.items() if kind == op]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:count]


def summary(aligned: Iterable[Alignment], count: int = 20) -> dict[str, list[dict[str, Any]]]:
    """The most frequent of each kind, for scores.json.

    A word is missed where it was deleted or another one recognised; `said` is how often it was to be heard.
    """
    aligned = list(aligned)
    found, times = confusions(aligned), said(aligned)
    missed, spelled = Counter[str](), dict[str, str]()
    for (op, ref, _), number in found.items():
        if op != "I":
            missed[fold(ref)] += number
            spelled.setdefault(fold(ref), ref)
    worst = sorted(missed.items(), key=lambda row: (-row[1], row[0]))[:count]
    return {
        "confused": [
            {"said": ref, "recognised": hyp, "times": n}
            for (ref, hyp), n in most_frequent(found, "S", count)
        ],
        "missed": [{"word": spelled[w], "times": n, "said": times[w]} for w, n in worst],
        "deleted": [{"word": ref, "times": n} for (ref, _), n in most_frequent(found, "D", count)],
        "inserted": [{"word": hyp, "times": n} for (_, hyp), n in most_frequent(found, "I", count)],
    }
