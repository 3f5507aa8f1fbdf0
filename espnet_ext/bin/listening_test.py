"""Have people rate speech: make a test as one page, collect answers, analyse them, or hand it to a crowd.

`make` writes a page that works from a disk, and beside it the key that says what is what: keep the key to yourself.
Each listener sends back one CSV; `analyse` reads them with the key.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, number, run
from espnet_ext.errors import UserError

_KINDS = ("mos", "cmos", "ab", "mushra")


def _named(text: str) -> tuple[str, Path]:
    """`NAME=DIR`, or DIR alone, whose last part is then the name."""
    name, equals, path = text.partition("=")
    if not equals:
        name, path = Path(text).resolve().name, text
    if not name or not path or name.split() != [name]:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected NAME=DIR such as ours=exp/a")
    return name, Path(path)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0 on")
    return int(text)


def _level(text: str) -> float | None:
    return None if text == "none" else number(text)


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected yes or no")
    return text == "yes"


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name, (declare, purpose) in _COMMANDS.items():
        declare(commands.add_parser(name, description=purpose.capitalize() + ".", help=purpose))
    args = parser.parse_args(argv)
    args.argv = argv
    args.act(args)
    return 0


def _make(parser: Parser) -> None:
    add = parser.add_argument
    add("kind", choices=_KINDS, help="MOS, CMOS, A/B with no preference, or MUSHRA")
    add("output", type=Path, help="the page, such as exp/test.html")
    several = {"type": _named, "nargs": "+", "required": True, "metavar": "NAME=DIR"}
    add("--system", **several, help="directories with wav.scp, all with the same utterances")
    natural = "natural speech: rated in MOS, open and hidden in MUSHRA"
    add("--reference", type=Path, metavar="DIR", help=natural)
    add("--utts", type=Path, help="a list or table of the utterances to use; all if unset")
    add("--replace", action="store_true", help="write over the page and key of another test")
    _trials(parser)
    _sounds(parser)
    _texts(parser)
    parser.set_defaults(act=make)


def _trials(parser: Parser) -> None:
    """Who is asked what."""
    add = parser.add_argument
    add("--listeners", type=_count, default=24, help="how many orders to prepare")
    add("--trials", type=_count, help="how many a listener rates; all if unset")
    add("--training", type=_count, default=2, help="that come first and do not count")
    add("--checks", type=_count, default=2, help="pages that say what to choose")
    add("--check_style", choices=("spoken", "text"), default="spoken", help="how they say it")
    add("--check_voice", default="en-us", help="of espeak-ng")
    known = "questions with a known answer; unset: 2 with a reference, none in MUSHRA"
    add("--gold", type=_count, help=known)
    add("--baseline", help="pairs: compare with this system only (`reference` is one)")
    add("--seed", type=int, default=0, help="another one gives other orders")


def _sounds(parser: Parser) -> None:
    """What becomes of sounds, and those that are added."""
    add = parser.add_argument
    low = "rate the reference cut off at 3.5 kHz; unset: in MUSHRA"
    add("--low_anchor", type=_yes, metavar="yes|no", help=low)
    add("--mid_anchor", action="store_true", help="rate the reference cut off at 7 kHz, too")
    equal = "of every sound in LUFS (ITU-R BS.1770-4), or none"
    add("--loudness", type=_level, default=-26.0, help=equal)
    add("--rate", type=int, metavar="HZ", help="bring every sound to it")


def _texts(parser: Parser) -> None:
    """What is shown, and where answers go."""
    add = parser.add_argument
    add("--text", type=Path, help="a table of what is said, shown beside the sounds")
    add("--title", default="", help="of the page")
    add("--question", default="", help="asked on every page")
    add("--instructions", default="", help="shown before the test")
    sent = "where answers are sent; unset: a CSV is downloaded"
    add("--collector", default="", metavar="URL", help=sent)
    add("--completion", default="", metavar="URL", help="where to go on to at the end")
    add("--code", default="", help="shown at the end")


def make(args: argparse.Namespace) -> None:
    from espnet_ext.datadir import read_table
    from espnet_ext.listening import build

    if args.output.suffix != ".html":
        raise UserError(
            f"{args.output}: found no .html at the end, expected a page such as test.html"
        )
    names = [name for name, _ in args.system]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"--system: found {twice!r} twice, expected names that differ: NAME=DIR")
    same = build.Options.__dataclass_fields__.keys() & vars(args).keys() - {"text", "utts"}
    options = build.Options(
        systems=dict(args.system),
        utts=[*read_table(args.utts, empty=True)] if args.utts else None,
        text=read_table(args.text) if args.text else None,
        **{name: getattr(args, name) for name in same},
    )
    key = build.make(options, args.output, args.replace)
    from espnet_ext.listening.export import guess
    from espnet_ext.listening.key import key_path

    size, minutes = args.output.stat().st_size / 1e6, guess(key) / 60
    pages = len(key.orders[0])
    print(f"wrote {args.output} ({size:.1f} MB): {pages} pages, {minutes:.0f} min a listener")
    print(f"wrote {key_path(args.output)}: keep it to yourself, it says what is what")


def _collect(parser: Parser) -> None:
    add = parser.add_argument
    add("page", type=Path, help="that `make` wrote, its key beside it")
    add("--output", type=Path, required=True, help="the CSV that grows")
    add("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in")
    add("--port", type=_count, default=8765, help="0: any that is free")
    proxy = "path that a reverse proxy leaves in what it asks for; none is needed where it takes its path away"
    add("--prefix", default="", metavar="/PATH", help=proxy)
    parser.set_defaults(act=collect)


def collect(args: argparse.Namespace) -> None:
    from espnet_ext.listening.collect import collector

    server = collector(args.page, args.output, args.host, args.port, args.prefix)
    print(
        f"listeners open http://{args.host}:{server.server_address[1]}/ ; Ctrl-C ends", flush=True
    )
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print(f"stopped; the answers are in {args.output}")
    finally:
        server.server_close()


def _analyse(parser: Parser) -> None:
    from espnet_ext.listening.screening import Limits

    usual = Limits()
    add = parser.add_argument
    add("key", type=Path, help="*.key.json, or the page beside it")
    add("answers", type=Path, nargs="+", help="CSVs of listeners, `collect` or Mechanical Turk")
    whole = "directory for RESULTS.md, scores.json and pictures"
    add("--output", type=Path, required=True, help=whole)
    limits = {
        "failed_checks": "of attention checks that may be failed",
        "failed_gold": "of gold questions that may be failed",
        "same_answer": "of rated pages that must not have the same answer",
        "fast": "of rated pages that may be answered before they can have been heard",
    }
    for name, meaning in limits.items():
        add(f"--{name}", type=number, default=getattr(usual, name), help=f"share {meaning}")
    add("--samples", type=_count, default=2000, help="how often to draw for intervals")
    add("--seed", type=int, default=0, help="of these draws")
    parser.set_defaults(act=analyse)


def analyse(args: argparse.Namespace) -> None:
    from espnet_ext.listening.analysis import analyse as evaluate
    from espnet_ext.listening.report import write_report
    from espnet_ext.listening.screening import Limits
    from espnet_ext.metrics.provenance import provenance

    limits = Limits(args.failed_checks, args.failed_gold, args.same_answer, args.fast)
    results = evaluate(args.key, args.answers, limits, args.samples, args.seed)
    argv = sys.argv[1:] if args.argv is None else args.argv
    write_report(results, args.output, provenance("listening_test", argv))
    for rater, reasons in results.rejected.items():
        print(f"left out {rater}: {'; '.join(reasons)}")
    print(
        f"wrote {args.output}/RESULTS.md: {len(results.raters)} of {results.heard} raters counted"
    )


def _export(parser: Parser) -> None:
    add = parser.add_argument
    add("platform", choices=("mturk", "prolific"), help="Amazon Mechanical Turk or Prolific")
    add("page", type=Path, help="that `make` wrote, its key beside it")
    add("--url", required=True, help="https address at which the page will lie")
    add("--output", type=Path, required=True, help="directory for the files of the platform")
    add("--minutes", type=_count, default=20, help="time to ask for; a guess is printed")
    parser.set_defaults(act=export)


def export(args: argparse.Namespace) -> None:
    from espnet_ext.listening.export import export as write

    for path, what in write(args.platform, args.page, args.url, args.output, args.minutes):
        print(f"wrote {path}: {what}")


_COMMANDS = {
    "make": (_make, "write the page of a test, and its key"),
    "collect": (_collect, "serve a page and append answers to a CSV"),
    "analyse": (_analyse, "say what the answers say"),
    "export": (_export, "write what a crowdsourcing platform wants"),
}

if __name__ == "__main__":
    run(main)
