"""Write a speaker embedding of each utterance of data directories: SET/xvector.scp and SET/data/speaker_vectors.ark.

A synthesiser with spk_embed_dim: 256 takes them. The network is that of the package resemblyzer; vectors of any other
one work as well, where they lie as kaldiio writes them: a set that has such vectors is refused, and nothing written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="directory of the sets, e.g. dump/raw")
    parser.add_argument("sets", nargs="+", metavar="SET", help="they get xvector.scp")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    args = parser.parse_args(argv)
    from espnet_ext.audio.voiceprint import require
    from espnet_ext.inference.speaker_vectors import refuse_others, write_vectors

    require()
    for name in args.sets:
        refuse_others(args.data / name)
    for name in args.sets:
        print(write_vectors(args.data / name, args.device))
    return 0


if __name__ == "__main__":
    run(main)
