"""Listen to a recording as if it were spoken now: words as they are known, each line with the time in the sound."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, number, run
from espnet_ext.errors import UserError
from espnet_ext.inference.streaming_options import StreamOptions, options_of

if TYPE_CHECKING:
    from espnet_ext.inference.streaming import StreamingSpeech2Text

#: Those of StreamOptions that have an option here.
OPTIONS = {
    "chunk": "seconds that the encoder works on at a time",
    "beam": "prefixes that CTC follows",
    "ctc_weight": "share of CTC in the choice among hypotheses; 1 = no decoder",
    "margin": "more shows words later and changes fewer of them",
    "pause": "seconds of silence after which the last word is shown, too",
    "silence": "seconds of it that end a sentence; 0 = never",
    "longest": "seconds after which a sentence ends at the next pause; 0 = never",
}


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("audio", nargs="+", help="recordings, of any format and rate")
    what = "recogniser trained in chunks (encoder_conf: {chunk: {...}}), named as for transcribe; or see --model_dir"
    add("--model", help=what)
    add(
        "--model_dir",
        help="folder of its training, e.g. exp/asr_x; --model is a file of weights in it then",
    )
    what = "where packed models are unpacked to; ~/.cache/espnet_ext if not given"
    add("--cache", type=Path, help=what)
    what = "YAML of a decoding, of which ctc_weight and confidences count; the packed model's own if not given"
    add("--config", type=Path, help=what)
    add("--piece", type=number, default=0.1, help="seconds of sound that come at a time")
    what = "sound comes as fast as in life times this; 0 = as fast as it is recognised"
    add("--pace", type=number, default=0.0, help=what)
    for name, what in OPTIONS.items():
        usual = getattr(StreamOptions, name)
        kind = int if isinstance(usual, int) else number
        add(f"--{name}", type=kind, default=argparse.SUPPRESS, help=f"{what} (default: {usual})")
    what = "the recordings are WAV files still being written; they end after so many seconds without anything new"
    add("--live", type=number, metavar="IDLE", help=what)
    what = "sentences that are over are not heard again as a whole"
    add("--once", action="store_true", help=what)
    return parser


def loaded(args: argparse.Namespace) -> StreamingSpeech2Text:
    """The engine that is asked for.

    Raises:
        UserError: if no model is named, or it cannot be used.
    """
    from espnet_ext.inference.packed_options import read_decoding
    from espnet_ext.inference.streaming import StreamingSpeech2Text

    if not args.model and not args.model_dir:
        raise UserError(
            "found no model, expected one: --model model.zip, say, or --model_dir exp/asr_x"
        )
    name = Path(args.model_dir, args.model or "") if args.model_dir else args.model
    changes = {key: getattr(args, key) for key in OPTIONS if key in args}
    if args.once:
        changes["again"] = False
    options = options_of(read_decoding(args.config)) if args.config else None
    return StreamingSpeech2Text.from_pretrained(name, cache=args.cache, options=options, **changes)


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.inference.streaming_show import listen, listen_live

    engine = loaded(args)
    for path in args.audio:
        if len(args.audio) > 1:
            print(f"# {path}")
        live = args.live is not None
        lines = (
            listen_live(engine, path, args.live)
            if live
            else listen(engine, path, args.piece, args.pace)
        )
        for line in lines:
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    run(main)
