"""Compare two synthesisers or vocoders that were scored on the same utterances: differences, intervals, p-values.

A and B are synthesis directories, or sets in them, that score_tts or score_vocoder has been through, for example
exp/tts_x/decode_tts and exp/tts_x/decode_tts/griffin_lim. Utterances that just one of them has are left out. p is that
of Wilcoxon's signed-rank test; corrected by Holm's method, as there are many figures.
"""

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
    add("first", type=Path, metavar="A", help="what the first system said")
    add("second", type=Path, metavar="B", help="what the second system said")
    add("--samples", type=count(1), default=1000, help="draws of the bootstrap")
    add("--seed", type=count(0), default=0, help="seed of the bootstrap")
    add("--output", type=Path, metavar="DIR", help="also write comparison.json and COMPARISON.md")
    args = parser.parse_args(argv)

    from espnet_ext.metrics.compare_speech import (
        compare,
        read_utterances,
        text_of,
        write_comparison,
    )
    from espnet_ext.metrics.provenance import provenance

    first, second = read_utterances(args.first), read_utterances(args.second)
    found = compare(first, second, args.samples, args.seed)
    left_out = len(set(first) ^ set(second))
    if left_out:
        print(f"note: {left_out} utterances that just one has are left out", file=sys.stderr)
    if args.output:
        write_comparison(args.output, found, provenance("compare_tts", argv))
    print(f"A: {args.first}\nB: {args.second}\n\n{text_of(found)}", end="")
    return 0


if __name__ == "__main__":
    run(main)
