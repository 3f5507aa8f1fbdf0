"""Start the processes that train together on this machine, and end them all when one of them ends early.

Each is the same command with torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), so that
the command does not care who has started it. Imports nothing heavy: the processes do.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from espnet_ext.machine import cores

#: Exit status of a process that another one has left.
LOST = 76
#: Name of the variable with the number of the process that started this one.
PARENT = "ESPNET_EXT_PARENT"
#: Seconds that the others have to notice that one has ended, and then to obey SIGTERM.
_NOTICE, _OBEY = 20.0, 10.0


def is_one_of_many() -> bool:
    """Whether somebody (torchrun, or `launch`) has started this process with others."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def end_at_once(work: Callable[[], int]) -> NoReturn:
    """End this process with the status of `work`, without what Python does at its end.

    There the threads of a broken connection to the other processes may abort the process, whatever its status was.
    """
    status = 1
    try:
        status = work()
    except SystemExit as stopped:
        status = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def launch(command: Sequence[str], number: int) -> int:
    """Run `command` in `number` processes; the exit status of what went wrong first, else 0.

    The first one's output is this process' own; what another one says is shown only if it failed by itself.
    """
    said: list[IO[str]] = [tempfile.TemporaryFile("w+") for _ in range(number)]  # noqa: SIM115
    port = _free_port()
    running = [
        subprocess.Popen(
            command,
            env=_environment(rank, number, port),
            stdout=subprocess.DEVNULL if rank else None,
            stderr=said[rank] if rank else None,
        )
        for rank in range(number)
    ]
    with _forwarding(running) as asked:
        try:
            codes = _wait(running)
        finally:
            _end(running)
    return 128 + asked[0] if asked and any(codes) else _verdict(codes, said)


def _environment(rank: int, number: int, port: int) -> dict[str, str]:
    found = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        PARENT: str(os.getpid()),
    }
    threads = int(found.get("OMP_NUM_THREADS") or cores())
    # more threads than cores would wait for each other at every operation
    found["OMP_NUM_THREADS"] = str(max(1, min(threads, cores() // number)))
    if Path("/sys/class/net/lo").exists():
        found.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a machine's name may lead nowhere
    return found


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _forwarding(running: Sequence[subprocess.Popen[Any]]) -> Iterator[list[int]]:
    """SIGTERM goes on to the processes, which save their state and end; gives what has come."""
    come: list[int] = []

    def forward(number: int, frame: Any) -> None:
        come.append(number)
        for process in running:
            process.send_signal(number)

    before = signal.signal(signal.SIGTERM, forward)
    try:
        yield come
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait(running: Sequence[subprocess.Popen[Any]]) -> list[int]:
    """Exit statuses when all have ended, or `_NOTICE` seconds after one has failed; who still waits then, lost it."""
    deadline = None
    while any(process.poll() is None for process in running):
        if deadline is None and any(process.returncode for process in running):
            deadline = time.monotonic() + _NOTICE
        if deadline is not None and time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return [LOST if p.returncode is None else p.returncode for p in running]


def _end(running: Sequence[subprocess.Popen[Any]]) -> None:
    """End what still runs: first it is asked, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in running:
            if process.poll() is None:
                process.send_signal(number)
        deadline = time.monotonic() + _OBEY
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(0.05)


def _verdict(codes: Sequence[int], said: Sequence[IO[str]]) -> int:
    """Say which process failed and why, where the first one has not said it; the exit status."""
    failed = [rank for rank, code in enumerate(codes) if code not in (0, LOST)]
    if not failed:
        return max(codes, default=0)
    rank = next((rank for rank in failed if codes[rank] < 0), failed[0])
    if rank != 0 and (codes[0] in (0, LOST) or codes[rank] < 0):
        said[rank].seek(0)
        sys.stderr.write(said[rank].read())
    if codes[rank] > 0:
        return codes[rank]
    print(
        f"process {rank + 1} of {len(codes)} was ended by {signal.Signals(-codes[rank]).name} (SIGKILL: was the "
        "memory used up?), expected it to end by itself; the others have ended too. The same command goes on from "
        "the last checkpoint",
        file=sys.stderr,
    )
    return 128 - codes[rank]
