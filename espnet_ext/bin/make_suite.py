"""Make evaluation suites of test sets: the same speech in noise, in rooms, over the telephone, damaged, faster, ...;
and selections of utterances that are hard for what is said in them.

Writes OUT/SET-CONDITION, a data directory each. Conditions have numbers in their names, any within reason:
noise_10db babble_5db talker_10db (signal-to-noise ratio), reverb_0.6s far_field, telephone telephone_gsm mp3 opus,
clipping_10pc packet_loss_5pc level_-40db offset_10pc, speed_0.8 (pitch changes) tempo_1.25 (pitch stays), padding_2s
joined_30s. The same seed gives the same sound, whatever else is made. Run again, it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, nargs="+", help="data directories of test sets")
    add("out", type=Path, help="gets SET-CONDITION for every set and condition")
    add("--conditions", metavar='"NAME ..."', help="which ones; unset: the usual suite of 28")
    add("--selections", metavar='"NAME ..."', help="which ones; unset: all that find something: rare_words "
        "rare_characters terms disfluent short long")  # fmt: skip
    add("--noise", type=Path, help="directory or table of noises; unset: noise is synthesised")
    add("--train_text", type=Path, help="text of the training set, which says what words are rare")
    add("--terms", type=Path, help="file of technical terms, one a line")
    add("--seed", type=int, default=0, help="another one gives other noises and rooms")
    add("--nj", type=count(1), default=2, help="processes")
    args = parser.parse_args(argv)

    from espnet_ext.errors import UserError
    from espnet_ext.suites.conditions import STANDARD, condition
    from espnet_ext.suites.make import Suite, make_suite
    from espnet_ext.suites.texts import SELECTIONS

    names = tuple(STANDARD) if args.conditions is None else tuple(args.conditions.split())
    chosen = tuple(SELECTIONS) if args.selections is None else tuple(args.selections.split())
    try:
        for name in names:
            condition(name)
    except UserError as error:
        parser.error(f"--conditions: {error}")
    for name in set(chosen) - set(SELECTIONS):
        parser.error(f"--selections: found {name!r}, expected some of {', '.join(SELECTIONS)}")
    suite = Suite(names, chosen, args.seed, args.noise, args.train_text, args.terms, args.nj)
    for data in args.data:
        for name, made in make_suite(data, args.out, suite).items():
            print(f"{args.out / name}: {made} utterances" if made else f"{name}: none, left out")
    return 0


if __name__ == "__main__":
    run(main)
