"""Let a recogniser hear what a synthesiser said, and score it: can the synthesis be understood?

Writes OUTPUT/{data,dump,decode}/SET, OUTPUT/decode/scores.json and OUTPUT/round_trip.json. The texts
are first spelled as the recogniser's own transcripts are (case, punctuation, numbers).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, run

if TYPE_CHECKING:
    import argparse

    from espnet_ext.report.sources import Experiment

_SPEC = "recipe's directory[:model[:decoding]]; the newest model and decoding where not named"


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--asr", required=True, metavar="DIR", help=f"recogniser: {_SPEC}")
    add("--tts", required=True, metavar="DIR", help=f"synthesiser: {_SPEC}")
    add("--set", help="which of the synthesised sets; the first if none is named")
    add("--fs", type=int, default=16000, help="the recogniser's sampling rate in Hz")
    add("--model", default="valid.acc.ave.pth", help="the recogniser's weights")
    add(
        "--config",
        type=Path,
        help="YAML of the search; that of the recipe's decoding if none is named",
    )
    add(
        "--lm_dir", type=Path, help="language model; that of the recipe's decoding if none is named"
    )
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add("--output", type=Path, required=True, help="directory for all that is written")
    args = parser.parse_args(argv)
    started = time.monotonic()
    from espnet_ext.files import write_json

    asr, tts, dataset = _find(args)
    _run(args, asr, tts, dataset)
    facts = {"asr": str(asr.model), "tts": str(tts.decode), "set": dataset}
    seconds = round(time.monotonic() - started, 3)
    write_json(args.output / "round_trip.json", {**facts, "seconds": seconds})
    return 0


def _find(args: argparse.Namespace) -> tuple[Experiment, Experiment, str]:
    """Recogniser, synthesis and set that the options mean."""
    from espnet_ext.errors import UserError
    from espnet_ext.report.sources import find_experiment

    asr, tts = find_experiment(args.asr, "asr"), find_experiment(args.tts, "tts")
    if asr.model is None:
        raise UserError(
            f"{asr.recipe}/exp: found no asr_*, expected a trained recogniser: train it"
        )
    found = tts.sets("wav.scp")
    if not found:
        raise UserError(
            f"{tts.recipe}/exp: found no synthesised set, expected one: synthesise first"
        )
    if args.set and args.set not in found:
        raise UserError(
            f"--set {args.set}: expected one of {', '.join(found)}, which were synthesised"
        )
    return asr, tts, args.set or found[0]


def _run(args: argparse.Namespace, asr: Experiment, tts: Experiment, dataset: str) -> None:
    """Data directory, audio at the recogniser's rate, recognition, scores."""
    from espnet_ext.bin import asr_decode, format_audio, score_asr
    from espnet_ext.report.round_trip import recipe_decoding, write_data

    data, dump, decode = (str(args.output / name) for name in ("data", "dump", "decode"))
    write_data(tts, asr, dataset, Path(data) / dataset)
    format_audio.main(["--fs", str(args.fs), data, dump, dataset])
    settings = recipe_decoding(asr)
    config, lm = args.config or settings.config, args.lm_dir or settings.lm
    options = ["--model_dir", str(asr.model), "--model", args.model, "--device", args.device]
    options += ["--config", str(config)] if config else []
    options += ["--lm_dir", str(lm)] if lm else []
    options += ["--ngram", str(settings.ngram)] if settings.ngram else []
    asr_decode.main([*options, "--output_dir", decode, dump, dataset])
    score_asr.main(["--ref", dump, "--hyp", decode, dataset])


if __name__ == "__main__":
    run(main)
