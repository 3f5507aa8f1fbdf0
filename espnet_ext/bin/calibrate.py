"""Make confidences honest: the scale and shift under which those of a decoded set are likeliest.

The set has to be one that is not reported on. What is written is the decoding's YAML with `confidence_scale` and
`confidence_shift`; decoding with it gives calibrated confidences.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def get_parser() -> Parser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("hyp", type=Path, help="decode directory, with SET/confidence below it")
    add("sets", nargs="*", help="names of the sets; all that have confidences if none is named")
    add("--ref", type=Path, required=True, help="directory of the sets' data directories")
    add("--config", type=Path, required=True, help="YAML of the decoding")
    add("--output", type=Path, required=True, help="receives it with the two numbers")
    add("--cleaner", help="cleaner for both sides: none, tacotron, normalize or spoken")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.files import write_text
    from espnet_ext.metrics.recalibrate import calibrate_yaml
    from espnet_ext.metrics.tables import find_sets

    sets = find_sets(str(args.hyp), "confidence", args.sets)
    yaml, said = calibrate_yaml(args.hyp, args.ref, sets, args.config, args.cleaner)
    write_text(args.output, yaml)
    print(said)
    print(f"written: {args.output}")
    return 0


if __name__ == "__main__":
    run(main)
