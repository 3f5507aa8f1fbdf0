"""What this machine lets us use. Standard library only: `python3 espnet_ext/machine.py` prints the cores."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores this process may use: its affinity, or less where a container's quota is lower."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    quota = _quota(CGROUPS)
    return max(1, round(quota)) if quota < count else count


def _quota(groups: Path) -> float:
    """Cores that the control group of a container allows; infinite without a limit."""
    both = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))  # versions 2 and 1
    for names in both:
        try:
            quota, period = " ".join((groups / name).read_text() for name in names).split()
            return int(quota) / int(period) if int(quota) > 0 else math.inf
        except (OSError, ValueError):  # "max" is no number
            continue
    return math.inf


def output_of(*command: str) -> str:
    """What a command prints, empty if it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def hardware() -> str:
    """Processor, number of cores this process may use, and the GPUs."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    except OSError:
        pass
    gpus = output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    return ", ".join([f"{name} ({cores()} cores)", *gpus])


if __name__ == "__main__":
    print(cores())
