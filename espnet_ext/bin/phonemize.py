"""Write the phonemes of each line of a text; with --kaldi of each `utterance-id sentence` line.

With --check nothing is written but a report; the exit status is 1 if phonemes are missing in the model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count

if TYPE_CHECKING:
    from espnet_ext.text.phonemize import PhonemizeOptions


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("text", nargs="?", default="-", help="file of sentences; - is standard input")
    add("--g2p", default="espeak_ng_english_us_vits",
        help="converter; any language: espeak:<code>; none: the text is phonemes already")  # fmt: skip
    add("--kaldi", action="store_true", help="the first field is an utterance id and stays")
    add("--cleaner", help="none, tacotron, normalize or spoken: what happens to a sentence first")
    add("--lexicon", help="your own pronunciations, which win: a file of `word phonemes` lines")
    oov = ("predict", "espeak", "error")
    add("--oov", choices=oov, default="predict", help="words that CMUdict lacks (g2p_en)")
    add("--oov_list", help="file to write such words to, most frequent first (g2p_en)")
    add("--check", metavar="TOKENS",
        help="say which words the lexicon (or CMUdict) lacks and which phonemes a model's tokens lack: a tokens.txt, "
        "a directory of train_tokens, or a model's config.yaml")  # fmt: skip
    add("--syllables", action="store_true", help="a dot between syllables (g2p_en)")
    add("--no_stress", action="store_true", help="leave marks of stress out (g2p_en, espeak)")
    add("--jobs", type=count(1), default=1, help="processes that convert")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.datadir.tables import split_line
    from espnet_ext.text.cleaners import make_cleaner
    from espnet_ext.text.lines import read_lines
    from espnet_ext.text.phonemize import PhonemizeOptions, phonemize, write_unknown
    from espnet_ext.text.pronunciation import read_lexicon

    options = PhonemizeOptions(
        g2p=None if args.g2p == "none" else args.g2p,
        lexicon=read_lexicon(args.lexicon) if args.lexicon else {},
        oov=args.oov,
        syllables=args.syllables,
        stress=not args.no_stress,
        jobs=args.jobs,
    )
    clean = make_cleaner(args.cleaner)
    lines = read_lines(args.text)
    if args.kaldi:  # an empty line has no id, and a Kaldi table no place for it
        split = [split_line(line) for line in lines if line.strip()]
    else:
        split = [("", line) for line in lines]
    sentences = [clean(" ".join(sentence.split())) for _, sentence in split]
    if args.check:
        return _check(sentences, options, args.check)
    converted = phonemize(sentences, options)
    if args.oov_list:
        write_unknown(args.oov_list, sentences, options)
    for (utt, _), phonemes in zip(split, converted, strict=True):
        sys.stdout.write(f"{utt} {phonemes}".rstrip("\n") + "\n" if args.kaldi else f"{phonemes}\n")
    return 0


def _check(sentences: Sequence[str], options: PhonemizeOptions, tokens: str) -> int:
    from espnet_ext.text.phone_check import check, model_tokens

    found = check(sentences, options, model_tokens(tokens))
    sys.stdout.write(found.report())
    return 1 if found.phonemes else 0


if __name__ == "__main__":
    run(main)
