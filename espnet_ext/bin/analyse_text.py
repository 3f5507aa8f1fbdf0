"""Print what is known of each line of English as one JSON object: words, parts of speech, phrases, syllables.

A line is plain text (emphasis as `*word*`) or SSML (`<speak>...</speak>`); a file named *.ssml is one document.
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


def _documents(path: str) -> list[str]:
    """The lines of a text; of a file *.ssml the whole, which is one document."""
    from espnet_ext.text.lines import read_lines, read_text

    return [read_text(path)] if path.lower().endswith(".ssml") else read_lines(path)


def _finite(value: object) -> object:
    """JSON has no infinity: a silent volume becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def where(number: int, line: str) -> str:
    """What to call a document that cannot be read; one that ends early may go on in the next line."""
    name = "the document" if "\n" in line.strip() else f"line {number} of the input"
    if line.lstrip().startswith("<") and "</speak>" not in line:
        return f"{name} (a document is one line, or a whole file named *.ssml)"
    return name


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    from espnet_ext.text.linguistics import analyse
    from espnet_ext.text.tagging import require

    if args.tags == "yes":
        require()
    for number, line in enumerate(_documents(args.text), 1):
        if not line.strip():
            continue
        try:
            found = analyse(line.strip(), tags=args.tags != "no").as_dict()
        except UserError as error:
            raise UserError(f"{where(number, line)}: {error}") from error
        sys.stdout.write(json.dumps(_finite(found), ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    run(main)
