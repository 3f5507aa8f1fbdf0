"""Teach the masks of a multi-channel front end on simulated scenes, before it trains with a recogniser.

Written as weights that the recogniser's training starts from: `init_param: [OUT]` in its YAML. Scenes are those of
simulate_rooms, of speech that lies close to the microphone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, number, run
from espnet_ext.bin.simulate_rooms import pair


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, help="data directory of speech close to the microphone")
    add("out", type=Path, help="file to write, such as exp/masks.pth")
    add("--config", type=Path, required=True, help="the recogniser's YAML")
    add("--noise", required=True, help="folder of noise recordings, searched with its subfolders")
    add("--stretch", type=pair(number), default=(0.0, 1.0), help="part of each noise recording")
    add("--scenes", type=int, default=400, help="utterances that are simulated")
    add("--updates", type=int, default=1000, help="of the weights")
    add("--seed", type=int, default=0, help="of weights, scenes and order")
    args = parser.parse_args(argv)
    if min(args.scenes, args.updates) < 1:
        parser.error(f"found {args.scenes} scenes and {args.updates} updates, expected 1 or more")

    from espnet_ext.asr.multichannel.pretrain import Pretraining, train_masks
    from espnet_ext.audio.scenes import Surroundings
    from espnet_ext.train.config import load_yaml

    config = load_yaml(args.config)
    options = Surroundings(stretch=args.stretch, seed=args.seed)
    how = Pretraining(scenes=args.scenes, updates=args.updates, seed=args.seed)
    losses = train_masks(args.data, args.noise, config, args.out, options, how)
    last = losses[-min(len(losses), 50) :]
    print(f"{args.out}: cross-entropy of a bin {losses[0]:.3f} -> {sum(last) / len(last):.3f}")
    return 0


if __name__ == "__main__":
    run(main)
