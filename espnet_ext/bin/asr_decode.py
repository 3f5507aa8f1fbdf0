"""Recognise the utterances of data directories with a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, jobs, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, help="directory of the sets' data directories, e.g. dump/raw")
    add("sets", nargs="+", help="names of the sets")
    add("--model_dir", type=Path, required=True, help="trained recogniser, e.g. exp/asr_x")
    add("--model", default="valid.acc.ave.pth", help="its weights")
    add("--lm_dir", type=Path, help="trained language model, e.g. exp/lm_x")
    add("--lm_model", default="valid.loss.ave.pth", help="its weights")
    add("--ngram", type=Path, help="n-gram model over the same tokens, e.g. exp/ngram_x")
    add(
        "--ilm",
        type=Path,
        help="model of the training transcripts, e.g. exp/lm_y: it is taken away by ilm_weight (density ratio)",
    )
    add(
        "--config", type=Path, help="YAML with beam_size, ctc_weight, lm_weight, method, boost, ..."
    )
    add(
        "--output_dir",
        type=Path,
        required=True,
        help="receives SET/{text,token,score,confidence,detail,rtf}, and nbest if nbest > 1",
    )
    add("--job", type=jobs, default=(1, 1), metavar="JOB/N", help="do this share only")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    args = parser.parse_args(argv)
    from espnet_ext.inference.decode import decode_sets, read_options
    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

    recogniser = Speech2Text.from_dir(
        args.model_dir,
        args.model,
        lm_dir=args.lm_dir,
        lm_weights=args.lm_model,
        options=read_options(args.config, DecodeOptions),
        device=args.device,
        ngram=args.ngram,
        ilm=args.ilm,
    )
    decode_sets(recogniser, args.data, args.sets, args.output_dir, *args.job)
    return 0


if __name__ == "__main__":
    run(main)
