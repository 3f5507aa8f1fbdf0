"""Let a recogniser hear what a synthesiser or a vocoder said, and score it: can it be understood?

Writes OUTPUT/{data,dump,decode}/SET, OUTPUT/decode/scores.json and OUTPUT/round_trip.json. The texts
are first spelled as the recogniser's own transcripts are (case, punctuation, numbers). With --recordings the
recogniser hears the same utterances' recordings, too: OUTPUT/recordings/{data,dump,decode}.
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
    spoken = parser.add_mutually_exclusive_group(required=True)
    spoken.add_argument("--tts", metavar="DIR", help=f"synthesiser: {_SPEC}")
    what = "vocoder, whose copy-synthesis is heard; RECIPE:voc_x:copy_synthesis/griffin_lim is what stands beside it"
    spoken.add_argument("--voc", metavar="DIR", help=what)
    add("--recordings", action="store_true", help="hear the recordings as well")
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
    spoken_in = "of the texts, e.g. de; that of the synthesiser's g2p, or English, if not given"
    add("--language", metavar="CODE", help=spoken_in)
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add("--output", type=Path, required=True, help="directory for all that is written")
    args = parser.parse_args(argv)
    started = time.monotonic()
    from espnet_ext.files import write_json

    asr, tts, dataset = _find(args)
    facts: dict[str, object] = {"asr": str(asr.model), "tts": str(tts.decode), "set": dataset}
    facts |= _run(args, asr, tts, dataset, args.output)
    if args.recordings:
        facts["recordings"] = _run(args, asr, tts, dataset, args.output / "recordings", True)
    seconds = round(time.monotonic() - started, 3)
    write_json(args.output / "round_trip.json", {**facts, "seconds": seconds})
    return 0


def _find(args: argparse.Namespace) -> tuple[Experiment, Experiment, str]:
    """Recogniser, synthesis and set that the options mean."""
    from espnet_ext.errors import UserError
    from espnet_ext.report.sources import find_experiment

    asr, kind = find_experiment(args.asr, "asr"), "tts" if args.tts else "voc"
    tts = find_experiment(args.tts or args.voc, kind)
    if asr.model is None:
        raise UserError(
            f"{asr.recipe}/exp: found no asr_*, expected a trained recogniser: train it"
        )
    found = tts.sets("wav.scp")
    if not found:
        raise UserError(
            f"{tts.recipe}/exp: found no synthesised set, expected one: synthesise first (with --voc: vocode)"
        )
    if args.set and args.set not in found:
        raise UserError(
            f"--set {args.set}: expected one of {', '.join(found)}, which were synthesised"
        )
    return asr, tts, args.set or found[0]


def _run(
    args: argparse.Namespace,
    asr: Experiment,
    tts: Experiment,
    dataset: str,
    output: Path,
    recordings: bool = False,
) -> dict[str, object]:
    """Data directory, audio at the recogniser's rate, recognition, scores; the error rates in percent."""
    from espnet_ext.bin import asr_decode, format_audio, score_asr
    from espnet_ext.report.round_trip import recipe_decoding, write_data
    from espnet_ext.report.sources import read_json
    from espnet_ext.report.summary import pooled

    data, dump, decode = (str(output / name) for name in ("data", "dump", "decode"))
    write_data(tts, asr, dataset, Path(data) / dataset, recordings, args.language)
    format_audio.main(["--fs", str(args.fs), data, dump, dataset])
    settings = recipe_decoding(asr)
    config, lm = args.config or settings.config, args.lm_dir or settings.lm
    options = ["--model_dir", str(asr.model), "--model", args.model, "--device", args.device]
    options += ["--config", str(config)] if config else []
    options += ["--lm_dir", str(lm)] if lm else []
    options += ["--ngram", str(settings.ngram)] if settings.ngram else []
    asr_decode.main([*options, "--output_dir", decode, dump, dataset])
    score_asr.main(["--ref", dump, "--hyp", decode, dataset])
    scores = read_json(output / "decode/scores.json")
    return {kind: pooled(scores, kind)[0] for kind in ("cer", "wer")}


if __name__ == "__main__":
    run(main)
