"""Progress of long work: a bar on a terminal, a plain line now and then in a log.

A job of a recipe writes into a pipe; ESPNET_EXT_PROGRESS=bar tells it that a terminal is at the other end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

Item = TypeVar("Item")


def clock(seconds: float) -> str:
    """Seconds as people read them: 42s, 3m10s, 2h05m."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _line(label: str, done: int, total: int, started: float) -> str:
    elapsed = time.monotonic() - started
    left = elapsed / max(done, 1) * (total - done)
    return f"{label}: {done}/{total}  {clock(elapsed)} so far, {clock(left)} left"


def _bar(done: int, total: int, width: int = 24) -> str:
    full = width * done // max(total, 1)
    return "█" * full + "░" * (width - full)


def progress(
    items: Iterable[Item],
    total: int,
    label: str,
    every: float = 10.0,
    stream: TextIO | None = None,
    quiet_end: bool = False,
) -> Iterator[Item]:
    """Yield from `items`, reporting how far it is and how long the rest will take.

    Args:
        items: what to go through.
        total: how many there are.
        label: what is being done, e.g. "format train".
        every: seconds between two lines when the output is not a terminal.
        stream: where to report, standard error by default.
        quiet_end: say nothing at the end, because the caller does.
    """
    out = stream or sys.stderr
    terminal = out.isatty() or os.environ.get("ESPNET_EXT_PROGRESS") == "bar"
    started = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= (0.2 if terminal else every) and done < total:
            last = now
            line = _line(label, done, total, started)
            out.write(f"\r{_bar(done, total)} {line}\033[K" if terminal else line + "\n")
            out.flush()
    out.write("\r\033[K" if terminal else "")
    if not quiet_end:
        out.write(f"{label}: {done} done in {clock(time.monotonic() - started)}\n")
    out.flush()
