"""One stage of a recipe: decide whether it is up to date, run it, record it.

    stage.py KEY=VALUE... -- NUMBER NAME TITLE [after NAME,NAME] [makes PATH...] [reads PATH...] -- COMMAND...

Which stages are selected, and their order, is the caller's to say (recipe.sh): it knows the whole recipe.

A stage is up to date when its record (exp/.stages/NAME.json) shows the state it is in now and what it
makes is there; see fingerprint.py for what counts. The launcher (train_cmd and the log) does not.

Exit status: 0 done or up to date, 100 would run (a dry run), else that of the command.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time

import jobs
from attempts import Attempts
from fingerprint import State, codes, digests, normal

RECORDS = os.path.join("exp", ".stages")
DECLARED = os.path.join(RECORDS, ".declared")  # the stages that a recipe has as it was last run
TOOLS = os.path.dirname(os.path.realpath(__file__))
WOULD_RUN = 100


class Stage:
    """A stage as the template declares it, and what the command line wants of it."""

    def __init__(self, arguments: list[str]) -> None:
        cut = arguments.index("--")
        wanted = dict(word.split("=", 1) for word in arguments[:cut])
        rest = arguments[cut + 1 :]
        cut = rest.index("--")
        self.number, self.name, self.title = int(rest[0]), rest[1], rest[2]
        clauses = dict(zip(rest[3:cut:2], rest[4:cut:2], strict=True))
        self.after = clauses.pop("after", "").replace(",", " ").split()
        self.makes = clauses.pop("makes", "").split()
        self.reads = [clauses.pop("reads")] if "reads" in clauses else []
        if clauses:
            raise jobs.BadUsage(
                f"stage {self.name}: found {min(clauses)}, expected after, makes or reads"
            )
        self.command = rest[cut + 1 :]
        self.first, self.selected = wanted["first"], wanted["selected"] == "true"
        self.skipped = str(self.number) in wanted["skip"].split()
        self.dry = wanted["dry"] == "true"
        self.seen, self.would_run = wanted["seen"].split(), wanted["would_run"].split()
        self.order = wanted["order"].split()
        self.go_on = f"{wanted['again']} --stage {self.number}"
        self.label = f"stage {self.number} {self.name}"
        self.launched, self.log, self.words = launch(self.name, self.command)

    @property
    def later(self) -> list[str]:
        """Names of the stages that stand behind it in the recipe, whether its options want them or not."""
        passed = {*self.seen, self.name}
        behind = [at for at, name in enumerate(self.order, 1) if name in passed]
        return self.order[max(behind, default=0) :]

    @property
    def record(self) -> str:
        """Path of its record."""
        return record_path(self.name)


def launch(name: str, command: list[str]) -> tuple[list[str], str, list[str]]:
    """Split a command from its launcher: (what to execute, log, the words that make the result).

    A launcher is run_jobs.py or Kaldi's run.pl, queue.pl, ...; a command without one gets ours, so
    that it has a log, too.
    """
    launcher = os.path.basename(command[0])
    if launcher == "run_jobs.py" or launcher.endswith(".pl"):
        request = jobs.parse(command[1:])
        log = request.log.replace(request.variable, "*") if request.variable else request.log
        return command, log, normal(request.command)
    log = os.path.join("exp", "logs", f"{name}.log")
    return [os.path.join(TOOLS, "run_jobs.py"), log, *command], log, normal(command)


def record_path(name: str) -> str:
    """Where a stage's record lies."""
    return os.path.join(RECORDS, f"{name}.json")


def load(name: str) -> dict | None:  # type: ignore[type-arg]
    """A stage's record; None if it never finished (or the record is unreadable)."""
    try:
        with open(record_path(name), encoding="utf-8") as stream:
            record = json.load(stream)
        return record if "state" in record else None
    except (OSError, ValueError):
        return None


def current(stage: Stage) -> State:
    """What the stage depends on, now."""
    runs = {name: str((load(name) or {}).get("run_id", "")) for name in stage.after}
    return State(stage.words, digests(stage.words, stage.reads), runs, code=codes(stage.words))


def why_stale(stage: Stage, old: State | None, new: State) -> str:
    """Why a stage has to run; "" when it is up to date."""
    if stage.first:
        return "asked for by --stage"
    if old is None:
        return "has not finished yet"
    again = [f"stage {name} would run again" for name in stage.after if name in stage.would_run]
    return old.difference(new) or " ".join([*missing(stage)[:1], *again[:1]])


def missing(stage: Stage) -> list[str]:
    """What of all that the stage makes is not there."""
    return [f"{path} is missing" for path in stage.makes if not os.path.exists(path)]


def declare(stage: Stage) -> None:
    """Note that the recipe has this stage; forget those before it that it does not have any more."""
    os.makedirs(RECORDS, exist_ok=True)
    try:
        with open(DECLARED, encoding="utf-8") as stream:
            before = json.load(stream)
    except (OSError, ValueError):
        before = {}
    now = {**before, stage.name: stage.number}
    now = {name: now[name] for name in (*stage.seen, stage.name, *stage.later) if name in now}
    if list(now.items()) != list(before.items()):
        from espnet_ext.files import write_json

        write_json(DECLARED, now)


