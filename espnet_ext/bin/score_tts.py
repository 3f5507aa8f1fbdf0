"""Score synthesised speech against recordings: spectra, F0, voicing, energy, durations, PESQ, STOI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("sets", nargs="*", help="names of the sets; all that were synthesised if none is named")
    add("--ref", required=True, help="directory of the sets' data directories, e.g. dump/raw")
    add("--hyp", required=True, help="synthesis directory, with SET/wav.scp below it")
    durations = (
        "directory with SET/durations, frames of each token in the recordings; REF if it has some"
    )
    add("--durations", metavar="DIR", help=durations)
    add("--nj", type=int, default=1, help="number of processes")
    add("--samples", type=int, default=1000, help="draws of the bootstrap intervals")
    add("--seed", type=int, default=0, help="seed of the bootstrap intervals")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = get_parser().parse_args(argv)
    from pathlib import Path

    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.metrics.tables import find_sets
    from espnet_ext.metrics.tts_report import score_set, write_results

    scores = [
        score_set(
            Path(args.ref) / name,
            Path(args.hyp) / name,
            args.nj,
            Path(args.durations) / name / "durations" if args.durations else None,
        )
        for name in find_sets(args.hyp, "wav.scp", args.sets)
    ]
    source = provenance("score_tts", argv)
    print(write_results(args.hyp, scores, source, args.samples, args.seed))
    return 0


if __name__ == "__main__":
    run(main)
