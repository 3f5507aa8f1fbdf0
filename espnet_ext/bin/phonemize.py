"""Write the phonemes of each line of a text; with --kaldi of each `utterance-id sentence` line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("text", nargs="?", default="-", help="file of sentences; - is standard input")
    add("--g2p", default="espeak_ng_english_us_vits", help="converter; any language: espeak:<code>")
    add("--kaldi", action="store_true", help="the first field is an utterance id and stays")
    add("--cleaner", help="none, tacotron, normalize or spoken: what happens to a sentence first")
    add("--lexicon", help="your own pronunciations, which win: a file of `word phonemes` lines")
    oov = ("predict", "espeak", "error")
    add("--oov", choices=oov, default="predict", help="words that CMUdict lacks (g2p_en)")
    add("--oov_list", help="file to write such words to, most frequent first (g2p_en)")
    add("--syllables", action="store_true", help="a dot between syllables (g2p_en)")
    add("--no_stress", action="store_true", help="leave marks of stress out (g2p_en, espeak)")
    add("--jobs", type=int, default=1, help="processes that convert")
    return parser


def _lines(path: str) -> list[str]:
    with open(0 if path == "-" else path, "rb") as stream:
        data = stream.read()
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; convert it first") from error
    return [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.text.cleaners import make_cleaner
    from espnet_ext.text.phonemize import PhonemizeOptions, phonemize, write_unknown
    from espnet_ext.text.pronunciation import read_lexicon

    options = PhonemizeOptions(
        g2p=args.g2p,
        lexicon=read_lexicon(args.lexicon) if args.lexicon else {},
        oov=args.oov,
        syllables=args.syllables,
        stress=not args.no_stress,
        jobs=args.jobs,
    )
    clean = make_cleaner(args.cleaner)
    split = [line.partition(" ") if args.kaldi else ("", "", line) for line in _lines(args.text)]
    sentences = [clean(" ".join(sentence.split())) for _, _, sentence in split]
    converted = phonemize(sentences, options)
    if args.oov_list:
        write_unknown(args.oov_list, sentences, options)
    for (utt, _, _), phonemes in zip(split, converted, strict=True):
        sys.stdout.write(f"{utt} {phonemes}".rstrip("\n") + "\n" if args.kaldi else f"{phonemes}\n")
    return 0


if __name__ == "__main__":
    run(main)
