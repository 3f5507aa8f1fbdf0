"""Whole recipes as stages of a larger job, all at once, their lines told apart by the recipe's name.

    together.py NUMBER NAME DIRECTORY AGAIN COMMAND... [';;' NUMBER NAME DIRECTORY AGAIN COMMAND...]...

Several recipes share the cores: small models gain little from a second thread, and a thread that waits for a
busy core costs more than it brings. What a recipe has come to is recorded as a stage (exp/.stages/NAME.json),
so that stages after it see whether any of its own ran.

Exit status: 0, or that of the first recipe that failed (the others go on to their end).
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import sys
import threading

import jobs


def recipes(words: list[str]) -> list[list[str]]:
    """Cut the command line at `;;`."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == ";;":
            found.append([])
        else:
            found[-1].append(word)
    return found


def tell(name: str, stream) -> None:  # type: ignore[no-untyped-def]
    """Copy a recipe's lines, each under its name."""
    for line in stream:
        sys.stdout.buffer.write(f"{name} | ".encode() + line)
        sys.stdout.buffer.flush()


def record(number: str, name: str, directory: str) -> None:
    """Write the stage's record; its run id stands for those of all stages of the recipe."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(directory, "exp", ".stages", "*.json"))):
        with open(path, encoding="utf-8") as stream:
            digest.update(json.load(stream)["run_id"].encode())
    from espnet_ext.files import write_json

    state: dict[str, object] = {"number": int(number), "name": name, "state": {}}
    write_json(f"exp/.stages/{name}.json", {**state, "run_id": digest.hexdigest()[:16]})


def run(several: list[list[str]]) -> int:
    """Start all, wait for all."""
    import subprocess

    threads = max(1, int(os.environ.get("OMP_NUM_THREADS") or jobs.cores()) // len(several))
    shown = None if len(several) == 1 else subprocess.PIPE
    started, tellers, worst = [], [], 0
    jobs.catch_signals()
    try:
        for _, name, _, again, *command in several:
            env = {**os.environ, "RUN_AS": again, "OMP_NUM_THREADS": str(threads)}
            with jobs.signals_held():
                started.append(
                    subprocess.Popen(
                        command,
                        env=env,
                        stdout=shown,
                        stderr=shown and subprocess.STDOUT,
                        start_new_session=True,
                        preexec_fn=jobs.die_with_parent,
                    )
                )
            if shown:
                teller = threading.Thread(target=tell, args=(name, started[-1].stdout), daemon=True)
                teller.start()
                tellers.append(teller)
        for (number, name, directory, *_), process in zip(several, started, strict=True):
            status = jobs.exit_status(process.wait())
            worst = worst or status
            if status == 0:
                record(number, name, directory)
        for teller in tellers:
            teller.join(5)
    except jobs.Stopped as stopped:
        jobs.end(started)
        return stopped.status
    return worst


if __name__ == "__main__":
    sys.exit(run(recipes(sys.argv[1:])))
