"""The page of a comparison of two recognisers: the verdict, differences by group, the utterances that differ most."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from espnet_ext.files import write_text
from espnet_ext.metrics.compare import Comparison, Material, differ_most
from espnet_ext.metrics.compare_report import ByGroup, probability, verdict
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.report.markup import esc, interval, note, number, section, table
from espnet_ext.report.mistakes import aligned_html
from espnet_ext.report.page import document
from espnet_ext.report.sound import Players

_LINKS = {"verdict": "Verdict", "groups": "By group", "differ": "Utterances", "origin": "How made"}
_HEARD = 6  # utterances with a player
_EXPLAIN = (
    "The interval is the bootstrap's (the gain would lie in there about 95 times in 100, were other utterances like "
    "these drawn); p is the probability of a difference at least as large if both were equally good (matched-pair "
    "sentence-segment word error test)."
)


def write_page(
    directory: Path,
    found: Comparison,
    groups: ByGroup,
    material: Material,
    kind: str,
    worst: int,
    source: Provenance,
) -> Path:
    """Write `comparison.html`; returns its path.

    Args:
        directory: where to.
        found, groups, material: what was compared, and what came of it.
        kind: "wer" or "cer".
        worst: how many utterances are shown that differ most.
        source: where the figures come from.
    """
    facts = [(esc(name), f"<code>{esc(value)}</code>") for name, value in source.as_dict().items()]
    body = [
        _verdict(found, kind),
        section("groups", "By group", *(_group(way, by, kind) for way, by in groups.items())),
        _utterances(material, worst),
        section("origin", "How this was made", table(("what", "value"), facts, 2)),
    ]
    path = directory / "comparison.html"
    write_text(path, document("A against B", _LINKS, body))
    return path


def _verdict(found: Comparison, kind: str) -> str:
    rows = [
        (
            name,
            c.sentences,
            c.words,
            f"<strong>{number(c.error_rate)}</strong>",
            c.substitutions,
            c.deletions,
            c.insertions,
            number(c.sentence_error_rate),
        )
        for name, c in (("A", found.first), ("B", found.second))
    ]
    header = ("system", "sentences", "said", f"{kind.upper()} %", "wrong", "missing", "made up",
              "sentences wrong %")  # fmt: skip
    sure = found.bootstrap
    better = f" B is better with probability {sure.probability:.3f}." if sure else ""
    around = f" A less B: {interval(sure.interval, 2)} points." if sure else ""
    return section(
        "verdict",
        "Verdict",
        f"<p><strong>{esc(verdict(found, kind))}</strong>{esc(around + better)}</p>",
        table(header, rows),
        f'<p class="small">{esc(_EXPLAIN)}</p>',
    )


def _group(way: str, found: Mapping[str, Comparison], kind: str) -> str:
    header = (way, "said", f"{kind.upper()} A %", f"{kind.upper()} B %", "A less B", "95 %", "p")
    rows = [
        (
            esc(group),
            c.first.words,
            number(c.first.error_rate),
            number(c.second.error_rate),
            "" if c.gain is None else f"{c.gain:+.1f}",
            interval(c.bootstrap.interval if c.bootstrap else None),
            esc(probability(c.test.p)),
        )
        for group, c in found.items()
    ]
    return f"<h3>By {esc(way)}</h3>{table(header, rows)}"


def _utterances(material: Material, worst: int) -> str:
    players = Players()
    blocks = []
    for index, utt in enumerate(differ_most(material.pairs, worst)):
        first, second = material.pairs[utt]
        entry = material.sounds.get(utt) if index < _HEARD else None
        heard = players.from_entry(entry, utt) if entry else ""
        head = f"<code>{esc(utt)}</code> errors of A {first.counts.errors}, of B {second.counts.errors}"
        sides = f"<h4>A</h4>{aligned_html(first)}<h4>B</h4>{aligned_html(second)}"
        blocks.append(f'<div class="utt"><p>{head}</p>{sides}{heard}</div>')
    title = "Utterances that differ most"
    return section("differ", title, *(blocks or [note("None: both made as many errors in each.")]))
