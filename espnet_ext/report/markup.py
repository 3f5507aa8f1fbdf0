"""Pieces of HTML; every text that comes from outside passes through `esc` on its way in."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def esc(text: object) -> str:
    """Text, safe between tags and within a quoted attribute; control characters become U+FFFD."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(text))
    return html.escape(shown, quote=True)


def number(value: float | None, digits: int = 1) -> str:
    """A figure with so many digits after the point; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(bounds: Sequence[float] | None, digits: int = 1) -> str:
    """`3.1 – 5.4`; empty where there is none."""
    return f"{bounds[0]:.{digits}f} – {bounds[1]:.{digits}f}" if bounds else ""


def table(header: Sequence[str], rows: Iterable[Sequence[object]], text_columns: int = 1) -> str:
    """A table that scrolls sideways on a narrow screen.

    Args:
        header: headings, plain text.
        rows: cells; a str goes in as HTML (escape it before), anything else as its text.
        text_columns: so many columns from the left are text, the rest numbers, aligned right.
    """
    kinds = ["" if i < text_columns else ' class="n"' for i in range(len(header))]
    head = "".join(f'<th scope="col"{k}>{esc(h)}</th>' for k, h in zip(kinds, header, strict=True))
    body = "".join(f"<tr>{_cells(row, kinds)}</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _cells(row: Sequence[object], kinds: Sequence[str]) -> str:
    shown = (cell if isinstance(cell, str) else esc(cell) for cell in row)
    return "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, shown, strict=True))


def figure(content: str, caption: str) -> str:
    """A figure with one sentence that says what it shows."""
    return f"<figure>{content}<figcaption>{esc(caption)}</figcaption></figure>"


def section(identifier: str, title: str, *parts: str) -> str:
    """A part of the page under its own heading."""
    body = "\n".join(part for part in parts if part)
    return f'<section id="{esc(identifier)}"><h2>{esc(title)}</h2>\n{body}</section>'


def note(text: str) -> str:
    """A plain sentence."""
    return f"<p>{esc(text)}</p>"


def missing(text: str) -> str:
    """A sentence that says what could not be shown, and why."""
    return f'<p class="missing">{esc(text)}</p>'


def folded(summary: str, content: str) -> str:
    """Something long that opens on a click."""
    return f"<details><summary>{esc(summary)}</summary>{content}</details>"
