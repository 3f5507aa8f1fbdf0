"""Cut long recordings at their pauses: OUT gets a `segments` table with the stretches in which somebody speaks.

For recordings without text (text, if there, is left out). format_audio cuts the sound.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    from espnet_ext.datadir.edit import Tables


def segment(
    data: Path, out: Path, longest: float, shortest: float, method: str, skip_broken: bool = False
) -> int:
    """Write the tables of OUT; returns the number of segments.

    Args:
        data: a data directory with a recording per utterance.
        out: the data directory to write.
        longest: pauses are parted until no segment is longer, in seconds.
        shortest: shorter ones are joined to a neighbour or, far from all, left out, in seconds.
        method: see espnet_ext.audio.vad.
        skip_broken: leave unusable recordings out instead of failing.

    Raises:
        UserError: for a directory that has segments, unusable recordings, or some in which nobody speaks.
    """
    from espnet_ext.audio.read import AudioError, load
    from espnet_ext.audio.vad import Vad, cut, speech
    from espnet_ext.datadir.edit import read_all, write_all
    from espnet_ext.progress import progress

    scp, speaker_of = recordings(data, read_all(data))
    segments, speakers = {}, {}
    for name, entry in progress(scp.items(), len(scp), f"segment {out.name}"):
        try:
            samples, rate = load(entry, 16000)
        except AudioError as error:
            if not skip_broken:
                raise UserError(f"{error} (--skip_broken leaves it out)") from None
            print(f"{out}: left out {name}: {error}", file=sys.stderr)
            continue
        for start, end in cut(speech(samples, rate, Vad(method)), longest, shortest):
            utt = f"{name}-{round(start * 100):07d}-{round(end * 100):07d}"
            segments[utt] = f"{name} {start:.2f} {end:.2f}"
            speakers[utt] = speaker_of[name]
    if not segments:
        advice = "listen to it" if method == "energy" else "try --vad energy"
        raise UserError(f"{data}: found nobody speaking, expected speech: {advice}")
    write_all(out, {"wav.scp": scp, "segments": segments, "utt2spk": speakers})
    return len(segments)


def recordings(data: Path, tables: Tables) -> tuple[dict[str, str], dict[str, str]]:
    """wav.scp and utt2spk of a directory of whole recordings.

    Raises:
        UserError: if it is none, or a recording has no speaker.
    """
    if "segments" in tables or "wav.scp" not in tables or "utt2spk" not in tables:
        found = "segments" if "segments" in tables else "no wav.scp or no utt2spk"
        raise UserError(f"{data}: found {found}, expected whole recordings and their speakers")
    lost = sorted(tables["wav.scp"].keys() - tables["utt2spk"].keys())
    if lost:
        raise UserError(
            f"{data}/utt2spk: found no speaker of {lost[0]!r} and {len(lost) - 1} others of wav.scp, expected "
            "one each: run fix_data on the directory"
        )
    return tables["wav.scp"], tables["utt2spk"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="the data directory to write")
    parser.add_argument("--longest", type=float, default=20.0, help="seconds of a segment")
    parser.add_argument("--shortest", type=float, default=1.0, help="seconds of a segment")
    parser.add_argument(
        "--vad", choices=("auto", "silero", "energy"), default="auto", help="how speech is found"
    )
    parser.add_argument(
        "--skip_broken", action="store_true", help="leave unusable recordings out, saying which"
    )
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)
    if not 0 < args.longest < float("inf"):
        parser.error(f"found --longest {args.longest}, expected more than 0 seconds")
    if not 0 <= args.shortest <= args.longest:
        parser.error(f"found --shortest {args.shortest}, expected 0 to --longest {args.longest}")
    count = segment(args.data, args.out, args.longest, args.shortest, args.vad, args.skip_broken)
    print(f"{args.out}: {count} segments")
    return 0


if __name__ == "__main__":
    run(main)
