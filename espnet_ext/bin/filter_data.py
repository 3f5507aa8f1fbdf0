"""Leave out utterances that are too short, too long, without text or implausibly fast, that do not
fulfil a rule such as "snr>=10", or that an audit found fault with.

A rule compares seconds, chars, words or cps (characters a second), or a measure of the audio: level,
peak, noise, snr, wada, clipped, dc, speech, bandwidth, ... (from DATA/SET/quality.tsv, which
format_audio writes, or DATA/SET/audit/audit.tsv of audit_data). Says how many went for which reason;
the list is OUT/SET/dropped. Only tables are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, number, option, run
from espnet_ext.errors import UserError
from espnet_ext.quality.findings import known_kind
from espnet_ext.quality.rules import parse_rule


def kind(text: str) -> str:
    """A kind of findings that utterances can have.

    Raises:
        UserError: there is none of that name.
    """
    if text == "table":
        raise UserError(
            "found the kind 'table', expected one of an utterance: fix_data mends tables"
        )
    return known_kind(text)


def _parser() -> Parser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, help="directory of the sets, e.g. dump/raw/org")
    add("out", type=Path, help="gets OUT/SET for every set, e.g. dump/raw")
    add("sets", nargs="+", metavar="SET")
    add("--min_seconds", type=number, default=0.1, help="shortest utterance")
    add("--max_seconds", type=number, default=20.0, help="longest utterance")
    add("--min_chars", type=int, default=1, help="shortest text")
    add("--max_chars_per_second", type=number, default=0.0, help="fastest; 0: any")
    add("--keep", default="", help='sets to copy whole, such as test sets: "test dev"')
    more = "may be given several times"
    meaning = f'what stays must fulfil it, e.g. "snr>=10" or "cps<=25"; {more}'
    add(
        "--rule", type=option(parse_rule), action="append", default=[], metavar="RULE", help=meaning
    )
    meaning = f"leave out what audit_data found to be KIND, e.g. truncated; {more}"
    add("--drop", type=option(kind), action="append", default=[], metavar="KIND", help=meaning)
    meaning = "measures and findings of the one SET; unset: DATA/SET/quality.tsv or audit/audit.tsv"
    add("--measures", type=Path, metavar="TSV", help=meaning)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    for name in args.sets:
        parser.keep_apart(args.out / name, args.data / name)
    whole = args.keep.split()
    if unknown := sorted(set(whole) - set(args.sets)):
        parser.error(f"--keep: found {unknown[0]}, expected some of {' '.join(args.sets)}")
    filtered = [name for name in args.sets if name not in whole]
    if args.measures and len(filtered) > 1:
        parser.error(
            f"--measures: found one table for {' '.join(filtered)}, expected one set (the others would "
            "fall out): filter them one by one, or --keep the others"
        )

    from espnet_ext.quality.filtering import Demands, Limits, filter_set

    limits = Limits(args.min_seconds, args.max_seconds, args.min_chars, args.max_chars_per_second)
    demands = Demands(limits, tuple(args.rule), frozenset(args.drop), args.measures)
    for name in args.sets:
        asked = demands if name in filtered else None
        kept, dropped = filter_set(args.data / name, args.out / name, asked)
        gone = "; ".join(f"{n} {reason}" for reason, n in dropped.most_common()) or "none"
        print(f"{args.out / name}: kept {kept}, dropped {dropped.total()} ({gone})")
    return 0


if __name__ == "__main__":
    run(main)
