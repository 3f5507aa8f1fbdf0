"""What the backends of run_jobs.py share: Kaldi's calling convention, and one job with its log.

run_jobs.py [--option value]... [JOB=1:8] exp/logs/name.JOB.log command with JOB in it
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.append(ROOT)  # for the parts of espnet_ext that need nothing but the standard library

OPTIONS = {
    "backend": "local",
    "num_threads": "",
    "gpu": "0",
    "mem": "",
    "time": "",
    "max_jobs_run": "",
    "config": "",
}


class BadUsage(Exception):
    """The command line does not follow the convention; exit status 2."""


class Stopped(Exception):
    """A signal asks to end."""

    held = False  # whether signals wait, and the one that came meanwhile
    waiting = 0

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Request:
    """A parsed command line: `tasks` (empty for a single job), one `log` and `command` for all."""

    def __init__(
        self, options: dict[str, str], variable: str, tasks: range, log: str, command: list[str]
    ) -> None:
        self.options, self.variable, self.tasks = options, variable, tasks
        self.log, self.command = log, command

    def number(self, option: str) -> int:
        """A whole-number option; 0 when it is not given."""
        text = self.options[option] or "0"
        if not text.isdigit():
            raise BadUsage(f"--{option} {text}: expected a whole number")
        return int(text)

    def of(self, task: int | None) -> tuple[str, list[str]]:
        """Log and command of one job, its number put for JOB."""
        if task is None:
            return self.log, self.command
        put = [word.replace(self.variable, str(task)) for word in [self.log, *self.command]]
        return put[0], put[1:]


def parse(words: Sequence[str]) -> Request:
    """Read Kaldi's calling convention.

    Raises:
        BadUsage: for an unknown option, a bad range, a missing command, or one log for many jobs.
    """
    rest = list(words)
    options = parse_options(rest)
    variable, tasks = "", range(0)
    match = re.fullmatch(r"([A-Z]+)=(\d+)(?::(\d+))?", rest[0]) if rest else None
    if match:
        rest.pop(0)
        first, last = int(match[2]), int(match[3] or match[2])
        variable, tasks = match[1], range(first, last + 1)
        if not 1 <= first <= last:
            raise BadUsage(f"{match[0]}: expected FIRST:LAST with 1 <= FIRST <= LAST")
    if len(rest) < 2:
        raise BadUsage("expected [options] [JOB=1:N] LOG COMMAND...")
    if len(tasks) > 1 and variable not in rest[0]:
        raise BadUsage(f"log {rest[0]}: expected {variable} in its name, a log for each job")
    return Request(options, variable, tasks, rest[0], rest[1:])


def parse_options(rest: list[str]) -> dict[str, str]:
    """Take the leading `--option value` pairs off `rest`."""
    options = dict(OPTIONS)
    while rest and rest[0].startswith("--"):
        word = rest.pop(0)
        name, equals, value = word[2:].partition("=")
        name = name.replace("-", "_")
        if name not in options:
            raise BadUsage(f"no option {word}; there are --{' --'.join(OPTIONS)}")
        if not equals and not rest:
            raise BadUsage(f"--{name}: its value is missing")
        options[name] = value if equals else rest.pop(0)
    return options


def cores() -> int:
    """Cores this process may use."""
    from espnet_ext.machine import cores as found

    return found()


def catch_signals() -> None:
    """Turn Ctrl-C, SIGTERM and a closed terminal into Stopped, and end when the parent ends."""

    def stop(number: int, frame: object) -> None:
        Stopped.waiting = number
        if not Stopped.held:
            raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup keeps its meaning
            signal.signal(number, stop)
    die_with_parent(signal.SIGTERM)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals wait while something is started, so that nothing starts unknown to us."""
    Stopped.held, Stopped.waiting = True, 0
    try:
        yield
    finally:
        Stopped.held = False
    if Stopped.waiting:
        raise Stopped(Stopped.waiting)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask Linux for a signal when the parent goes: `kill -9` of a run leaves no orphan at work."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, int(number))


def open_log(log: str, command: list[str]):  # type: ignore[no-untyped-def]
    """Open a job's log (bytes, unbuffered) with a header that tells what ran, where and when."""
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    stream = open(log, "wb", buffering=0)  # noqa: SIM115 (close_log closes it)
    head = f"# {shlex.join(command)}\n# Running on {os.uname().nodename}\n# Started at {now()}\n#\n"
    stream.write(head.encode())
    return stream


def close_log(stream, status: int, started: float, threads: int) -> None:  # type: ignore[no-untyped-def]
    """Write Kaldi's trailer: time, threads and exit status."""
    seconds = time.monotonic() - started
    with stream:
        stream.write(
            f"# Accounting: time={seconds:.0f} threads={threads}\n"
            f"# Ended (code {status}) at {now()}, elapsed time {seconds:.1f} seconds\n".encode()
        )


def now() -> str:
    """Date and time as Kaldi's logs have it."""
    return time.strftime("%a %b %d %H:%M:%S %Z %Y")


def start(command: list[str], stdout: object, env: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
    """Start a job in a session of its own, so that it can be ended with all that it started."""
    import subprocess

    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,  # type: ignore[call-overload]
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    except FileNotFoundError:
        raise BadUsage(f"no program {command[0]!r}: is the environment active (path.sh)?") from None
    except PermissionError:
        raise BadUsage(f"{command[0]!r} cannot be run: chmod +x it?") from None


def end(processes: Sequence) -> None:  # type: ignore[type-arg]
    """End jobs with their children: ask, wait up to five seconds, then kill."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 1.0)):
        for process in processes:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                pass
        until = time.monotonic() + patience
        while any(p.poll() is None for p in processes) and time.monotonic() < until:
            time.sleep(0.02)


def exit_status(returncode: int) -> int:
    """A shell's way to tell of a death by signal: 128 + its number."""
    return 128 - returncode if returncode < 0 else returncode


def own_lines(log: str, count: int = 20) -> list[str]:
    """The last lines a job wrote itself: without the header and the trailer."""
    with open(log, encoding="utf-8", errors="replace") as stream:
        lines = stream.read()[-20000:].splitlines()
    ours = ("# Accounting: ", "# Ended (code ", "# Started at ", "# Running on ")
    lines = [line for line in lines if not line.startswith(ours)]
    return lines[-count:]


def report_failure(log: str, status: int, what: str, show: bool = True) -> None:
    """Say on stderr which job failed, with its own last lines and where the rest is."""
    why = {137: " (killed: out of memory?)", 127: " (command not found)"}.get(status, "")
    print(f"\n{what} failed with exit status {status}{why}; log: {log}", file=sys.stderr)
    for line in own_lines(log) if show else []:
        print(f"  | {line}", file=sys.stderr)
    sys.stderr.flush()
