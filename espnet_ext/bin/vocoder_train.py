"""Train a vocoder: from the mel spectrogram to the waveform."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin._training import asked_anew, require
from espnet_ext.bin.command import Parser, call, run
from espnet_ext.text.lines import count


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--config", type=Path, required=True, help="the experiment's YAML")
    add("--train", type=Path, nargs="+", default=(), help="formatted data directory")
    add("--valid", type=Path, nargs="+", default=(), help="formatted data directory")
    add("--stats_dir", type=Path, help="directory made by vocoder_stats")
    add("--output_dir", type=Path, help="receives the results")
    what = "changes to the YAML"
    add("--set", dest="overrides", nargs="*", default=[], metavar="KEY=VALUE", help=what)
    add("--device", help="cpu, cuda, cuda:1 ...; default: cuda where there is one")
    what = "train a finished model again; what there is moves to before-N"
    add("--anew", action="store_true", default=asked_anew(), help=what)
    what = "processes that train together on this machine, a GPU or a core each"
    add("--nproc", type=count(1), default=1, help=what)
    what = "only try: so many updates at full size, what they cost, nothing written; without --train on made-up data"
    add("--dry_steps", type=count(1), help=what)
    add("--dry_seconds", type=float, help="audio in a batch of --dry_steps, where all is too much")
    given = sys.argv[1:] if argv is None else list(argv)
    args = vars(parser.parse_args(given))
    device, anew, number = args.pop("device"), args.pop("anew"), args.pop("nproc")
    steps, seconds = args.pop("dry_steps"), args.pop("dry_seconds")
    if steps:
        from espnet_ext.train.vocoder import dry_vocoder

        for line in dry_vocoder(args, device, steps, seconds):
            print(line, flush=True)
        return 0
    require(parser, args, ("train", "valid", "output_dir"))
    from espnet_ext.train.launch import end_at_once, is_one_of_many, launch

    if number > 1 and not is_one_of_many():
        return launch([sys.executable, "-m", "espnet_ext.bin.vocoder_train", *given], number)

    def work(_: Sequence[str] | None = None) -> int:
        from espnet_ext.train.run import Places, train_model

        for path in train_model("vocoder", Places(tokens=None, **args), device, anew):
            print(f"final model: {path}")
        return 0

    work.__module__ = "espnet_ext.bin.vocoder_train"
    return end_at_once(lambda: call(work)) if is_one_of_many() else work()


if __name__ == "__main__":
    run(main)
