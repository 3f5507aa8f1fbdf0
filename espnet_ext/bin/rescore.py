"""Score n-best lists with more language models, or put them in the order of other weights; nothing is decoded again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def named(text: str) -> tuple[str, Path]:
    """Parse `NAME=PATH`.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    name, equals, path = text.partition("=")
    if not (name.isidentifier() and equals and path):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected NAME=PATH such as lm=exp/lm_x")
    return name, Path(path)


def get_parser() -> Parser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("nbest", type=Path, help="decode directory with SET/nbest below it (decode with nbest > 1)")
    add("sets", nargs="*", help="names of the sets; all that have lists if none is named")
    add("--output_dir", type=Path, required=True, help="receives SET/{nbest,text,token,score}")
    add(
        "--add",
        type=named,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="score with this neural or n-gram model; names that a decoding knows: lm, ngram, ilm; may be repeated",
    )
    add(
        "--config",
        type=Path,
        help="YAML with the weights: ctc_weight, lm_weight, ngram_weight, ilm_weight, penalty, and more_weights of "
        "other names; without it the order stays",
    )
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = get_parser()
    args = parser.parse_args(argv)
    parser.keep_apart(args.output_dir, args.nbest)
    from espnet_ext.inference.nbest import NBEST_FILE, read_nbest, write_nbest
    from espnet_ext.inference.rescore import (
        Rescorer,
        add_scores,
        check_weights,
        read_weights_of,
        reorder,
    )
    from espnet_ext.metrics.tables import find_sets
    from espnet_ext.train.config import load_yaml

    models = {name: Rescorer(path, args.device) for name, path in args.add}
    config = load_yaml(args.config) if args.config else {}
    weights = read_weights_of(config, str(args.config))
    for name in find_sets(args.nbest, NBEST_FILE, args.sets):
        lists = read_nbest(args.nbest / name)
        for score, model in models.items():
            lists = add_scores(lists, score, model)
        before = {utt: found[0] for utt, found in lists.items()}
        if args.config:
            check_weights(config, lists)
            lists = reorder(lists, *weights)
        write_nbest(args.output_dir / name, lists)
        changed = sum(found[0].token_ids != before[utt].token_ids for utt, found in lists.items())
        print(f"{name}: {len(lists)} utterances, another hypothesis is first in {changed}")
    return 0


if __name__ == "__main__":
    run(main)
