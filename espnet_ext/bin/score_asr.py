"""Score recognised text: word, character and token error rates as sclite counts them.

scores.json and RESULTS.md also hold the rates by speaker, gender, accent and length, the words that are confused, how
fast the decoder was and what its confidences are worth, as far as the data directory and the decoder tell.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from espnet_ext.bin._scoring import add_counting, counting_of
from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("sets", nargs="*", help="names of the sets; all that were decoded if none is named")
    add("--ref", required=True, help="directory of the sets' data directories, e.g. dump/raw")
    add("--hyp", required=True, help="decode directory, with SET/text below it")
    add("--tokens", help="directory written by train_tokens: adds the token error rate")
    add_counting(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = get_parser().parse_args(argv)
    from pathlib import Path

    from espnet_ext.metrics.asr import score_set
    from espnet_ext.metrics.asr_report import write_results
    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.metrics.tables import find_sets

    config = counting_of(args, args.tokens)
    scored = [
        score_set(Path(args.ref) / name, Path(args.hyp) / name, config)
        for name in find_sets(args.hyp, "text", args.sets)
    ]
    print(write_results(args.hyp, scored, provenance("score_asr", argv)))
    return 0


if __name__ == "__main__":
    run(main)
