"""Write one self-contained page, and a summary for machines, of a recogniser and a synthesiser.

`report.html` holds figures, curves, pictures and sound; `summary.json` holds asr.wer, asr.cer and
tts.round_trip_cer in percent, tts.mcd in dB, and the seconds of every stage. Parts that were not run
are left out and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run

_SPEC = "recipe's directory[:model[:decoding]]; the newest model and decoding where not named"


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--asr", metavar="DIR", help=f"recogniser: {_SPEC}")
    add("--tts", metavar="DIR", help=f"synthesiser: {_SPEC}")
    add("--round_trip", type=Path, metavar="DIR", help="what the command round_trip wrote")
    add("--title", help="of the page; the name of the output directory if none is given")
    add(
        "--quiet",
        action="store_true",
        help="do not print the main figures, results.txt has them too",
    )
    add("--output", type=Path, required=True, help="directory for report.html and summary.json")
    args = parser.parse_args(argv)
    if not (args.asr or args.tts or args.round_trip):
        parser.error("expected at least one of --asr, --tts and --round_trip")

    from espnet_ext.files import write_text
    from espnet_ext.report.headline import plain
    from espnet_ext.report.page import write_report
    from espnet_ext.report.sources import find_experiment
    from espnet_ext.report.summary import Sources

    sources = Sources(
        asr=find_experiment(args.asr, "asr") if args.asr else None,
        tts=find_experiment(args.tts, "tts") if args.tts else None,
        round_trip=args.round_trip if args.round_trip and args.round_trip.is_dir() else None,
    )
    title = args.title or f"Report of {args.output.resolve().name}"
    summary = write_report(sources, args.output, title)
    results = plain(summary)
    results += "".join(
        f"{'see':<43}{args.output / name}\n" for name in ("report.html", "summary.json")
    )
    write_text(args.output / "results.txt", results)
    print(
        f"wrote {args.output / 'report.html'}" if args.quiet else results,
        end="\n" if args.quiet else "",
    )
    return 0


if __name__ == "__main__":
    run(main)
