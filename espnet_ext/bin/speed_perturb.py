"""Add copies of a data directory at other speeds; tables only, format_audio makes the sound.

Ids and speakers get the prefix `sp0.9-` (none for 1.0); `utt2speed` says the speed (Ko et al.
2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, option, run
from espnet_ext.errors import UserError


def factors(text: str) -> list[str]:
    """`"0.9 1.0 1.1"` as it was written, checked.

    Raises:
        UserError: no number, one outside of 0.1 to 10, or one twice.
    """
    found = text.replace(",", " ").split()
    try:
        good = bool(found) and len({float(f) for f in found}) == len(found)
        good = good and all(0.1 <= float(f) <= 10 for f in found)
    except ValueError:
        good = False
    if not good:
        raise UserError(
            f'found factors {text!r}, expected different numbers from 0.1 to 10, e.g. "0.9 1.0 1.1"'
        )
    return found


def perturb(data: Path, out: Path, speeds: list[str]) -> int:
    """Write the tables of `data` once for every speed; returns the number of utterances."""
    from espnet_ext.datadir import numbers_in
    from espnet_ext.datadir.edit import Tables, prefixed, read_all, write_all

    tables = read_all(data)
    for name in ("feats.scp", "utt2num_samples"):
        tables.pop(name, None)
    if "utt2spk" not in tables or "utt2speed" in tables:
        found = "utt2speed" if "utt2speed" in tables else "no utt2spk"
        raise UserError(
            f"{data}: found {found}, expected an unperturbed data directory: choose another one"
        )
    seconds = numbers_in(tables.pop("utt2dur", {}), data / "utt2dur")
    whole: Tables = {}
    for speed in speeds:
        factor = float(speed)
        prefix = "" if factor == 1 else f"sp{speed}-"
        copy = prefixed(tables, prefix, prefix)
        copy["utt2speed"] = dict.fromkeys(copy["utt2spk"], speed)
        if seconds:
            copy["utt2dur"] = {prefix + u: f"{s / factor:.6f}" for u, s in seconds.items()}
        for name, table in copy.items():
            whole.setdefault(name, {}).update(table)
    write_all(out, whole)
    return len(whole["utt2spk"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="the data directory to write")
    parser.add_argument(
        "--factors",
        type=option(factors),
        default="0.9 1.0 1.1",
        help="speeds; 1.0 keeps the ids as they are",
    )
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)
    count = perturb(args.data, args.out, args.factors)
    print(f"{args.out}: {count} utterances at speeds {' '.join(args.factors)}")
    return 0


if __name__ == "__main__":
    run(main)
