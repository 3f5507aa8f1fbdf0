"""Write a trained model as ONNX graphs, each compared with torch, in float and in INT8."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    what = "recogniser, acoustic model (mel spectrograms) or vocoder"
    add("--task", choices=("asr", "tts", "voc"), required=True, help=what)
    add("--model_dir", required=True, help="directory of the trained model, e.g. exp/asr_conformer")
    add("--model", help="weights in it; the usual ones of the task if not given")
    add("--output_dir", required=True, help="receives NAME.onnx, NAME.int8.onnx and onnx.json")
    what = "INT8 forms, too, of matrix products; convolutions stay float"
    add("--int8", choices=("yes", "no"), default="yes", help=what)
    what = "forms, too, whose weights are kept in 16 bits and widened as they are read: half the size, fp32's speed"
    add("--half", choices=("no", "bf16", "fp16"), default="no", help=what)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.export.onnx_model import export_onnx

    given = args.task, args.model_dir, args.output_dir, args.model, args.int8 == "yes"
    half = None if args.half == "no" else args.half
    for one in export_onnx(*given, half=half):
        small = "" if one.int8 is None else f", INT8 {one.int8 / 1e6:.1f} MB"
        if one.half is not None:
            small += f", {half} {one.half / 1e6:.1f} MB"
        size = f"{one.bytes / 1e6:.1f} MB{small}"
        print(f"{args.output_dir}/{one.name}.onnx: {size}, {one.difference:.1e} from torch")
    return 0


if __name__ == "__main__":
    run(main)
