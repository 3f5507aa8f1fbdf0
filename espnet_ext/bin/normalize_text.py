"""English text as written -> as spoken, or back: one line in, one line out (stdin to stdout)."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count

if TYPE_CHECKING:
    from espnet_ext.text.labels import LabelStyle
    from espnet_ext.text.table import SpokenTable

Style = Callable[[str], str]


def get_parser() -> Parser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--engine", choices=("auto", "wfst", "regex"), default="auto",
        help="NeMo's grammars, our regular expressions, or the grammars where installed")  # fmt: skip
    add("--language", choices=("en",), default="en", help="of the text")
    add("--british", action="store_true", help="one hundred and one")
    add("--day_first", action="store_true", help="3/4/2021 is the third of April")
    add("--table", help="your own readings, which come first: a file of `written TAB spoken` lines")
    add("--numbers", choices=("words", "digits", "keep"), default="words",
        help="words: as spoken; digits: spoken words back to digits; keep: as they are")  # fmt: skip
    add("--inverse", dest="numbers", action="store_const", const="digits",
        default=argparse.SUPPRESS, help="the same as --numbers digits")  # fmt: skip
    add("--punctuation", choices=("keep", "drop"), default="keep", help="of the result")
    add("--case", choices=("keep", "lower", "upper"), default="keep", help="of the result")
    add("--keep_fields", type=count(0), default=0, metavar="N",
        help="leave the first N words of a line alone, such as the ids of a Kaldi text file")  # fmt: skip
    add("--jobs", type=count(1), default=1,
        help="processes; each takes seconds to start, so they pay from some ten thousand lines on")  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.table and args.numbers == "digits":
        parser.error("--table goes from written to spoken: leave it out for --numbers digits")
    from espnet_ext.text.labels import LabelStyle
    from espnet_ext.text.parallel import LineWorkers
    from espnet_ext.text.spoken import Speaker
    from espnet_ext.text.table import read_spoken_table

    speaker = Speaker(args.engine, args.british, args.day_first)
    style = LabelStyle(args.numbers, args.punctuation, args.case, speaker)
    simple = dataclasses.replace(
        style,
        numbers="words" if args.numbers == "words" else "keep",
        speaker=dataclasses.replace(speaker, engine="regex"),
    )
    table = read_spoken_table(args.table) if args.table else None
    if args.jobs > 1:
        style("It is 5.")  # grammars are compiled once, by this process
    work, rescue = (functools.partial(_line, table, args.keep_fields, s) for s in (style, simple))
    convert(sys.stdin.buffer, sys.stdout.buffer, LineWorkers(work, rescue, args.jobs))
    return 0


def _line(table: SpokenTable | None, keep_fields: int, style: LabelStyle, line: str) -> str:
    """A line as it is written out; the first fields stay."""
    fields = line.split(maxsplit=keep_fields)
    rest = fields[keep_fields] if len(fields) > keep_fields else ""
    said = style(table(rest) if table else rest)
    return " ".join([*fields[:keep_fields], said]).rstrip(" ")


def convert(
    source: BinaryIO, target: BinaryIO, work: Callable[[Iterable[str]], Iterator[str]]
) -> None:
    """Write one line for each line read; bytes that are no UTF-8 come out as they went in."""
    reader, writer = (
        io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="\n")
        for stream in (source, target)
    )
    for line in work(reader):
        writer.write(line + "\n")
    writer.flush()
    reader.detach()  # or they would close what is not theirs
    writer.detach()


if __name__ == "__main__":
    run(main)
