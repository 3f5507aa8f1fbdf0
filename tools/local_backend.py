"""Jobs on this machine: a single one is shown as it runs, an array runs a few at a time."""

from __future__ import annotations

import os
import sys
import time

import jobs


def run(request: jobs.Request) -> int:
    """Run all jobs of a request; the exit status is that of the first one to fail, or 0."""
    return run_array(request) if len(request.tasks) > 1 else run_single(request)


def environment(request: jobs.Request, together: int) -> dict[str, str]:
    """Environment of a job when `together` of them run at once: its fair share of the threads."""
    env = dict(os.environ)
    threads = request.number("num_threads")
    if not threads and together > 1:
        threads = max(1, jobs.cores() // together)
    if threads:
        env.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)))
    shown = len(request.tasks) < 2 and sys.stdout.isatty()
    env["ESPNET_EXT_PROGRESS"] = "bar" if shown else "lines"  # a job itself sees a pipe
    return env


def run_single(request: jobs.Request) -> int:
    """Run one job, its output going to the log and to our own output as it comes."""
    task = request.tasks[0] if request.tasks else None
    log, command = request.of(task)
    stream = jobs.open_log(log, command)
    started = time.monotonic()
    reading, writing = os.pipe()
    process = None
    try:
        with jobs.signals_held():
            process = jobs.start(command, writing, environment(request, 1))
        os.close(writing)
        copy(reading, stream, process)
        status = jobs.exit_status(process.wait())
    except BaseException:
        jobs.end([process] if process else [])
        raise
    jobs.close_log(stream, status, started, request.number("num_threads") or 1)
    if status:
        jobs.report_failure(log, status, command_name(command), show=False)  # seen already
    return status


def command_name(command: list[str]) -> str:
    """What people call a command: `format_audio` for `python -m espnet_ext.bin.format_audio`."""
    if command[1:2] == ["-m"] and len(command) > 2:
        return command[2].rpartition(".")[2]
    return os.path.basename(command[0])


class Lines:
    """A log without progress bars: of a line that was written over itself, what was left at its end."""

    def __init__(self, log) -> None:  # type: ignore[no-untyped-def]
        self.log, self.rest = log, b""

    def write(self, piece: bytes) -> None:
        """Write the lines that are whole."""
        *lines, self.rest = (self.rest + piece).split(b"\n")
        if lines:
            self.log.write(b"".join(self.kept(line) + b"\n" for line in lines))

    def end(self) -> None:
        """Write what has no end of line, unless it is a bar."""
        if self.rest and b"\r" not in self.rest:
            self.log.write(self.rest + b"\n")

    @staticmethod
    def kept(line: bytes) -> bytes:
        """What one sees of a line on a terminal."""
        return line.rstrip(b"\r").rpartition(b"\r")[2].removeprefix(b"\033[K")


def copy(reading: int, log, process) -> None:  # type: ignore[no-untyped-def]
    """Copy a job's output until it ends; a child that it left behind does not hold us up."""
    import select

    lines = Lines(log)
    with open(reading, "rb", buffering=0) as source:
        while True:
            ready = select.select([source], [], [], 0.5)[0]
            if not ready and process.poll() is not None:
                break
            piece = source.read(65536) if ready else None
            if piece == b"":
                break
            if piece:
                lines.write(piece)
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
    lines.end()


def devices() -> list[str]:
    """Names of the GPUs that may be used: CUDA_VISIBLE_DEVICES, or all that nvidia-smi lists."""
    import shutil
    import subprocess

    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(i) for i, line in enumerate(listing.stdout.splitlines()) if line.startswith("GPU ")]


class Array:
    """Jobs of an array: which wait, which run, how many are done.

    With --gpu N each running job has N devices to itself. Where there are fewer than N, jobs start all the
    same, and say themselves that they found no device.
    """

    def __init__(self, request: jobs.Request) -> None:
        self.request = request
        self.waiting = list(request.tasks)
        self.running: dict[int, tuple] = {}  # type: ignore[type-arg]  # task -> (process, log stream, start, devices)
        self.done = 0
        each = request.number("gpu")
        names = devices() if each else []
        starts = range(0, len(names) - each + 1, each) if names else ()
        self.free = [names[i : i + each] for i in starts]
        at_once = request.number("max_jobs_run") or len(self.free) or jobs.cores()
        self.at_once = min(len(self.waiting), at_once, len(self.free) or at_once)

    def launch(self) -> None:
        """Start the next waiting job."""
        task = self.waiting.pop(0)
        log, command = self.request.of(task)
        env = environment(self.request, self.at_once)
        own = self.free.pop() if self.free else []
        if own:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(own)
        stream = jobs.open_log(log, command)
        self.running[task] = (jobs.start(command, stream, env), stream, time.monotonic(), own)

    def collect(self) -> tuple[int, int] | None:
        """Take in jobs that have ended; the (task, exit status) of one that failed, or None."""
        for task, (process, stream, started, own) in list(self.running.items()):
            if process.poll() is None:
                continue
            del self.running[task]
            self.free += [own] if own else []
            status = jobs.exit_status(process.returncode)
            jobs.close_log(stream, status, started, self.request.number("num_threads") or 1)
            if status:
                return task, status
            self.done += 1
        return None

    def end(self) -> None:
        """End all jobs that still run."""
        jobs.end([process for process, *_ in self.running.values()])


class Progress:
    """`3 of 8 jobs done`: in place on a terminal, otherwise a line every ten seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.shown, self.last = total, -1, 0.0
        self.terminal = sys.stdout.isatty()

    def show(self, done: int) -> None:
        """Report when there is something new to tell."""
        due = self.terminal or done == self.total or time.monotonic() - self.last >= 10
        if done == self.shown or not due:
            return
        self.shown, self.last = done, time.monotonic()
        line = f"{done} of {self.total} jobs done"
        last = "\n" if done == self.total else ""
        print(f"\r{line}\033[K{last}" if self.terminal else line, end="" if self.terminal else "\n")
        sys.stdout.flush()


def run_array(request: jobs.Request) -> int:
    """Run an array; the first failure ends the others."""
    array, progress = Array(request), Progress(len(request.tasks))
    try:
        while array.waiting or array.running:
            while array.waiting and len(array.running) < array.at_once:
                with jobs.signals_held():
                    array.launch()
            failed = array.collect()
            progress.show(array.done)
            if failed:
                task, status = failed
                what = f"job {task} of {len(request.tasks)}"
                array.end()
                jobs.report_failure(request.of(task)[0], status, what)
                return status
            time.sleep(0.02)
    except BaseException:
        array.end()
        raise
    return 0
