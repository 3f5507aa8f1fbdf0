"""Lines of text that a command reads, of a file or of standard input."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from espnet_ext.datadir.tables import decode


def read_text(path: str) -> str:
    """The whole of a UTF-8 file, or of standard input for "-", without a byte order mark.

    Raises:
        UserError: if it is not UTF-8, with the line.
        OSError: if it cannot be read.
    """
    with open(0 if path == "-" else path, "rb", closefd=path != "-") as stream:
        return decode(stream.read(), Path("standard input" if path == "-" else path))


def read_lines(path: str) -> list[str]:
    """Its lines, of which only a newline (with or without a carriage return) is the end."""
    lines = read_text(path).split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def count(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number from `least` on; another is bad usage."""

    def parse(text: str) -> int:
        if not text.lstrip("+").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number >= {least}")
        return int(text)

    return parse
