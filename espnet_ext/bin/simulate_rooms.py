"""Make a noisy six-channel copy of a data directory: every utterance is spoken to a tablet in a simulated room.

The tablet is CHiME-4's, the rooms are shoe boxes, the noise is that of a folder of recordings: some of it comes from
places in the room, some from everywhere. What an utterance gets follows from its id and the seed alone; `utt2snr` says
how loud. Each job does its share and goes on where it was stopped; the last one writes the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, jobs, number, run
from espnet_ext.errors import UserError


def pair(of: Callable[[str], float]) -> Callable[[str], tuple[float, float]]:
    """The type of an option that is a range, such as `0,10`, or one number."""

    def parse(text: str) -> tuple[float, float]:
        fields = text.split(",")
        if len(fields) > 2:
            raise argparse.ArgumentTypeError(f"found {text!r}, expected LOW,HIGH such as 0,10")
        try:
            return of(fields[0]), of(fields[-1])
        except ValueError:
            raise argparse.ArgumentTypeError(f"found {text!r}, expected LOW,HIGH") from None

    return parse


def main(argv: Sequence[str] | None = None) -> int:
    from espnet_ext.audio.scenes import Surroundings

    usual = Surroundings()
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, help="data directory of speech close to the microphone")
    add("out", type=Path, help="gets the noisy copy")
    add("--noise", required=True, help="folder of noise recordings, searched with its subfolders")
    add("--snr", type=pair(number), default=usual.snr, help="dB")
    add("--distance", type=pair(number), default=usual.distance, help="metres to the mouth")
    add("--rt60", type=pair(number), default=usual.rt60, help="reverberation time in seconds")
    add("--sources", type=pair(int), default=usual.sources, help="places that noise comes from")
    add("--stretch", type=pair(number), default=usual.stretch, help="part of each noise recording")
    add("--seed", type=int, default=usual.seed, help="another one gives other scenes")
    add("--job", type=jobs, default=(1, 1), metavar="JOB/N", help="which share to do")
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)
    names = ("snr", "distance", "rt60", "sources", "stretch", "seed")
    try:
        options = Surroundings(**{name: getattr(args, name) for name in names})
    except UserError as error:
        parser.error(f"--{error}")

    from espnet_ext.audio.noisy_rooms import noisy_copy

    job, count = args.job
    complete = noisy_copy(args.data, args.out, args.noise, options, job, count)
    state = "complete" if complete else "other shares are not done yet"
    print(f"{args.out}: share {job}/{count} done; {state}")
    return 0


if __name__ == "__main__":
    run(main)
