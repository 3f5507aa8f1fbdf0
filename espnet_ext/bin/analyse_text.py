"""Print what is known of each line of English as one JSON object: words, parts of speech, phrases, syllables.

A line is plain text (emphasis as `*word*`) or SSML (`<speak>...</speak>`).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("text", nargs="?", default="-", help="file of lines; - is standard input")
    add(
        "--tags",
        choices=("auto", "yes", "no"),
        default="auto",
        help="parts of speech and dependencies: auto where there is a model, yes demands one",
    )
    return parser


def _lines(path: str) -> list[str]:
    with open(0 if path == "-" else path, "rb") as stream:
        data = stream.read()
    try:
        return data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; convert it first") from error


def _finite(value: object) -> object:
    """JSON has no infinity: a silent volume becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.text.linguistics import analyse
    from espnet_ext.text.tagging import require

    if args.tags == "yes":
        require()
    for number, line in enumerate(_lines(args.text), 1):
        if not line.strip():
            continue
        try:
            found = analyse(line.strip(), tags=args.tags != "no").as_dict()
        except UserError as error:
            raise UserError(f"line {number} of the input: {error}") from error
        sys.stdout.write(json.dumps(_finite(found), ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    run(main)
