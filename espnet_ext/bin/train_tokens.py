"""Make a token list (and a sentencepiece model) from text: tokens.txt, bpe.model, text.json."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count


def none_or_name(text: str) -> str | None:
    """`none` and the empty string mean None."""
    return None if text.lower() in ("", "none", "null") else text


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--text", nargs="+", required=True, help="Kaldi text files: `utterance-id sentence` lines")
    add("--out", required=True, help="directory to write to, e.g. data/token_list/bpe_unigram100")
    types = ("bpe", "char", "word", "phn", "wordpiece")
    add("--token_type", choices=types, default="bpe", help="kind of tokens")
    add("--nbpe", type=int, default=500, help="number of sub-words (bpe, wordpiece)")
    add(
        "--bpe_mode",
        choices=("unigram", "bpe"),
        default="unigram",
        help="sentencepiece's algorithm",
    )
    add("--character_coverage", type=float, default=1.0, help="share of characters kept (bpe)")
    add(
        "--cutoff",
        type=int,
        default=0,
        help="tokens seen at most this often become <unk> (not bpe)",
    )
    add("--g2p", type=none_or_name, help="phoneme converter, e.g. espeak_ng_english_us_vits (phn)")
    add("--cleaner", type=none_or_name, help="none, tacotron, normalize or spoken")
    add(
        "--byte_fallback",
        action="store_true",
        help="spell in bytes what the list lacks, so that no character is lost (not phn)",
    )
    add(
        "--normalization",
        choices=("nmt_nfkc", "nmt_nfkc_cf", "nfkc", "nfkc_cf", "identity"),
        default="nmt_nfkc",
        help="what sentencepiece does to characters; identity changes none (bpe)",
    )
    add("--specials", nargs="*", default=(), help="more tokens after <unk>, e.g. '<pad>' '<mask>'")
    add("--lexicon", type=none_or_name, help="your pronunciations: `word phonemes` lines (phn)")
    add("--jobs", type=count(1), default=1, help="processes that convert to phonemes (phn)")
    add("--nlsyms", type=none_or_name, help="file of symbols never split, one a line, e.g. <noise>")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.text.vocabulary import VocabularyConfig, read_symbols, train_tokens

    names = {field.name for field in fields(VocabularyConfig)}
    options = {name: value for name, value in vars(args).items() if name in names}
    options["specials"] = tuple(args.specials)
    options["nlsyms"] = read_symbols(args.nlsyms) if args.nlsyms else ()
    tokens = train_tokens(args.text, args.out, VocabularyConfig(**options))
    print(f"{args.out}/tokens.txt: {len(tokens)} tokens of type {args.token_type}")
    return 0


if __name__ == "__main__":
    run(main)