def run(stage: Stage, old: State | None, new: State, reason: str) -> int:
    """Run a stage; its record is taken away first and written only after success."""
    os.makedirs(RECORDS, exist_ok=True)
    lock = take_lock(stage)
    try:
        if os.path.exists(stage.record):
            os.remove(stage.record)
        print(
            f"== {stage.label}: {stage.title}  [{time.strftime('%H:%M:%S')}, {reason}]", flush=True
        )
        attempts = Attempts(os.path.join(RECORDS, f".{stage.name}.attempts"), new.inputs())
        with attempts:
            status = execute(stage.launched, anew=bool(stage.first and old))
        if status == 0 and missing(stage):
            status = 1
            print(not_made(stage), file=sys.stderr)
        if status:
            tell_failure(stage, status, attempts.last)
            return status
        write_record(stage, new.after_run(old), attempts.spans)
        attempts.forget()
        print(f"== {stage.label}: done in {clock(attempts.last)}, log {stage.log}", flush=True)
        return 0
    finally:
        os.remove(lock)


def not_made(stage: Stage) -> str:
    """What to say when a command succeeded without its result."""
    lost = [path for path in stage.makes if not os.path.exists(path)]
    return (
        f"{stage.label}: error: found no {' '.join(lost)}, expected that {stage.command[0]} makes it: "
        "do the recipe's options name what it makes?"
    )


def execute(command: list[str], anew: bool) -> int:
    """Run the launcher; when a signal stops us, pass it on and wait until its jobs have ended.

    With `anew` a training that is finished starts again: its stage was asked for.
    """
    import subprocess

    sys.stdout.flush()
    if os.path.basename(command[0]) == "run_jobs.py":
        command = [sys.executable, "-S", "-E", *command]
    jobs.catch_signals()
    process, env = None, {**os.environ, "ESPNET_EXT_ANEW": "1" if anew else "0"}
    try:
        with jobs.signals_held():
            process = subprocess.Popen(
                command, env=env, start_new_session=True, preexec_fn=parent_dies
            )
        return jobs.exit_status(process.wait())
    except FileNotFoundError:
        print(f"no program {command[0]}: see local/cmd.sh", file=sys.stderr)
        return 127
    except jobs.Stopped as stopped:
        ignore_signals()
        stop(process)
        return stopped.status


def stop(process) -> None:  # type: ignore[no-untyped-def]
    """Ask a launcher to end its jobs, and end it when it does not within ten seconds."""
    from subprocess import TimeoutExpired

    if process is None:
        return
    process.terminate()
    try:
        process.wait(10)
    except TimeoutExpired:
        jobs.end([process])


def parent_dies() -> None:
    """In the launcher: be asked to end when we are killed."""
    jobs.die_with_parent(signal.SIGTERM)


def ignore_signals() -> None:
    """A second Ctrl-C does not keep us from ending the jobs."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def take_lock(stage: Stage) -> str:
    """Keep a second run of the same command out of this directory; returns the lock's path.

    Raises:
        jobs.BadUsage: if one is at work.
    """
    import fcntl

    key = State(stage.words, {}, {}).fingerprint()[:8]
    path = os.path.join(RECORDS, f".{stage.name}-{key}.lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT)  # closed when this process ends, however it does
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise jobs.BadUsage(
            f"being run in {os.getcwd()} already, by process {os.read(lock, 20).decode()}: "
            "wait for it, or stop it"
        ) from None
    except OSError:
        pass  # a file system without locks
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return path


def write_record(stage: Stage, new: State, spans: list[list[float]]) -> None:
    """Write exp/.stages/NAME.json, whole or not at all; `spans` are the times at which it was at work."""
    from espnet_ext.files import write_json

    write_json(
        stage.record,
        {
            "number": stage.number,
            "name": stage.name,
            "title": stage.title,
            "seconds": round(sum(end - start for start, end in spans), 3),
            "spans": spans,
            "command": shlex.join(stage.command),
            "log": stage.log,
            "fingerprint": new.fingerprint(),
            "run_id": os.urandom(8).hex(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "state": vars(new),
        },
    )


def clock(seconds: float) -> str:
    """Seconds as people read them, with tenths when they are few."""
    from espnet_ext.progress import clock as whole

    return f"{seconds:.1f}s" if seconds < 10 else whole(seconds)


def tell_failure(stage: Stage, status: int, seconds: float) -> None:
    """Last words: what failed and the command to go on with."""
    what = "stopped" if status > 128 else f"FAILED (exit status {status})"
    print(f"== {stage.label}: {what} after {clock(seconds)}, log {stage.log}", file=sys.stderr)
    print(f"   to go on: {stage.go_on}", file=sys.stderr, flush=True)


def process(stage: Stage) -> int:
    """Skip, print or run a stage."""
    if not stage.dry:
        declare(stage)
    if not stage.selected:
        return 0
    if stage.skipped:
        print(f"== {stage.label}: left out (--skip_stages)", flush=True)
        return 0
    record, new = load(stage.name), current(stage)
    old = State(**record["state"]) if record else None
    reason = why_stale(stage, old, new)
    if not reason:
        print(f"== {stage.label}: up to date, skipped", flush=True)
        return 0
    if stage.dry:
        print(
            f"== {stage.label}: {stage.title}  [would run: {reason}]\n{shlex.join(stage.command)}"
        )
        return WOULD_RUN
    return run(stage, old, new, reason)


def main(argv: list[str]) -> int:
    """Process one stage, and turn errors into one line each."""
    stage = None
    try:
        stage = Stage(argv)
        return process(stage)
    except jobs.BadUsage as error:
        print(f"{stage.label if stage else argv}: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        from espnet_ext.bin.command import explain

        print(f"{stage.label if stage else argv}: error: {explain(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
