"""RESULTS.md: each benchmark writes its own section and leaves the others alone."""

from __future__ import annotations

from pathlib import Path


def write_section(path: Path, name: str, text: str) -> None:
    """Put `text` between the markers of `name`; the rest of the file stays as it is."""
    from espnet_ext.files import write_text

    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    old = path.read_text(encoding="utf-8") if path.is_file() else "# Results\n"
    before, found, rest = old.partition(begin)
    after = rest.partition(end)[2] if found else ""
    write_text(path, (before if found else before + "\n") + begin + text + end + after)
