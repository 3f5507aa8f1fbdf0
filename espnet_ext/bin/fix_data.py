"""Mend data directories: sort the tables, keep the utterances common to all, rebuild spk2utt.

Says what it dropped and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, number, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="data directories, changed in place")
    parser.add_argument(
        "--min_seconds", type=number, help="drop shorter utterances (needs utt2dur)"
    )
    parser.add_argument(
        "--shown", type=int, default=20, help="how many of the dropped ones to name"
    )
    args = parser.parse_args(argv)

    from espnet_ext.datadir import fix

    for directory in args.data:
        dropped = fix(directory, min_seconds=args.min_seconds)
        print(f"{directory}: dropped {len(dropped)}")
        for key, reason in sorted(dropped.items())[: args.shown]:
            print(f"  {key}: {reason}")
        if len(dropped) > args.shown:
            print(f"  ... and {len(dropped) - args.shown} more (--shown {len(dropped)} names all)")
    return 0


if __name__ == "__main__":
    run(main)
