#!/usr/bin/env -S python3 -S -E
"""Run a command, or an array of them, here or on a cluster; it calls as Kaldi's run.pl does.

    run_jobs.py [--backend local|slurm] [--num_threads N] [--gpu N] [--mem 4G] [--time 2:00:00]
                [--max_jobs_run N] [--config conf/slurm.conf] [JOB=1:N] logs/x.JOB.log COMMAND...

JOB in the log's name and in the command becomes the job's number. Exit status: that of the first
job to fail.
"""

from __future__ import annotations

import os
import sys

import jobs


def run(request: jobs.Request) -> int:
    """Hand the request to its backend."""
    backend = request.options["backend"]
    if backend == "local":
        import local_backend

        return local_backend.run(request)
    if backend == "slurm":
        import slurm_backend

        return slurm_backend.run(request)
    raise jobs.BadUsage(f"--backend {backend}: expected local or slurm")


def main(argv: list[str]) -> int:
    """Parse, run, and turn errors into one line each."""
    if not argv or argv[0] in ("--help", "-h"):
        print(__doc__)
        return 0 if argv else 2
    try:
        jobs.catch_signals()
        return run(jobs.parse(argv))
    except jobs.BadUsage as error:
        print(f"run_jobs: error: {error}", file=sys.stderr)
        return 2
    except jobs.Stopped as stopped:
        print(f"\nrun_jobs: stopped by {stopped}", file=sys.stderr)
        return stopped.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return refused(error)


def refused(error: OSError) -> int:
    """One line for a full disk, a directory without permission and the like."""
    from espnet_ext.bin.command import explain

    print(f"run_jobs: error: {explain(error)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
