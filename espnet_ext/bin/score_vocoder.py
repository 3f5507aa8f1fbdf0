"""Score speech that a vocoder made of recordings' spectrograms: distortion, spectra, F0, PESQ, STOI."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(__doc__)
    add = parser.add_argument
    add("sets", nargs="*", help="names of the sets; all that were made if none is named")
    add("--ref", type=Path, required=True, help="directory of the sets' data directories")
    add("--hyp", type=Path, required=True, help="made by vocode, with SET/wav.scp below it")
    add("--nj", type=count(1), default=1, help="number of processes")
    add("--samples", type=count(1), default=1000, help="draws of the bootstrap intervals")
    add("--seed", type=count(0), default=0, help="seed of the bootstrap intervals")
    args = parser.parse_args(argv)
    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.metrics.tables import find_sets
    from espnet_ext.metrics.vocoder_report import score_sets, write_results

    scores = score_sets(args.ref, args.hyp, find_sets(args.hyp, "wav.scp", args.sets), args.nj)
    source = provenance("score_vocoder", argv)
    print(write_results(args.hyp, scores, source, args.samples, args.seed))
    return 0


if __name__ == "__main__":
    run(main)
