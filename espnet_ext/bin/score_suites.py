"""Score evaluation suites: one table of conditions and word error rates, with how much worse than clean they are.

Writes HYP/scores.json, HYP/RESULTS.md and HYP/suites.html. Conditions that were made but not decoded are left out;
selections (rare_words, disfluent, ...) need no decoding of their own. The options of score_asr are taken, so that a
recipe's score_opts fit; --by and --no_sclite change nothing here.
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
    add("sets", nargs="*", help="names of the test sets; all that have a suite if none is named")
    add("--ref", type=Path, required=True, help="what make_suite wrote, e.g. dump/suites")
    add("--hyp", type=Path, required=True, help="what was recognised there: SET-CONDITION/text")
    add("--clean_ref", type=Path, required=True, help="directory of the sets' own data directories")
    add("--clean", type=Path, required=True, help="decoding of the sets themselves: SET/text")
    add(
        "--conditions", default="", metavar='"NAME ..."', help="which ones; unset: all decoded ones"
    )
    add_counting(parser)
    args = parser.parse_args(argv)

    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.metrics.suites import Places, score_suites, write_suites
    from espnet_ext.report.sources import read_json
    from espnet_ext.report.suites import write_page

    config = counting_of(args)
    places = Places(args.ref, args.hyp, args.clean_ref, args.clean, tuple(args.conditions.split()))
    found = score_suites(places, args.sets, config)
    print(write_suites(args.hyp, found, provenance("score_suites", argv)))
    print(f"wrote {write_page(args.hyp, read_json(args.hyp / 'scores.json') or {})}")
    return 0


if __name__ == "__main__":
    run(main)
