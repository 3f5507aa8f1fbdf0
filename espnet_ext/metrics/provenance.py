"""Where a figure comes from: date, commit, command, hardware. A number without these is hearsay."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from espnet_ext.machine import hardware, output_of


@dataclass(frozen=True)
class Provenance:
    """What a table of results says about itself; each field is one line of text."""

    date: str
    commit: str
    command: str
    hardware: str
    python: str
    espnet: str
    torch: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    def as_markdown(self) -> str:
        """A list of `- name: value` lines."""
        return "\n".join(f"- {name}: `{value}`" for name, value in self.as_dict().items())


def commit() -> str:
    """The commit of the code, "+" appended if files were changed since; "unknown" outside git."""
    here = str(Path(__file__).parent)
    name = output_of("git", "-C", here, "rev-parse", "--short=12", "HEAD")
    changed = name and output_of("git", "-C", here, "status", "--porcelain", "-uno")
    return name + ("+" if changed else "") or "unknown"


def installed_version(package: str) -> str:
    """Version of a package, or "not installed"."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def provenance(command: str, argv: Sequence[str]) -> Provenance:
    """Facts about this run.

    Args:
        command: name of the command, e.g. "score_asr".
        argv: its arguments.
    """
    return Provenance(
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        commit=commit(),
        command=shlex.join(["python", "-m", f"espnet_ext.bin.{command}", *argv]),
        hardware=hardware(),
        python=platform.python_version(),
        espnet=installed_version("espnet"),
        torch=installed_version("torch"),
    )
