"""Measure the perplexity of a trained language model on text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.files import write_json


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--model_dir", type=Path, required=True, help="trained language model, e.g. exp/lm_x")
    add("--model", default="valid.loss.ave.pth", help="its weights")
    add("--text", type=Path, nargs="+", required=True, help="text file(s), `id sentence` lines")
    add("--output", type=Path, help="JSON file for the figures")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    args = parser.parse_args(argv)
    from espnet_ext.inference.perplexity import perplexity

    found = perplexity(
        args.model_dir / "config.yaml", args.model_dir / args.model, args.text, args.device
    )
    if args.output is not None:
        write_json(args.output, found)
    print(f"perplexity {found['perplexity']:.2f} a token, {found['word_perplexity']:.2f} a word")
    return 0


if __name__ == "__main__":
    run(main)
