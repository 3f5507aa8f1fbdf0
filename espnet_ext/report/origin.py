"""Where the figures come from: time of every stage, versions, hardware, commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espnet_ext.progress import clock
from espnet_ext.report.markup import esc, folded, missing, note, section, table
from espnet_ext.report.sources import stage_records
from espnet_ext.report.summary import Sources


def times(summary: Mapping[str, Any]) -> str:
    """A bar for every stage."""
    found: dict[str, float] = summary["seconds"]
    if not found:
        return section("times", "Time", missing("No stage has left a record of its time."))
    most = max(found.values()) or 1.0
    rows = [
        (
            esc(name),
            f'<span class="bar wide" style="--share:{100 * value / most:.1f}%"></span>',
            clock(value) if value >= 10 else f"{value:.1f}s",
        )
        for name, value in found.items()
    ]
    explain = f"Wall time of each stage, attempts that failed included; {clock(summary['wall_seconds'])} in all"
    side_by_side = summary["total_seconds"] - summary["wall_seconds"] > 1
    explain += ", for some ran at the same time." if side_by_side else "."
    return section("times", "Time", note(explain), table(("stage", "", "time"), rows, 2))


def origin(summary: Mapping[str, Any], sources: Sources) -> str:
    """Versions, and the command of every stage, which also work by hand."""
    rows = [
        (esc(name), f"<code>{esc(value)}</code>") for name, value in summary["versions"].items()
    ]
    commands = [
        folded(f"Commands of {part.name}", _commands(part_records))
        for part in sources.recipes
        if (part_records := stage_records(part.recipe))
    ]
    return section("origin", "How this was made", table(("what", "version"), rows, 2), *commands)


def _commands(records: list[dict[str, Any]]) -> str:
    return "".join(
        f"<h4>{esc(record.get('number', ''))} {esc(record.get('title', record.get('name', '')))}</h4>"
        f"<pre>{esc(record.get('command', ''))}</pre>"
        for record in records
    )
