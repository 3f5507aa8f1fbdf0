"""Score evaluation suites: one table of conditions and word error rates, with how much worse than clean they are.

Writes HYP/scores.json, HYP/RESULTS.md and HYP/suites.html. Conditions that were made but not decoded are left out;
selections (rare_words, disfluent, ...) need no decoding of their own.
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
    add("sets", nargs="*", help="names of the test sets; all that have a suite if none is named")
    add("--ref", type=Path, required=True, help="what make_suite wrote, e.g. dump/suites")
    add("--hyp", type=Path, required=True, help="what was recognised there: SET-CONDITION/text")
    add("--clean_ref", type=Path, required=True, help="directory of the sets' own data directories")
    add("--clean", type=Path, required=True, help="decoding of the sets themselves: SET/text")
    add("--cleaner", help="cleaner for both sides, as in score_asr")
    add("--nlsyms", help="file of symbols that do not count, one a line")
    add("--case_sensitive", action="store_true", help="let A and a differ")
    add("--samples", type=int, default=1000, help="draws of the bootstrap intervals")
    add("--seed", type=int, default=0, help="seed of the bootstrap intervals")
    args = parser.parse_args(argv)

    from espnet_ext.metrics.asr import ScoreConfig
    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.metrics.suites import Places, score_suites, write_suites
    from espnet_ext.report.sources import read_json
    from espnet_ext.report.suites import write_page
    from espnet_ext.text.vocabulary import read_symbols

    config = ScoreConfig(
        cleaner=args.cleaner,
        nlsyms=read_symbols(args.nlsyms) if args.nlsyms else (),
        case_sensitive=args.case_sensitive,
        samples=args.samples,
        seed=args.seed,
    )
    places = Places(args.ref, args.hyp, args.clean_ref, args.clean)
    found = score_suites(places, args.sets, config)
    print(write_suites(args.hyp, found, provenance("score_suites", argv)))
    print(f"wrote {write_page(args.hyp, read_json(args.hyp / 'scores.json') or {})}")
    return 0


if __name__ == "__main__":
    run(main)
