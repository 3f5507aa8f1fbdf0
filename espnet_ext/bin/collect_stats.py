"""Collect mean and variance of features (and pitch, for TTS) over training and validation data."""

from __future__ import annotations

from collections.abc import Sequence

from espnet_ext.bin._training import parser
from espnet_ext.bin.command import run
from espnet_ext.text.lines import count


def main(argv: Sequence[str] | None = None) -> int:
    options = parser(__doc__, stats=False)
    options.add_argument(
        "--task", choices=("asr", "lm", "tts", "gan_tts"), required=True, help="kind of model"
    )
    options.add_argument(
        "--nj",
        type=count(0),
        default=0,
        help="processes that share the work on a CPU; 0: one a thread",
    )
    args = vars(options.parse_args(argv))
    task, device, processes = (args.pop(name) for name in ("task", "device", "nj"))
    import torch

    from espnet_ext.train.run import Places
    from espnet_ext.train.stats import collect_stats

    collect_stats(task, Places(**args), device or "cpu", processes or torch.get_num_threads())
    return 0


if __name__ == "__main__":
    run(main)
