"""Error rates by sclite's alignment: the figures of `sclite -r ref trn -h hyp trn`, in Python.

sclite aligns with the weights substitution 4, insertion 3, deletion 3 and, among alignments of
equal weight, prefers substitutions, then insertions, then deletions, seen from the end (SCTK,
src/sclite/net_dp.c). Both matter: three substitutions weigh as much as two insertions and two
deletions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SUBSTITUTION, INSERTION, DELETION = 4, 3, 3
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True)
class Counts:
    """What an alignment counts; `a + b` adds two of them up."""

    sentences: int = 0  # utterances
    words: int = 0  # tokens of the reference: correct + substitutions + deletions
    correct: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    wrong_sentences: int = 0  # utterances with at least one error

    def __add__(self, other: Counts) -> Counts:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Counts(*(a + b for a, b in pairs))

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def error_rate(self) -> float | None:
        """Errors per reference token, in percent; None if there is no reference token."""
        return percent(self.errors, self.words)

    @property
    def sentence_error_rate(self) -> float | None:
        """Wrong utterances, in percent; None if there is no utterance."""
        return percent(self.wrong_sentences, self.sentences)


def percent(part: int, whole: int) -> float | None:
    """100 part / whole, None where nothing can be said."""
    return 100.0 * part / whole if whole else None


@dataclass(frozen=True)
class Alignment:
    """One utterance, aligned.

    Attributes:
        ref, hyp: the tokens.
        ops: a letter a column: C correct, S substitution, D deletion, I insertion.
    """

    ref: tuple[str, ...]
    hyp: tuple[str, ...]
    ops: str

    @property
    def counts(self) -> Counts:
        c, s, d, i = (self.ops.count(op) for op in "CSDI")
        return Counts(1, len(self.ref), c, s, d, i, int(c < len(self.ops)))

    def columns(self) -> list[tuple[str, str, str]]:
        """(op, reference token, hypothesis token), an empty string where there is none."""
        ref, hyp = iter(self.ref), iter(self.hyp)
        return [
            (op, "" if op == "I" else next(ref), "" if op == "D" else next(hyp)) for op in self.ops
        ]


def fold(token: str) -> str:
    """Lower case of the 26 ASCII letters, which is what sclite ignores the case of."""
    return token.translate(_ASCII_LOWER)


def align(ref: Sequence[str], hyp: Sequence[str], case_sensitive: bool = False) -> Alignment:
    """Align two token sequences as sclite does.

    Args:
        ref: reference tokens; may be empty.
        hyp: hypothesis tokens; may be empty.
        case_sensitive: whether `A` and `a` differ (sclite -s).
    """
    a, b = (list(ref), list(hyp)) if case_sensitive else ([*map(fold, ref)], [*map(fold, hyp)])
    if a == b:
        ops = "C" * len(a)
    elif not a or not b:
        ops = "D" * len(a) + "I" * len(b)
    else:
        ops = _align_ids(*_number(a, b))
    return Alignment(tuple(ref), tuple(hyp), ops)


def _number(a: list[str], b: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens as integers, equal where the tokens are."""
    import numpy as np

    ids: dict[str, int] = {}
    numbers = [[ids.setdefault(token, len(ids)) for token in tokens] for tokens in (a, b)]
    return np.asarray(numbers[0], dtype=np.int32), np.asarray(numbers[1], dtype=np.int32)


def _align_ids(ref: np.ndarray, hyp: np.ndarray) -> str:
    """The operations for two integer sequences, lengths N and M, neither empty."""
    import numpy as np

    weight = np.where(ref[:, None] == hyp[None, :], 0, SUBSTITUTION).astype(np.int32)  # (N, M)
    cost = _costs(weight)
    return _trace(cost.data, weight.data)


def _costs(weight: np.ndarray) -> np.ndarray:
    """Cheapest cost of aligning every pair of prefixes.

    A row at a time: insertions run along the row, and the minimum over k <= j of t[k] + 3 (j - k)
    is a running minimum of t[k] - 3 k.

    Args:
        weight: (N, M), the cost of putting ref token i under hyp token j.

    Returns:
        (N + 1, M + 1).
    """
    import numpy as np

    n, m = weight.shape
    cost = np.empty((n + 1, m + 1), dtype=np.int32)
    inserted = INSERTION * np.arange(m + 1, dtype=np.int32)
    cost[0] = inserted
    for i in range(n):
        row = cost[i] + DELETION
        np.minimum(row[1:], cost[i, :-1] + weight[i], out=row[1:])
        row -= inserted
        np.minimum.accumulate(row, out=row)
        np.add(row, inserted, out=cost[i + 1])
    return cost


def _trace(cost: memoryview, weight: memoryview) -> str:
    """Walk back from the end with sclite's preferences."""
    i, j = (size - 1 for size in cost.shape or ())
    ops = []
    while i and j:
        step = weight[i - 1, j - 1]
        substitute = cost[i - 1, j - 1] + step
        delete, insert = cost[i - 1, j] + DELETION, cost[i, j - 1] + INSERTION
        if substitute <= delete and substitute <= insert:
            ops.append("S" if step else "C")
            i, j = i - 1, j - 1
        elif delete < insert:
            ops.append("D")
            i -= 1
        else:
            ops.append("I")
            j -= 1
    ops += ["D"] * i + ["I"] * j
    return "".join(reversed(ops))


def total(counts: Iterable[Counts]) -> Counts:
    """The sum."""
    return sum(counts, Counts())


def by_speaker(
    alignments: Mapping[str, Alignment], utt2spk: Mapping[str, str]
) -> dict[str, Counts]:
    """Counts of every speaker, in the order of their names; an utterance without one is its own."""
    sums: dict[str, Counts] = {}
    for utterance, alignment in alignments.items():
        speaker = utt2spk.get(utterance, utterance)
        sums[speaker] = sums.get(speaker, Counts()) + alignment.counts
    return dict(sorted(sums.items()))


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: East Asian wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def pretty(alignment: Alignment, width: int = 100) -> str:
    """REF / HYP / EVAL lines, in blocks no wider than `width` columns where tokens allow.

    Errors stand in capitals and gaps as asterisks, as in sclite's report.
    """
    blocks: list[list[list[str]]] = []
    used = width
    for op, ref, hyp in alignment.columns():
        cells = [ref.lower(), hyp.lower()] if op == "C" else [ref.upper(), hyp.upper()]
        size = max(*map(_width, cells), 1)
        if used + size + 1 > width:
            blocks.append([["REF: "], ["HYP: "], ["EVAL:"]])
            used = 5
        used += size + 1
        shown = [cell or "*" * size for cell in cells] + ["" if op == "C" else op]
        for line, cell in zip(blocks[-1], shown, strict=True):
            line.append(cell + " " * (size - _width(cell)))
    return "\n\n".join("\n".join(" ".join(line).rstrip() for line in block) for block in blocks)
