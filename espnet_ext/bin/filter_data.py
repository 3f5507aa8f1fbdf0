"""Leave out utterances that are too short, too long, without text or implausibly fast.

Says how many went for which reason; the list is OUT/SET/dropped. Only tables are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What stays: seconds, and characters of the text (spaces counted) per second."""

    min_seconds: float = 0.1
    max_seconds: float = 20.0
    min_chars: int = 1
    max_chars_per_second: float = 0.0

    def reason(self, seconds: float, text: str | None) -> str:
        """Why an utterance goes; "" if it stays."""
        if seconds < self.min_seconds:
            return f"shorter than {self.min_seconds:g} s"
        if seconds > self.max_seconds:
            return f"longer than {self.max_seconds:g} s"
        if text is not None and len(text) < self.min_chars:
            return f"text shorter than {self.min_chars} characters"
        if text and 0 < self.max_chars_per_second < len(text) / seconds:
            return f"more than {self.max_chars_per_second:g} characters a second"
        return ""


def filter_set(data: Path, out: Path, limits: Limits | None) -> Counter[str]:
    """Write what stays of a data directory to `out`; no limits: everything.

    Returns:
        how many went for each reason.

    Raises:
        UserError: no utt2dur, or nothing stays.
    """
    from espnet_ext.datadir import write_table
    from espnet_ext.datadir.edit import keep, read_all, write_all

    if not (data / "utt2dur").is_file():
        raise UserError(
            f"{data}/utt2dur: not found, expected a set that format_audio finished: run that first"
        )
    tables = read_all(data, empty=("text",))
    texts = tables.get("text", {})
    dropped: dict[str, str] = {}
    for utt, seconds in tables["utt2dur"].items() if limits else ():
        reason = limits.reason(float(seconds), texts.get(utt) if texts else None) if limits else ""
        if reason:
            dropped[utt] = reason
    stays = tables["utt2spk"].keys() - dropped.keys()
    counts = Counter(dropped.values())
    if not stays:
        reasons = ", ".join(f"{n} {reason}" for reason, n in counts.items())
        raise UserError(f"{data}: found nothing that stays ({reasons}): loosen the limits")
    write_all(out, keep(tables, stays))
    write_table(out / "dropped", dropped)
    return counts


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    limits = Limits()
    parser.add_argument("data", type=Path, help="directory of the sets, e.g. dump/raw/org")
    parser.add_argument("out", type=Path, help="gets OUT/SET for every set, e.g. dump/raw")
    parser.add_argument("sets", nargs="+", metavar="SET")
    parser.add_argument(
        "--min_seconds", type=float, default=limits.min_seconds, help="shortest utterance"
    )
    parser.add_argument(
        "--max_seconds", type=float, default=limits.max_seconds, help="longest utterance"
    )
    parser.add_argument("--min_chars", type=int, default=limits.min_chars, help="shortest text")
    parser.add_argument(
        "--max_chars_per_second",
        type=float,
        default=limits.max_chars_per_second,
        help="fastest; 0: any",
    )
    parser.add_argument(
        "--keep", default="", help='sets to copy whole, such as test sets: "test dev"'
    )
    args = parser.parse_args(argv)
    if args.data.resolve() == args.out.resolve():
        parser.error(f"DATA and OUT are both {args.data}, expected two directories")
    limits = Limits(args.min_seconds, args.max_seconds, args.min_chars, args.max_chars_per_second)

    from espnet_ext.datadir import read_table

    for name in args.sets:
        whole = name in args.keep.split()
        counts = filter_set(args.data / name, args.out / name, None if whole else limits)
        kept = len(read_table(args.out / name / "utt2spk"))
        gone = "; ".join(f"{n} {reason}" for reason, n in counts.most_common()) or "none"
        print(f"{args.out / name}: kept {kept}, dropped {sum(counts.values())} ({gone})")
    return 0


if __name__ == "__main__":
    run(main)
