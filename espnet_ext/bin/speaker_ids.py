"""Number the speakers of data directories: spk2sid and utt2sid. The training set's are 1, 2, ...; others 0.

With --first 128 they are 128, 129, ...: new voices for a model that has voices 0 to 127.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count


def number(utt2spk: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Utterance -> number of its speaker, "0" for a speaker that the training set does not have.

    >>> number({"u1": "anna", "u2": "new"}, {"anna": "1"})
    {'u1': '1', 'u2': '0'}
    """
    return {utterance: known.get(speaker, "0") for utterance, speaker in utt2spk.items()}


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="directory of the sets, e.g. dump/raw/org")
    parser.add_argument("sets", nargs="+", metavar="SET", help="they get spk2sid and utt2sid")
    parser.add_argument("--train", required=True, help="set whose speakers are numbered")
    what = "number of the first speaker"
    parser.add_argument("--first", type=count(1), default=1, help=what)
    args = parser.parse_args(argv)
    from espnet_ext.datadir import read_table, write_table

    speakers = sorted(set(read_table(args.data / args.train / "utt2spk").values()))
    known = {speaker: str(sid) for sid, speaker in enumerate(speakers, args.first)}
    for name in args.sets:
        utt2spk = read_table(args.data / name / "utt2spk")
        own = {speaker: known.get(speaker, "0") for speaker in set(utt2spk.values())}
        write_table(args.data / name / "spk2sid", own)
        write_table(args.data / name / "utt2sid", number(utt2spk, known))
    print(f"{len(known)} speakers in {args.train}")
    return 0


if __name__ == "__main__":
    run(main)
