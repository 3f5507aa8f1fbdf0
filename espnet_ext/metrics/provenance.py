"""Where a figure comes from: date, commit, command, hardware. A number without these is hearsay."""

from __future__ import annotations

import platform
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from espnet_ext.machine import cores


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


def _output(*command: str) -> str:
    """First line that a command prints, empty if it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    """The commit of the code, "+" appended if files were changed since; "unknown" outside git."""
    here = str(Path(__file__).parent)
    name = _output("git", "-C", here, "rev-parse", "--short=12", "HEAD")
    changed = name and _output("git", "-C", here, "status", "--porcelain", "-uno")
    return name + ("+" if changed else "") or "unknown"


def hardware() -> str:
    """Processor, number of cores this process may use, and the GPUs."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    except OSError:
        pass
    gpus = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    return ", ".join([f"{name} ({cores()} cores)", *gpus])


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
