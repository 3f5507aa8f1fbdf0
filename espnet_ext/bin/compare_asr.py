"""Compare two recognisers on the same utterances: the difference of their error rates, its interval and p-value.

REF, A and B are files of `utterance text`, directories that hold one named `text`, or directories of such directories
(dump/raw and two decodings, all sets together). The p-value is that of the matched-pair sentence-segment word error
test (Gillick and Cox 1989, as NIST's sc_stats does it), the interval and the probability that B is better are the
bootstrap's (Bisani and Ney 2004).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin._scoring import add_counting, counting_of
from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(__doc__)
    add = parser.add_argument
    add("ref", type=Path, help="what was said")
    add("first", type=Path, metavar="A", help="what the first system recognised")
    add("second", type=Path, metavar="B", help="what the second system recognised")
    add("--kind", choices=("wer", "cer"), default="wer", help="count words or characters")
    add_counting(parser)
    add("--worst", type=int, default=5, help="utterances shown that differ most")
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="also write comparison.json, COMPARISON.md and comparison.html",
    )
    args = parser.parse_args(argv)
    if args.samples < 1:
        parser.error(f"--samples: found {args.samples}, expected 1 or more")

    from espnet_ext.metrics.compare import by_group, compare, read_material
    from espnet_ext.metrics.compare_report import text_of, write_comparison
    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.report.comparison import write_page

    config = counting_of(args)
    material = read_material(args.ref, args.first, args.second, config, args.kind)
    found = compare(material.pairs, material.speakers, config)
    groups = by_group(material, config)
    text = text_of(found, groups, material, args.kind, args.worst)
    if args.output:
        source = provenance("compare_asr", argv)
        write_comparison(args.output, found, groups, text, source)
        write_page(args.output, found, groups, material, args.kind, max(args.worst, 8), source)
    print(f"A: {args.first}\nB: {args.second}\n\n{text}", end="")
    return 0


if __name__ == "__main__":
    run(main)
