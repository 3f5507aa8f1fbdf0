"""Add copies of a data directory at other speeds; tables only, format_audio makes the sound.

Ids and speakers get the prefix `sp0.9-` (none for 1.0); `utt2speed` says the speed (Ko et al.
2015). With --augment, augmented copies (see augment_audio) are added first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, option, run
from espnet_ext.errors import UserError


def factors(text: str) -> list[str]:
    """`"0.9 1.0 1.1"` as it was written, checked.

    Raises:
        UserError: no number, one outside of 0.1 to 10, or one twice.
    """
    found = text.replace(",", " ").split()
    try:
        good = bool(found) and len({float(f) for f in found}) == len(found)
        good = good and all(0.1 <= float(f) <= 10 for f in found)
    except ValueError:
        good = False
    if not good:
        raise UserError(
            f'found factors {text!r}, expected different numbers from 0.1 to 10, e.g. "0.9 1.0 1.1"'
        )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="the data directory to write")
    parser.add_argument(
        "--factors",
        type=option(factors),
        default="0.9 1.0 1.1",
        help="speeds; 1.0 keeps the ids as they are",
    )
    meaning = "YAML: what may happen to augmented copies; unset: there are none"
    parser.add_argument("--augment", type=Path, metavar="YAML", help=meaning)
    parser.add_argument("--copies", type=int, default=1, help="augmented ones of every utterance")
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)
    if args.copies < 1:
        parser.error(f"--copies: found {args.copies}, expected 1 or more")

    from espnet_ext.audio.copies import at_speeds, with_augmented
    from espnet_ext.datadir.edit import read_all, write_all

    tables = read_all(args.data)
    if args.augment:
        tables = with_augmented(tables, args.data, args.augment, args.copies)
    tables = at_speeds(tables, args.data, args.factors)
    write_all(args.out, tables)
    print(f"{args.out}: {len(tables['utt2spk'])} utterances at speeds {' '.join(args.factors)}")
    return 0


if __name__ == "__main__":
    run(main)
