"""Jobs on a Slurm cluster: one array, watched through status files that the tasks leave.

Each task runs this file on its node (`slurm_backend.py DIR TASK`), so that its log looks like
that of a local job, and writes DIR/TASK.status when it ends. We ask squeue only whether the job is still
there; when it cannot answer, we go on waiting.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import jobs

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
OURS = {"poll_seconds": "5", "gone_seconds": "60"}


def run(request: jobs.Request) -> int:
    """Submit the jobs and wait for them; the exit status is that of the first one to fail, or 0."""
    settings = read_settings(request.options["config"] or default_config())
    tasks: list[int | None] = list(request.tasks) or [None]
    for task in tasks:
        clear(request.of(task)[0])
    directory = prepare(request, settings)
    job = ""
    try:
        with jobs.signals_held():
            job = submit(os.path.join(directory, "job.sh"))
        print(f"slurm job {job}: {len(tasks)} submitted", flush=True)
        status = watch(request, Watch(job, directory, tasks, settings))
    except BaseException:
        if job:
            subprocess.run(["scancel", job], check=False)
        raise
    if status == 0:  # after a failure it holds what Slurm itself said
        shutil.rmtree(directory, ignore_errors=True)
    return status


def clear(log: str) -> None:
    """Make a log's directory, and remove an earlier run's log, which would be taken for this one's."""
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    if os.path.isfile(log):
        os.remove(log)


def default_config() -> str:
    """The recipe's own conf/slurm.conf, or the repository's."""
    own = os.path.join("conf", "slurm.conf")
    return own if os.path.exists(own) else os.path.join(ROOT, own)


def read_settings(path: str) -> dict[str, str]:
    """Read `key = value` lines.

    Raises:
        jobs.BadUsage: for a line that is neither that nor a comment.
    """
    settings = dict(OURS)
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            line = line.partition("#")[0].strip()
            key, equals, value = (part.strip() for part in line.partition("="))
            if line and not (key and equals):
                raise jobs.BadUsage(f"{path}:{number}: found {line!r}, expected key = value")
            if line:
                settings[key] = value
    return settings


def resources(request: jobs.Request, settings: dict[str, str]) -> list[str]:
    """`--key=value` for sbatch out of slurm.conf and the request's options."""
    values = {name: request.options[name] for name in ("num_threads", "mem", "time", "gpu")}
    values["num_threads"] = values["num_threads"] or "1"
    chosen = {key: value for key, value in settings.items() if key not in OURS}
    on_gpu = {key[4:]: chosen.pop(key) for key in list(chosen) if key.startswith("gpu.")}
    if request.number("gpu"):
        chosen.update(on_gpu)
    found = []
    for key, value in chosen.items():
        needed = [name for name in values if "{" + name + "}" in value]
        if all(values[name] for name in needed):
            found.append(f"--{key}={value.format(**values)}" if value else f"--{key}")
    return found


def prepare(request: jobs.Request, settings: dict[str, str]) -> str:
    """Write the request and the batch script beside the log; returns their directory."""
    log = os.path.abspath(request.log)
    name = os.path.basename(log).removesuffix(".log")
    directory = os.path.join(
        os.path.dirname(log), f".slurm-{name}-{os.getpid()}-{time.time_ns():x}"
    )
    os.makedirs(directory)
    options = [
        f"--job-name={name}",
        f"--output={directory}/slurm.%A.%a.out",
        f"--chdir={os.getcwd()}",
    ]
    if request.tasks:
        limit = request.number("max_jobs_run")
        spread = f"{request.tasks[0]}-{request.tasks[-1]}" + (f"%{limit}" if limit else "")
        options.append(f"--array={spread}")
    lines = ["#!/usr/bin/env bash"]
    lines += [f"#SBATCH {option}" for option in options + resources(request, settings)]
    for variable in (
        "PATH",
        "PYTHONPATH",
        "ESPNET_EXT_ANEW",
    ):  # some sites do not pass the environment on
        lines.append(f"export {variable}={shlex.quote(os.environ.get(variable, ''))}")
    threads = request.options["num_threads"] or "1"
    lines.append(f"export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}")
    us = shlex.join(["python3", "-S", "-E", os.path.realpath(__file__), directory])
    lines.append(f'exec {us} "${{SLURM_ARRAY_TASK_ID:-}}"')
    write(os.path.join(directory, "job.sh"), "\n".join(lines) + "\n")
    parts = [request.options, request.variable, list(request.tasks), request.log, request.command]
    write(os.path.join(directory, "request.json"), json.dumps(parts))
    return directory


