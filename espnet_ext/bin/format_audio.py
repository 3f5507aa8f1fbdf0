"""Bring audio into one form: 16-bit flac or wav (files or arks) at one rate, segments cut, speeds
applied. Audio that has that form already stays where it is and is referred to. The one pass over the
audio also measures it: OUT/SET/quality.tsv tells of the channels that are kept as they are in the source,
before resampling, clean-up, speed and augmentation.

Each job does its share of every set and goes on where it was stopped; the last one to finish a set
writes its tables (wav.scp, utt2num_samples, text, utt2spk, ...).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, jobs, run
from espnet_ext.errors import UserError

#: Hz; no recording has others, and the resampler needs memory for them without end
LEAST_RATE, MOST_RATE = 1000, 768_000


def hertz(text: str) -> int | None:
    """`16000`, `16k` or `22.05k` in Hz; "" for none.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    if not text or text.lower() == "none":
        return None
    try:
        value = float(text.lower().removesuffix("k")) * (1000 if text.lower().endswith("k") else 1)
        if not LEAST_RATE <= value <= MOST_RATE or value != round(value):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected Hz such as 16000 or 16k, {LEAST_RATE} to {MOST_RATE}"
        ) from None
    return round(value)


def channels(text: str) -> tuple[int, ...] | None:
    """`0` or `0,2` counted from 0; "" for all.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    if not text:
        return None
    fields = text.replace(",", " ").split()
    if not all(field.isdigit() for field in fields):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected channels such as 0 or 0,2")
    return tuple(int(field) for field in fields)


def add_form(parser: Parser) -> None:
    """The options that say what the audio shall be."""
    parser.add_argument(
        "--fs",
        type=hertz,
        default=16000,
        help='sampling rate, e.g. 16000 or 16k; "": keep the one there is',
    )
    parser.add_argument(
        "--audio_format",
        choices=("flac", "wav", "flac.ark", "wav.ark"),
        default="flac",
        help="what to write",
    )
    parser.add_argument(
        "--ref_channels",
        type=channels,
        help="channels to keep, from 0, e.g. 0 or 0,2; unset: all",
    )
    parser.add_argument(
        "--no_resample", action="store_true", help="fail where the rate is not --fs"
    )
    parser.add_argument(
        "--skip_broken",
        action="store_true",
        help="leave unusable audio out, saying which, instead of failing",
    )
    parser.add_argument(
        "--copy",
        action="store_true",
        help="write audio that has the right form already, too, instead of referring to it",
    )
    parser.add_argument(
        "--clean",
        default="",
        metavar="STEPS",
        help="clean-up, e.g. highpass=20,peak=-1 (with commas it can stand in a recipe's format_opts); "
        "steps: highpass=HZ denoise=0..1 trim=SECONDS preemphasis=0.97 rms=DBFS loudness=LUFS peak=DBFS "
        "dither=STEPS",
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="directory of the sets' data directories")
    parser.add_argument("out", type=Path, help="gets OUT/SET for every set")
    parser.add_argument("sets", nargs="+", metavar="SET")
    parser.add_argument(
        "--job", type=jobs, default=(1, 1), metavar="JOB/N", help="which share to do"
    )
    add_form(parser)
    args = parser.parse_args(argv)
    for name in args.sets:
        parser.keep_apart(args.out / name, args.data / name)

    from espnet_ext.audio.clean import parse_cleaning
    from espnet_ext.audio.form import Form
    from espnet_ext.audio.format import format_set

    try:
        cleaning = parse_cleaning(args.clean)
    except UserError as error:
        parser.error(f"--clean: {error}")
    job, count = args.job
    form = Form(
        rate=args.fs,
        audio_format=args.audio_format,
        channels=args.ref_channels,
        no_resample=args.no_resample,
        skip_broken=args.skip_broken,
        copy=args.copy,
        clean=cleaning,
    )
    for name in args.sets:
        complete = format_set(args.data / name, args.out / name, job, count, form)
        state = "complete" if complete else "other shares are not done yet"
        print(f"{args.out / name}: share {job}/{count} done; {state}")
    return 0


if __name__ == "__main__":
    run(main)
