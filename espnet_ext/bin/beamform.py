"""Make one channel of several in a copy of a data directory, by a blind MVDR beamformer.

No positions of microphones are needed, and those that have failed are left out. Each job does its share and goes on
where it was stopped; the last one writes the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, jobs, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="data directory of several channels")
    parser.add_argument("out", type=Path, help="gets the copy")
    parser.add_argument("--job", type=jobs, default=(1, 1), metavar="JOB/N", help="which share")
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)

    from espnet_ext.audio.beamform import beamformed_copy

    job, count = args.job
    complete = beamformed_copy(args.data, args.out, job, count)
    state = "complete" if complete else "other shares are not done yet"
    print(f"{args.out}: share {job}/{count} done; {state}")
    return 0


if __name__ == "__main__":
    run(main)
