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

from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(__doc__)
    add = parser.add_argument
    add("ref", type=Path, help="what was said")
    add("first", type=Path, metavar="A", help="what the first system recognised")
    add("second", type=Path, metavar="B", help="what the second system recognised")
    add("--kind", choices=("wer", "cer"), default="wer", help="count words or characters")
    add("--by", action="append", type=Path, default=[], metavar="FILE",
        help="table of utterance (or speaker) and group, beside gender, accent, ...; may be repeated")  # fmt: skip
    add("--cleaner", help="cleaner for all sides, as in score_asr")
    add("--nlsyms", help="file of symbols that do not count, one a line")
    add("--case_sensitive", action="store_true", help="let A and a differ")
    add("--blocks", choices=("utterance", "speaker"), default="utterance",
        help="what the bootstrap draws")  # fmt: skip
    add("--samples", type=int, default=1000, help="draws of the bootstrap")
    add("--seed", type=int, default=0, help="seed of the bootstrap")
    add("--worst", type=int, default=5, help="utterances shown that differ most")
    add("--output", type=Path, metavar="DIR", help="also write comparison.json and COMPARISON.md")
    args = parser.parse_args(argv)
    if args.samples < 1:
        parser.error(f"--samples: found {args.samples}, expected 1 or more")

    from espnet_ext.metrics.asr import ScoreConfig
    from espnet_ext.metrics.compare import by_group, compare, read_material
    from espnet_ext.metrics.compare_report import text_of, write_comparison
    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.text.vocabulary import read_symbols

    config = ScoreConfig(
        cleaner=args.cleaner,
        nlsyms=read_symbols(args.nlsyms) if args.nlsyms else (),
        case_sensitive=args.case_sensitive,
        samples=args.samples,
        seed=args.seed,
        blocks=args.blocks,
        by=tuple(args.by),
    )
    material = read_material(args.ref, args.first, args.second, config, args.kind)
    found = compare(material.pairs, material.speakers, config)
    groups = by_group(material, config)
    text = text_of(found, groups, material, args.kind, args.worst)
    if args.output:
        write_comparison(args.output, found, groups, text, provenance("compare_asr", argv))
    print(f"A: {args.first}\nB: {args.second}\n\n{text}", end="")
    return 0


if __name__ == "__main__":
    run(main)
