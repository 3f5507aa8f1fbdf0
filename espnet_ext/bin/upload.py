"""Upload a packed model to Hugging Face; without HF_TOKEN in the environment only say what would be sent."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("archive", help="zip made by `pack`")
    add("--repo", required=True, help="where to, as USER/NAME")
    add("--private", action="store_true", help="make the repository private if it is new")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.export.upload import has_token, upload

    files = upload(args.archive, args.repo, args.private)
    print("\n".join(f"  {size:>12,} {name}" for name, size in files))
    total = sum(size for _, size in files)
    if has_token():
        print(f"uploaded {len(files)} files, {total:,} bytes, to {args.repo}")
    else:
        print(f"dry run: {len(files)} files, {total:,} bytes, would go to {args.repo};")
        print("set HF_TOKEN to a token with write access and run it again to upload them")
    return 0


if __name__ == "__main__":
    run(main)
