"""Options that the commands share that count a recogniser's errors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espnet_ext.metrics.asr import ScoreConfig


def add_counting(parser: argparse.ArgumentParser) -> None:
    """What counts as an error, what the groups are, how intervals are drawn."""
    add = parser.add_argument
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
        type=Path,
        default=[],
        metavar="FILE",
        help="table of utterance (or speaker) and group: error rates by it, beside those by gender, accent, "
        "age, language and condition (utt2... or spk2... of the data directory) and length; may be repeated",
    )


def counting_of(args: argparse.Namespace, tokens: str | None = None) -> ScoreConfig:
    """The same as `score_set` takes it."""
    from espnet_ext.metrics.asr import ScoreConfig
    from espnet_ext.text.vocabulary import read_symbols

    return ScoreConfig(
        cleaner=args.cleaner,
        nlsyms=read_symbols(args.nlsyms) if args.nlsyms else (),
        token_dir=tokens,
        case_sensitive=args.case_sensitive,
        sclite=not args.no_sclite,
        samples=args.samples,
        seed=args.seed,
        blocks=args.blocks,
        by=tuple(args.by),
    )
