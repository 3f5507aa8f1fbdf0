"""English text as written -> as spoken, or back: one line in, one line out (stdin to stdout)."""

from __future__ import annotations

import argparse
import functools
import io
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--engine", choices=("auto", "wfst", "regex"), default="auto",
        help="NeMo's grammars, our regular expressions, or the grammars where installed")  # fmt: skip
    add("--language", choices=("en",), default="en", help="of the text")
    add("--british", action="store_true", help="one hundred and one")
    add("--day_first", action="store_true", help="3/4/2021 is the third of April")
    add("--numbers", choices=("words", "digits", "keep"), default="words",
        help="words: as spoken; digits: spoken words back to digits; keep: as they are")  # fmt: skip
    add("--inverse", dest="numbers", action="store_const", const="digits",
        default=argparse.SUPPRESS, help="the same as --numbers digits")  # fmt: skip
    add("--punctuation", choices=("keep", "drop"), default="keep", help="of the result")
    add("--case", choices=("keep", "lower", "upper"), default="keep", help="of the result")
    add("--keep_fields", type=count(0), default=0, metavar="N",
        help="leave the first N words of a line alone, such as the ids of a Kaldi text file")  # fmt: skip
    args = parser.parse_args(argv)
    from espnet_ext.text.labels import LabelStyle
    from espnet_ext.text.spoken import Speaker

    speaker = Speaker(args.engine, args.british, args.day_first)
    style = LabelStyle(args.numbers, args.punctuation, args.case, speaker)
    convert(sys.stdin.buffer, sys.stdout.buffer, style, args.keep_fields)
    return 0


def convert(
    source: BinaryIO, target: BinaryIO, style: Callable[[str], str], keep_fields: int = 0
) -> None:
    """Write one line for each line read; bytes that are no UTF-8 come out as they went in."""
    style = functools.lru_cache(maxsize=65536)(style)
    reader, writer = (
        io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="\n")
        for stream in (source, target)
    )
    for line in reader:
        fields = line.split(maxsplit=keep_fields)
        rest = fields[keep_fields] if len(fields) > keep_fields else ""
        writer.write(" ".join([*fields[:keep_fields], style(rest)]).rstrip(" ") + "\n")
    writer.flush()
    reader.detach()  # or they would close what is not theirs
    writer.detach()


if __name__ == "__main__":
    run(main)
