"""Look through data directories before anything is trained on them: tables, audio, texts, who is heard.

Writes audit.html (to look at and listen to), audit.tsv (a line an utterance; filter_data takes it) and
audit.json. Exits with status 1, naming what is wrong, where a training would choke.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from shlex import quote

from espnet_ext.bin.command import Parser, number, option, run
from espnet_ext.quality.findings import KINDS, REFUSED, Limits, Policy, known_kind
from espnet_ext.text.lines import count


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.output and len(args.data) > 1:
        parser.error(f"--output: found it for {len(args.data)} directories, expected --pages")

    from espnet_ext.errors import UserError

    refusals = []
    for data in args.data:
        try:
            _audit(data, args)
        except UserError as error:
            refusals.append(str(error))
    if refusals:
        raise UserError("\n".join(refusals))
    return 0


def _audit(data: Path, args: argparse.Namespace) -> None:
    """Audit one directory and write what was found.

    Raises:
        UserError: it is refused.
    """
    from espnet_ext.errors import UserError
    from espnet_ext.quality.audit import audit
    from espnet_ext.quality.results import offenders, write_results
    from espnet_ext.report.audit import write_page

    limits = Limits(**{f.name: getattr(args, f.name) for f in fields(Limits)})
    policy = Policy.of(args.refuse, args.allow)
    found = audit(data, limits, policy, args.nj, text=not args.no_text)
    output = args.output or data / "audit"
    write_results(found, output)
    page = args.pages / f"{data.name}.html" if args.pages else output / "audit.html"
    write_page(found, page, _texts(data, found.places))
    hours = found.seconds / 3600
    print(f"{data}: {len(found.utts)} utterances, {hours:.2f} hours; page: {page}")
    for kind in found.findings:
        if kind not in found.policy.refused:
            print(f"  {found.counts[kind]} {kind}")
    if found.refused:
        raise UserError(
            f"{data}: found what training would choke on:{offenders(found)}\n  Mend it, drop it"
            f"{_ways(data, output, found.refused)}\n  or let it pass with --allow "
            f"{' '.join(found.refused)}; all of it: {output}/audit.tsv"
        )


def _ways(data: Path, output: Path, kinds: Sequence[str]) -> str:
    """The commands that drop what is of these kinds; tables first, for filter_data wants them whole."""
    start = "\n    python -m espnet_ext.bin."
    ways = [f"{start}fix_data {quote(str(data))}"] if "table" in kinds else []
    drops = " ".join(f"--drop {kind}" for kind in kinds if kind != "table")
    if drops:
        sets, name = (quote(str(part)) for part in (data.resolve().parent, data.resolve().name))
        elsewhere = (
            "" if output == data / "audit" else f" --measures {quote(f'{output}/audit.tsv')}"
        )
        ways.append(f"{start}filter_data {sets} OUT {name} {drops}{elsewhere}")
    return "".join(ways)


def _texts(data: Path, wanted: Collection[str]) -> dict[str, str]:
    """Texts of the utterances to be shown, as far as there are any."""
    from espnet_ext.datadir.stream import rows_however_broken
    from espnet_ext.errors import UserError

    try:
        return {utt: text for utt, text in rows_however_broken(data / "text")() if utt in wanted}
    except UserError:
        return {}


def _parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="data directories")
    parser.add_argument("--output", type=Path, help="receives the results; unset: DATA/audit")
    parser.add_argument(
        "--pages", type=Path, metavar="DIR", help="receives DIR/NAME.html instead of audit.html"
    )
    parser.add_argument("--nj", type=count(1), default=2, help="processes that read the audio")
    parser.add_argument("--no_text", action="store_true", help="text may be missing")
    beside = ", ".join(k for k in KINDS if k not in REFUSED)
    usual = ", ".join(k for k in KINDS if k in REFUSED)
    for name, meaning in (
        ("--refuse", f"fail on these, too: {beside}"),
        ("--allow", f"do not fail on these: {usual}"),
    ):
        parser.add_argument(
            name, type=option(known_kind), nargs="+", default=[], metavar="KIND", help=meaning
        )
    for field in fields(Limits):
        parser.add_argument(
            f"--{field.name}", type=number, default=field.default, help=field.metadata["help"]
        )
    return parser


if __name__ == "__main__":
    run(main)
