"""Listen to a recording as if it were spoken now: words as they are known, each line with the time in the sound."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, number, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("audio", nargs="+", help="recordings, of any format and rate")
    what = "recogniser trained in chunks (encoder_conf: {chunk: {...}}), e.g. exp/asr_x"
    add("--model_dir", required=True, help=what)
    add("--model", default="valid.acc.ave.pth", help="its weights")
    add("--piece", type=number, default=0.1, help="seconds of sound that come at a time")
    what = "sound comes as fast as in life times this; 0 = as fast as it is recognised"
    add("--pace", type=number, default=0.0, help=what)
    add("--chunk", type=number, default=0.32, help="seconds that the encoder works on at a time")
    add("--silence", type=number, default=0.8, help="seconds of it that end a sentence; 0 = never")
    what = "share of CTC in the choice among hypotheses; 1 = no decoder"
    add("--ctc_weight", type=number, default=0.5, help=what)
    what = "the recordings are WAV files still being written; they end after so many seconds without anything new"
    add("--live", type=number, metavar="IDLE", help=what)
    what = "sentences that are over are not heard again as a whole"
    add("--once", action="store_true", help=what)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.inference.streaming import StreamingSpeech2Text, StreamOptions
    from espnet_ext.inference.streaming_show import listen, listen_live

    options = StreamOptions(
        chunk=args.chunk,
        silence=args.silence,
        ctc_weight=args.ctc_weight,
        again=not args.once,
    )
    engine = StreamingSpeech2Text.from_dir(args.model_dir, args.model, options)
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
