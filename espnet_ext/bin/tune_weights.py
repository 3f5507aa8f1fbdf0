"""Find the weights of CTC, language models and length that make the fewest errors on n-best lists of a development set.

Decode it with `nbest: 20` or so and every model with some weight, then tune; nothing is decoded again. The YAML that is
written can be given to asr_decode and to rescore.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("nbest", type=Path, help="decode directory with SET/nbest below it")
    add("sets", nargs="+", help="development sets; one that is reported on would look too good")
    add("--ref", type=Path, required=True, help="directory of the sets' data directories")
    add("--config", type=Path, required=True, help="YAML that the lists were decoded with")
    add("--output", type=Path, required=True, help="YAML to write: --config with tuned weights")
    add("--tune", nargs="+", help="options to tune, e.g. lm_weight penalty; all if not given")
    add("--metric", choices=("wer", "cer"), default="wer", help="what makes an error")
    add("--cleaner", help="cleaner for both sides, as for score_asr")
    add("--nlsyms", help="file of symbols that do not count, one a line")
    add("--folds", type=int, default=5, help="parts of the cross-validation")
    add("--draws", type=int, default=1000, help="points drawn before the line searches")
    add("--seed", type=int, default=0, help="seed of the points and the folds")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = get_parser().parse_args(argv)
    from espnet_ext.datadir import read_table
    from espnet_ext.files import write_text
    from espnet_ext.inference.nbest import NBest, read_nbest
    from espnet_ext.inference.rescore import read_weights_of
    from espnet_ext.metrics.asr import ScoreConfig, splitters
    from espnet_ext.metrics.tuning import as_numbers, make_space, summary, tune, tuned_yaml
    from espnet_ext.text.vocabulary import read_symbols
    from espnet_ext.train.config import load_yaml

    config = load_yaml(args.config)
    weights, per_token = read_weights_of(config, str(args.config))
    lists: NBest = {}
    references: dict[str, str] = {}
    for name in args.sets:
        lists.update(read_nbest(args.nbest / name))
        references.update(read_table(args.ref / name / "text", empty=True))
    symbols = read_symbols(args.nlsyms) if args.nlsyms else ()
    split = splitters(ScoreConfig(cleaner=args.cleaner, nlsyms=symbols))[args.metric]
    numbers = as_numbers(lists, references, split)
    space = make_space(numbers.names, weights, args.tune, per_token)
    found = tune(numbers, space, args.folds, args.draws, args.seed)
    said = summary(numbers, space, found, args.metric.upper(), args.folds)
    write_text(args.output, tuned_yaml(config, found, ["tune_weights", *argv], said))
    print(said)
    print(f"written: {args.output}")
    return 0


if __name__ == "__main__":
    run(main)
