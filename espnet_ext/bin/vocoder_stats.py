"""Collect mean and variance of the mel spectrogram that a vocoder reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--config", type=Path, required=True, help="the experiment's YAML")
    add("--train", type=Path, required=True, help="formatted data directory")
    add("--output_dir", type=Path, required=True, help="receives train/feats_stats.npz")
    what = "changes to the YAML"
    add("--set", dest="overrides", nargs="*", default=[], metavar="KEY=VALUE", help=what)
    args = vars(parser.parse_args(argv))
    from espnet_ext.train.vocoder import vocoder_stats

    print(vocoder_stats(**args))
    return 0


if __name__ == "__main__":
    run(main)
