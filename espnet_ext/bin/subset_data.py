"""Take some utterances of a data directory: the first ones, random ones, or those of a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="the data directory to write")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--first", type=int, metavar="N", help="the first N utterances")
    which.add_argument("--random", type=int, metavar="N", help="N utterances drawn with --seed")
    which.add_argument(
        "--utt_list", type=Path, metavar="FILE", help="ids, the first word of each line"
    )
    which.add_argument("--speakers", nargs="+", metavar="SPEAKER", help="all utterances of these")
    parser.add_argument("--seed", type=int, default=0, help="of --random")
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)

    from espnet_ext.datadir import read_table, subset

    chosen = choose(
        read_table(args.data / "utt2spk"),
        args.first,
        args.random,
        args.seed,
        args.utt_list,
        args.speakers or [],
    )
    subset(args.data, args.out, chosen)
    print(f"{args.out}: {len(chosen)} utterances")
    return 0


def choose(
    utt2spk: dict[str, str],
    first: int | None,
    drawn: int | None,
    seed: int,
    listed: Path | None,
    speakers: list[str],
) -> list[str]:
    """The ids that the options ask for.

    Raises:
        UserError: more than there are, or a speaker that is not there.
    """
    import random

    from espnet_ext.datadir import read_table

    if listed is not None:
        return list(read_table(listed, empty=True))
    if speakers:
        absent = sorted(set(speakers) - set(utt2spk.values()))
        if absent:
            raise UserError(
                f"found no speaker {', '.join(absent)}, expected speakers of utt2spk: check the "
                "names"
            )
        return [utt for utt, speaker in utt2spk.items() if speaker in speakers]
    names = sorted(utt2spk)
    wanted = first if first is not None else drawn or 0
    if not 0 < wanted <= len(names):
        raise UserError(
            f"found {len(names)} utterances, asked for {wanted}: ask for 1 to {len(names)}"
        )
    return (
        names[:wanted] if first is not None else sorted(random.Random(seed).sample(names, wanted))
    )


if __name__ == "__main__":
    run(main)
