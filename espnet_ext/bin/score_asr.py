"""Score recognised text: word, character and token error rates as sclite counts them.

scores.json and RESULTS.md also hold the rates by speaker, gender, accent and length, the words that are confused, how
fast the decoder was and what its confidences are worth, as far as the data directory and the decoder tell.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("sets", nargs="*", help="names of the sets; all that were decoded if none is named")
    add("--ref", required=True, help="directory of the sets' data directories, e.g. dump/raw")
    add("--hyp", required=True, help="decode directory, with SET/text below it")
    add("--tokens", help="directory written by train_tokens: adds the token error rate")
    add(
        "--cleaner",
        help="cleaner for both sides of WER and CER: none, tacotron, normalize or spoken",
    )
    add("--nlsyms", help="file of symbols that do not count for WER and CER, one a line")
    add("--case_sensitive", action="store_true", help="let A and a differ")
    add("--no_sclite", action="store_true", help="do not call sclite for result.txt")
    add("--samples", type=int, default=1000, help="draws of the bootstrap intervals")
    add("--seed", type=int, default=0, help="seed of the bootstrap intervals")
    add(
        "--blocks",
        choices=("utterance", "speaker"),
        default="utterance",
        help="what the bootstrap draws; speakers make honest intervals where each has many utterances",
    )
    add(
        "--by",
        action="append",
        default=[],
        metavar="FILE",
        help="table of utterance (or speaker) and group: error rates by it, beside those by gender, accent, "
        "age, language and condition (utt2... or spk2... of the data directory) and length; may be repeated",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = get_parser().parse_args(argv)
    from pathlib import Path

    from espnet_ext.metrics.asr import ScoreConfig, score_set
    from espnet_ext.metrics.asr_report import write_results
    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.metrics.tables import find_sets
    from espnet_ext.text.vocabulary import read_symbols

    config = ScoreConfig(
        cleaner=args.cleaner,
        nlsyms=read_symbols(args.nlsyms) if args.nlsyms else (),
        token_dir=args.tokens,
        case_sensitive=args.case_sensitive,
        sclite=not args.no_sclite,
        samples=args.samples,
        seed=args.seed,
        blocks=args.blocks,
        by=tuple(map(Path, args.by)),
    )
    scored = [
        score_set(Path(args.ref) / name, Path(args.hyp) / name, config)
        for name in find_sets(args.hyp, "text", args.sets)
    ]
    print(write_results(args.hyp, scored, provenance("score_asr", argv)))
    return 0


if __name__ == "__main__":
    run(main)
