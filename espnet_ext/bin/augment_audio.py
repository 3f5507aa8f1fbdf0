"""Add augmented copies to a data directory; tables only, format_audio makes the sound.

Ids and speakers get the prefix `aug1-`, `aug2-`, ...; `utt2augment` numbers the draws (0: as it is) and `augment.json`
says what may happen: the fields of espnet_ext.audio.augment.Augmentation, given as YAML, e.g.

    reverb: 0.5                                       # a prob; the range is the usual one
    noise: {prob: 0.8, low: 5, high: 20}
    noise_scp: data/noise.scp
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="the data directory to write")
    parser.add_argument("--config", type=Path, required=True, help="YAML: what may happen")
    parser.add_argument("--copies", type=int, default=1, help="of every utterance (default: 1)")
    parser.add_argument(
        "--only_copies", action="store_true", help="leave the utterances themselves out"
    )
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)
    if args.copies < 1:
        parser.error(f"--copies: found {args.copies}, expected 1 or more")

    from espnet_ext.audio.copies import with_augmented
    from espnet_ext.datadir.edit import read_all, write_all

    tables = with_augmented(
        read_all(args.data), args.data, args.config, args.copies, not args.only_copies
    )
    write_all(args.out, tables)
    count = len(tables["utt2spk"])
    print(f"{args.out}: {count} utterances, {args.copies} augmented copies of each among them")
    return 0


if __name__ == "__main__":
    run(main)
