"""Pack a trained model into a zip that stock ESPnet loads. Run from the recipe's directory."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    tasks = ("asr", "tts", "gan_tts", "vocoder")
    add("--task", choices=tasks, required=True, help="what the model does")
    add("--model_dir", required=True, help="directory of the trained model, e.g. exp/asr_conformer")
    add("--model", help="weights in it; the usual ones of the task if not given")
    add("--lm_dir", help="directory of a language model to pack along (asr)")
    add("--lm_model", help="weights in it")
    add("--ngram", help="n-gram model to pack along (asr)")
    what = "YAML of the decoding that the scores were made with, which `transcribe` then uses (asr)"
    add("--decode_config", help=what)
    add("--vocoder_dir", help="directory of a trained vocoder to pack along (tts)")
    add("--vocoder_model", help="weights in it")
    add("--licence", help="under which others may use the model, e.g. cc-by-4.0")
    add("--option", action="append", default=[], help="one more file to pack; may be repeated")
    add("--output", required=True, help="archive to write, e.g. exp/asr_conformer.zip")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.export.pack import pack

    names = pack(
        args.task,
        args.model_dir,
        args.output,
        model=args.model,
        lm_dir=args.lm_dir,
        lm_model=args.lm_model,
        options=args.option,
        ngram=args.ngram,
        vocoder_dir=args.vocoder_dir,
        vocoder_model=args.vocoder_model,
        licence=args.licence,
        decode_config=args.decode_config,
    )
    print(f"{args.output}: {len(names)} files")
    print("\n".join(f"  {name}" for name in names))
    return 0


if __name__ == "__main__":
    run(main)
