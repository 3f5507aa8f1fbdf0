"""Put data directories together; tables that not all of them have are left out, which is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("out", type=Path, help="the data directory to write")
    parser.add_argument("data", nargs="+", type=Path, help="the data directories to combine")
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, *args.data)

    from espnet_ext.datadir import combine, read_table

    left_out = combine(args.out, args.data)
    count = len(read_table(args.out / "utt2spk"))
    print(f"{args.out}: {count} utterances of {len(args.data)} directories")
    if left_out:
        print(f"{args.out}: left out {', '.join(left_out)}, which not all of them have")
    return 0


if __name__ == "__main__":
    run(main)
