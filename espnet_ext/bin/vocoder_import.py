"""Rewrite a vocoder that others have trained as one of ours: to pack it, or to go on training it (init_param)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    what = "ParallelWaveGAN's folder or checkpoint, or the .pth of ESPnet's joint_text2wav"
    parser.add_argument("checkpoint", type=Path, help=what)
    what = "receives config.yaml and valid.mel.best.pth"
    parser.add_argument("--output_dir", type=Path, required=True, help=what)
    args = parser.parse_args(argv)
    from espnet_ext.inference.vocoder import import_vocoder

    print(import_vocoder(args.checkpoint, args.output_dir))
    return 0


if __name__ == "__main__":
    run(main)
