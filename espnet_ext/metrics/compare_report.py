"""What a comparison of two recognisers says, as text and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.compare import Comparison, Material, differ_most
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.tables import markdown
from espnet_ext.metrics.wer import pretty

ByGroup = Mapping[str, Mapping[str, Comparison]]


def probability(p: float) -> str:
    """A p-value as it is printed.

    >>> probability(0.0321), probability(1e-5)
    ('0.032', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def verdict(found: Comparison, kind: str) -> str:
    """One sentence: who is better, and whether that is more than chance."""
    if not found.gain:
        return f"A and B have the same {kind.upper()}."
    better, worse = ("B", "A") if found.gain > 0 else ("A", "B")
    base = found.first if better == "B" else found.second
    relative = 100 * abs(found.gain) / (base.error_rate or 1)
    sure = found.test.p < 0.05
    judged = "more than chance" if sure else "no more than chance would give"
    return (
        f"{better} has the lower {kind.upper()}: {abs(found.gain):.2f} points ({relative:.1f} % relative) below "
        f"{worse}'s, {judged} (p {probability(found.test.p)})."
    )


def summary(found: Comparison, kind: str) -> str:
    """The main figures, a line each, and the verdict."""
    a, b = found.first, found.second
    rows = [
        (name, c.sentences, c.words, c.error_rate, c.substitutions, c.deletions, c.insertions,
         c.sentence_error_rate)
        for name, c in (("A", a), ("B", b))
    ]  # fmt: skip
    header = ("system", "Snt", "Wrd", kind.upper(), "Sub", "Del", "Ins", "S.Err")
    lines = [markdown(header, rows), verdict(found, kind), ""]
    if found.bootstrap and found.gain is not None:
        low, high = found.bootstrap.interval
        lines.append(
            f"- A less B: {found.gain:+.2f} points, 95 % interval [{low:+.2f}, {high:+.2f}] (bootstrap); B is better "
            f"with probability {found.bootstrap.probability:.3f}"
        )
    z = "-" if found.test.z is None else f"{found.test.z:.2f}"
    lines += [
        f"- matched pairs (MAPSSWE): {found.test.segments} segments with errors, Z {z}, p {probability(found.test.p)}",
        f"- sentences that only A got wrong: {found.only_first}, only B: {found.only_second}; McNemar's p "
        f"{probability(found.sentences_p)}",
    ]
    return "\n".join(lines) + "\n"


def group_tables(groups: ByGroup, kind: str) -> str:
    """A table for each way of dividing the utterances."""
    parts = []
    for way, found in groups.items():
        header = (way, "Wrd", f"{kind.upper()} A", f"{kind.upper()} B", "A less B", "95 %", "p")
        rows = [
            (group, c.first.words, c.first.error_rate, c.second.error_rate, c.gain, _interval(c),
             probability(c.test.p))
            for group, c in found.items()
        ]  # fmt: skip
        parts.append(f"### By {way}\n\n{markdown(header, rows)}")
    return "\n".join(parts)


def _interval(found: Comparison) -> str:
    if not found.bootstrap:
        return "-"
    low, high = found.bootstrap.interval
    return f"{low:+.1f} to {high:+.1f}"


def utterances(material: Material, count: int) -> str:
    """The utterances that differ most, aligned for both."""
    parts = []
    for utt in differ_most(material.pairs, count):
        a, b = material.pairs[utt]
        errors = f"errors of A {a.counts.errors}, of B {b.counts.errors}"
        parts.append(f"{utt}: {errors}\nA\n{pretty(a)}\nB\n{pretty(b)}\n")
    return "\n".join(parts)


def text_of(found: Comparison, groups: ByGroup, material: Material, kind: str, worst: int) -> str:
    """All of it, in Markdown."""
    parts = [summary(found, kind), group_tables(groups, kind)]
    if worst and (said := utterances(material, worst)):
        parts.append(f"### Utterances that differ most\n\n```\n{said}```\n")
    return "\n".join(part for part in parts if part)


def write_comparison(
    directory: Path, found: Comparison, groups: ByGroup, text: str, source: Provenance
) -> None:
    """Write `comparison.json` and `COMPARISON.md`."""
    parts = {way: {g: c.as_dict() for g, c in by.items()} for way, by in groups.items()}
    record = {**source.as_dict(), "all": found.as_dict(), "groups": parts}
    write_json(directory / "comparison.json", record)
    head = f"# A against B\n\n{source.as_markdown()}\n\n"
    write_text(directory / "COMPARISON.md", head + text)
