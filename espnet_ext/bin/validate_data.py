"""Check data directories: tables there, sorted, whole, of the same utterances and speakers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="data directories")
    parser.add_argument("--no_text", action="store_true", help="text may be missing")
    parser.add_argument("--no_wav", action="store_true", help="wav.scp may be missing")
    args = parser.parse_args(argv)

    from espnet_ext.datadir import check

    reports = []
    for directory in args.data:
        problems = check(directory, text=not args.no_text, audio=not args.no_wav)
        if problems:
            reports.append(problems.report(directory))
        else:
            print(f"{directory}: valid")
    if reports:
        raise UserError("\n".join(reports))
    return 0


if __name__ == "__main__":
    run(main)
