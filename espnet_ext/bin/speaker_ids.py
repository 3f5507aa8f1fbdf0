"""Number the speakers of data directories: spk2sid and utt2sid. The training set's are 1, 2, ...; others 0.

With --languages it numbers what utt2lang says: lang2lid and utt2lid. With --first 128 the numbers are 128, 129, ...:
new voices for a model that has voices 0 to 127.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError
from espnet_ext.text.lines import count


@dataclass(frozen=True)
class Kind:
    """What is numbered.

    Attributes:
        what: in words.
        names: table by utterance that is there.
        known, numbers: tables that are written: number by name, and by utterance.
    """

    what: str
    names: str
    known: str
    numbers: str


SPEAKERS = Kind("speakers", "utt2spk", "spk2sid", "utt2sid")
LANGUAGES = Kind("languages", "utt2lang", "lang2lid", "utt2lid")


def number(names: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Utterance -> number of its speaker or language, "0" for one that the training set does not have.

    >>> number({"u1": "anna", "u2": "new"}, {"anna": "1"})
    {'u1': '1', 'u2': '0'}
    """
    return {utterance: known.get(name, "0") for utterance, name in names.items()}


def _names(directory: Path, kind: Kind) -> dict[str, str]:
    """Utterance -> name.

    Raises:
        UserError: if the table is not there.
    """
    from espnet_ext.datadir import read_table

    path = directory / kind.names
    if kind is LANGUAGES and not path.is_file():
        raise UserError(
            f"{path}: no such file, expected `UTTERANCE LANGUAGE` lines such as `anna-1 de`: write utt2lang in the "
            f"data directory before format_audio, or do not number languages (--use_lid false in a recipe)"
        )
    return read_table(path)


def _write(directory: Path, kind: Kind, known: dict[str, str], train: str) -> None:
    """The two tables of a set; what the training set lacks is told."""
    from espnet_ext.datadir import write_table

    names = _names(directory, kind)
    own = {name: known.get(name, "0") for name in set(names.values())}
    write_table(directory / kind.known, own)
    write_table(directory / kind.numbers, number(names, known))
    strange = sorted(own.keys() - known.keys())
    if strange:
        shown = ", ".join(strange[:10]) + (", ..." if len(strange) > 10 else "")
        print(
            f"warning: {directory}: {train} lacks {len(strange)} of its {len(own)} {kind.what}: {shown}; they get "
            "number 0, which this training set does not teach: a model gives them what it began with, at random",
            file=sys.stderr,
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="directory of the sets, e.g. dump/raw/org")
    parser.add_argument("sets", nargs="+", metavar="SET", help="they get the two tables")
    parser.add_argument("--train", required=True, help="set whose speakers are numbered")
    what = "number of the first speaker"
    parser.add_argument("--first", type=count(1), default=1, help=what)
    what = "number languages (utt2lang) instead of speakers (utt2spk)"
    parser.add_argument("--languages", action="store_true", help=what)
    args = parser.parse_args(argv)
    kind = LANGUAGES if args.languages else SPEAKERS
    names = sorted(set(_names(args.data / args.train, kind).values()))
    known = {name: str(number) for number, name in enumerate(names, args.first)}
    for name in args.sets:
        _write(args.data / name, kind, known, args.train)
    print(f"{len(known)} {kind.what} in {args.train}")
    return 0


if __name__ == "__main__":
    run(main)
