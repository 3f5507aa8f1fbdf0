"""RESULTS.md: each benchmark writes its own section and leaves the others alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def origin(script: str, argv: Sequence[str]) -> list[str]:
    """The end of a section: date, commit, command, hardware, versions and load, a line each."""
    from espnet_ext.metrics.provenance import provenance

    facts = provenance("", ()).as_dict()
    facts["command"] = " ".join([f"python benchmarks/{script}.py", *argv])
    facts["load average at the end"] = " ".join(f"{x:.1f}" for x in os.getloadavg())
    return [*(f"- {name}: `{value}`" for name, value in facts.items()), ""]


def write_section(path: Path, name: str, text: str) -> None:
    """Put `text` between the markers of `name`; the rest of the file stays as it is."""
    from espnet_ext.files import write_text

    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    old = path.read_text(encoding="utf-8") if path.is_file() else "# Results\n"
    before, found, rest = old.partition(begin)
    after = rest.partition(end)[2] if found else ""
    write_text(path, (before if found else before + "\n") + begin + text + end + after)
