"""Train a token n-gram model (modified Kneser-Ney) and measure its perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.files import write_json


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--tokens", type=Path, required=True, help="directory written by train_tokens")
    add("--text", type=Path, nargs="+", required=True, help="text file(s), `id sentence` lines")
    add("--order", type=int, default=4, help="longest n-gram; tokens are short, so 4 to 6")
    add(
        "--cutoffs",
        type=int,
        nargs="+",
        default=[],
        help="leave out n-grams of order 2, 3, ... that stand in the text at most so many times, e.g. 0 1 1",
    )
    add("--valid", type=Path, nargs="*", default=[], help="text file(s) for the perplexity")
    add("--arpa", type=Path, help="write the model in ARPA form, too, e.g. x.arpa.gz")
    add("--output_dir", type=Path, required=True, help="receives ngram.npz and perplexity.json")
    args = parser.parse_args(argv)
    from espnet_ext.inference.perplexity import ngram_perplexity
    from espnet_ext.lm import NGRAM_FILE
    from espnet_ext.lm.kneser_ney import train_on_text
    from espnet_ext.lm.ngram import save_ngram
    from espnet_ext.text.tokens import TextPipeline

    pipeline = TextPipeline.from_dir(args.tokens)
    model = train_on_text(args.text, pipeline, args.order, args.cutoffs)
    save_ngram(args.output_dir / NGRAM_FILE, model)
    print(f"{args.output_dir / NGRAM_FILE}: {' + '.join(map(str, model.sizes))} n-grams")
    if args.arpa is not None:
        from espnet_ext.lm.arpa import write_arpa

        write_arpa(args.arpa, model)
    if args.valid:
        found = ngram_perplexity(model, args.valid, pipeline)
        write_json(args.output_dir / "perplexity.json", found)
        print(
            f"perplexity {found['perplexity']:.2f} a token, {found['word_perplexity']:.2f} a word"
        )
    return 0


if __name__ == "__main__":
    run(main)