def write(path: str, text: str) -> None:
    """Write a small file under its name at once, whole."""
    with open(path + ".tmp", "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(path + ".tmp", path)


def submit(script: str) -> str:
    """Submit a script, trying again while the controller does not answer; returns the job's number.

    Raises:
        jobs.BadUsage: if Slurm refuses it, with what it says.
    """
    for wait in (1, 4, 15, 0):
        try:
            asked = subprocess.run(
                ["sbatch", "--parsable", script],
                capture_output=True,
                text=True,
                check=False,
                start_new_session=True,  # Ctrl-C is for us: we must learn the job's number
            )
        except FileNotFoundError:
            raise jobs.BadUsage("no sbatch here: take --backend local (local/cmd.sh)") from None
        if asked.returncode == 0:
            return asked.stdout.strip().split("\n")[-1].partition(";")[0]
        if not wait or jobs.Stopped.waiting or not hiccup(asked.stderr):
            break
        time.sleep(wait)
    raise jobs.BadUsage(f"sbatch refused {script}: {asked.stderr.strip()}")


def hiccup(message: str) -> bool:
    """Whether Slurm's message tells of a controller that will be back."""
    signs = ("timed out", "unable to contact", "temporarily", "connection", "try again")
    return any(sign in message.lower() for sign in signs)


class Watch:
    """A submitted job and what is known of its tasks."""

    def __init__(
        self, job: str, directory: str, tasks: list[int | None], settings: dict[str, str]
    ) -> None:
        self.job, self.directory, self.tasks = job, directory, tasks
        self.poll = float(settings["poll_seconds"])
        self.patience = float(settings["gone_seconds"])
        self.gone_since: float | None = None

    def statuses(self) -> dict[int | None, int]:
        """Exit status of each task that has ended."""
        found: dict[int | None, int] = {}
        for task in self.tasks:
            try:
                with open(os.path.join(self.directory, f"{task or ''}.status")) as stream:
                    found[task] = int(stream.read())
            except FileNotFoundError:
                pass
        return found

    def is_lost(self) -> bool:
        """Whether the job has been out of the queue for so long that no status will come."""
        asked = subprocess.run(
            ["squeue", "-h", "-j", self.job], capture_output=True, text=True, check=False
        )
        unknown = asked.returncode != 0 and "invalid job id" in asked.stderr.lower()
        away = unknown or (asked.returncode == 0 and not asked.stdout.strip())
        if not away:
            self.gone_since = None
            return False
        self.gone_since = self.gone_since or time.monotonic()
        return time.monotonic() - self.gone_since >= self.patience


def watch(request: jobs.Request, job: Watch) -> int:
    """Wait until all tasks have ended, or one has failed; the others are cancelled then."""
    from local_backend import Progress

    progress, seen = Progress(len(job.tasks)), 0
    while True:
        statuses = job.statuses()
        if job.tasks == [None]:
            seen = follow(request.log, seen)
        else:
            progress.show(len([s for s in statuses.values() if s == 0]))
        bad = next((task for task in job.tasks if statuses.get(task)), False)
        if bad is not False:
            return failure(request, job, bad, statuses[bad])
        if len(statuses) == len(job.tasks):
            return 0
        if job.is_lost():
            missing = next(task for task in job.tasks if task not in statuses)
            print(
                f"slurm job {job.job} left the queue without a word: {why(job.job)}",
                file=sys.stderr,
            )
            return failure(request, job, missing, 1)
        time.sleep(job.poll)


def follow(log: str, seen: int) -> int:
    """Print what a log has got since byte `seen`, or all of one that began again; the new position."""
    try:
        with open(log, "rb") as stream:
            if stream.seek(0, os.SEEK_END) < seen:
                seen = 0
            stream.seek(seen)
            piece = stream.read()
    except FileNotFoundError:
        return seen
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return seen + len(piece)


def failure(request: jobs.Request, job: Watch, task: int | None, status: int) -> int:
    """Cancel what still runs and show the failing task's own last lines."""
    subprocess.run(["scancel", job.job], check=False)
    log = request.of(task)[0]
    what = f"slurm job {job.job}" + (f"_{task} (job {task} of {len(job.tasks)})" if task else "")
    jobs.report_failure(log, status, what, show=os.path.exists(log))
    return status


def why(job: str) -> str:
    """What sacct says of a job that died: its state, such as OUT_OF_MEMORY or TIMEOUT."""
    try:
        asked = subprocess.run(
            ["sacct", "-n", "-X", "-j", job, "-o", "State"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "memory or time limit? (no sacct here to tell)"
    states = sorted(set(asked.stdout.split()) - {"COMPLETED"})
    return ", ".join(states) or "memory or time limit? (sacct does not know)"


def run_task(directory: str, number: str) -> int:
    """On the node: run one task with its log, and leave its exit status."""
    with open(os.path.join(directory, "request.json"), encoding="utf-8") as stream:
        options, variable, tasks, log, command = json.load(stream)
    request = jobs.Request(options, variable, range(0), log, command)
    log, command = request.of(int(number) if tasks else None)
    stream = jobs.open_log(log, command)
    started = time.monotonic()
    process = None
    try:
        with jobs.signals_held():
            process = jobs.start(command, stream)
        status = jobs.exit_status(process.wait())
    except jobs.Stopped as stopped:
        jobs.end([process] if process else [])
        status = stopped.status
    except jobs.BadUsage as error:
        stream.write(f"{error}\n".encode())
        status = 127
    jobs.close_log(stream, status, started, int(options["num_threads"] or 1))
    write(os.path.join(directory, f"{number}.status"), str(status))
    return status


if __name__ == "__main__":
    jobs.catch_signals()
    sys.exit(run_task(*sys.argv[1:]))
