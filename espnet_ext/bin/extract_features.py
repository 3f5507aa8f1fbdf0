"""Extract features of a data directory: OUT gets feats.scp, utt2num_frames, feats_stats.npz and what they point to.

The numbers are those of the training front end; --like takes its settings from a model's config.yaml.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_ext.bin.command import Parser, jobs, run
from espnet_ext.errors import UserError


def setting(text: str) -> tuple[str, Any]:
    """`n_mels=128` as a name and a value.

    Raises:
        argparse.ArgumentTypeError: if there is no `=`.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected NAME=VALUE")
    if value.lower() in ("none", "null", ""):
        return name, None
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            pass
    return name, value


def features(kind: str, fs: int | None, like: Path | None, settings: dict[str, Any]) -> Any:
    """The options of espnet_ext.audio.features.

    Raises:
        UserError: for a setting that does not exist.
    """
    from dataclasses import fields, replace

    from espnet_ext.audio.features import Features, features_of_model
    from espnet_ext.train.config import load_yaml

    known = [field.name for field in fields(Features)]
    for name in settings:
        if name not in known:
            raise UserError(f"--set: found {name!r}, expected some of {', '.join(known)}")
    start = features_of_model(load_yaml(like)) if like else Features()
    if fs:
        settings = {"fs": fs, **settings}
    return replace(start, **{"kind": kind, **settings})


def add_features(parser: Parser) -> None:
    """The options that say what is extracted."""
    parser.add_argument(
        "--kind",
        default="logmel",
        help="logmel, mfcc, spectrogram, energy, rms, lpc, envelope or f0",
    )
    parser.add_argument("--fs", type=int, help="sampling rate of the audio in Hz; unset: 16000")
    parser.add_argument(
        "--like", type=Path, help="config.yaml of a model whose front end to follow"
    )
    parser.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="n_mels=128, n_fft, win_length, hop_length, fmin, fmax, order, f0_method, ...",
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="where features go")
    add_features(parser)
    parser.add_argument("--format", choices=("ark", "hdf5"), default="ark", help="what to write")
    parser.add_argument(
        "--normalize",
        default="",
        help="to zero mean and unit variance: utterance, or a feats_stats.npz; unset: not",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--batch_seconds", type=float, default=60.0, help="audio computed at once, for a GPU 600"
    )
    parser.add_argument(
        "--job", type=jobs, default=(1, 1), metavar="JOB/N", help="which share to do"
    )
    args = parser.parse_args(argv)
    if not args.batch_seconds > 0:
        parser.error(f"--batch_seconds: found {args.batch_seconds}, expected more than 0")

    from espnet_ext.audio.store import Extraction, extract_set

    what = features(args.kind, args.fs, args.like, dict(args.set))
    how = Extraction(what, args.format, args.normalize, args.device, args.batch_seconds)
    job, count = args.job
    complete = extract_set(args.data, args.out, job, count, how)
    state = "complete" if complete else "other shares are not done yet"
    print(f"{args.out}: share {job}/{count} done; {state}")
    return 0


if __name__ == "__main__":
    run(main)
