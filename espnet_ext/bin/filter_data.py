"""Leave out utterances that are too short, too long, without text or implausibly fast, or that do
not fulfil a rule such as "snr>=10".

A rule compares seconds, chars, words or cps (characters a second), or a measure of the audio: level,
peak, noise, snr, wada, clipped, dc, speech, bandwidth, ... (from DATA/SET/quality.tsv, which
format_audio writes, or audit.tsv of audit_data). Says how many went for which reason; the list is
OUT/SET/dropped. Only tables are written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    from espnet_ext.quality.rules import Rule


@dataclass(frozen=True)
class Limits:
    """What stays: seconds, and characters of the text (spaces counted) per second."""

    min_seconds: float = 0.1
    max_seconds: float = 20.0
    min_chars: int = 1
    max_chars_per_second: float = 0.0

    def reason(self, seconds: float, text: str | None) -> str:
        """Why an utterance goes; "" if it stays."""
        if seconds < self.min_seconds:
            return f"shorter than {self.min_seconds:g} s"
        if seconds > self.max_seconds:
            return f"longer than {self.max_seconds:g} s"
        if text is not None and len(text) < self.min_chars:
            return f"text shorter than {self.min_chars} characters"
        if text and 0 < self.max_chars_per_second < len(text) / seconds:
            return f"more than {self.max_chars_per_second:g} characters a second"
        return ""


def filter_set(
    data: Path,
    out: Path,
    limits: Limits | None,
    rules: Sequence[Rule] = (),
    measures: Path | None = None,
) -> Counter[str]:
    """Write what stays of a data directory to `out`; no limits: everything.

    Args:
        data, out: data directories.
        limits: on length and text.
        rules: what else an utterance must fulfil; only where there are limits.
        measures: the table that rules look at; None: `quality.tsv` of `data`.

    Returns:
        how many went for each reason.

    Raises:
        UserError: no utt2dur, no measures that a rule needs, or nothing stays.
    """
    from espnet_ext.datadir import numbers_in, write_table
    from espnet_ext.datadir.edit import keep, read_all, write_all

    if not (data / "utt2dur").is_file():
        raise UserError(
            f"{data}/utt2dur: not found, expected a set that format_audio finished: run that first"
        )
    tables = read_all(data, empty=("text",))
    texts = tables.get("text", {})
    seconds = numbers_in(tables["utt2dur"], data / "utt2dur")
    dropped: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for utt, kind, detail in _leavers(
        seconds, texts, limits, rules, measures or data / "quality.tsv"
    ):
        dropped[utt] = detail
        counts[kind] += 1
    stays = tables["utt2spk"].keys() - dropped.keys()
    if not stays:
        reasons = ", ".join(f"{n} {reason}" for reason, n in counts.items())
        raise UserError(f"{data}: found nothing that stays ({reasons}): loosen the limits")
    write_all(out, keep(tables, stays))
    write_table(out / "dropped", dropped)
    return counts


def _leavers(
    seconds: Mapping[str, float],
    texts: Mapping[str, str],
    limits: Limits | None,
    rules: Sequence[Rule],
    measures: Path,
) -> Iterator[tuple[str, str, str]]:
    """(utterance, reason, reason with its value) of all that go."""
    from espnet_ext.quality.rules import DERIVED, derived, read_measures

    if limits is None:
        return
    names = sorted({rule.name for rule in rules} - set(DERIVED))
    table = read_measures(measures, names) if names else {}
    for utt, length in seconds.items():
        text = texts.get(utt) if texts else None
        reason = limits.reason(length, text)
        if reason:
            yield utt, reason, reason
            continue
        values = {**table.get(utt, {}), **derived(length, text)}
        for rule in rules:
            reason = rule.reason(values)
            if reason:
                value = values.get(rule.name, math.nan)
                yield utt, reason, f"{reason}, found {value:.6g}"
                break


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    limits = Limits()
    parser.add_argument("data", type=Path, help="directory of the sets, e.g. dump/raw/org")
    parser.add_argument("out", type=Path, help="gets OUT/SET for every set, e.g. dump/raw")
    parser.add_argument("sets", nargs="+", metavar="SET")
    parser.add_argument(
        "--min_seconds", type=float, default=limits.min_seconds, help="shortest utterance"
    )
    parser.add_argument(
        "--max_seconds", type=float, default=limits.max_seconds, help="longest utterance"
    )
    parser.add_argument("--min_chars", type=int, default=limits.min_chars, help="shortest text")
    parser.add_argument(
        "--max_chars_per_second",
        type=float,
        default=limits.max_chars_per_second,
        help="fastest; 0: any",
    )
    parser.add_argument(
        "--keep", default="", help='sets to copy whole, such as test sets: "test dev"'
    )
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="RULE",
        help='what stays must fulfil it, e.g. "snr>=10" or "cps<=25"; may be given several times',
    )
    parser.add_argument(
        "--measures",
        type=Path,
        metavar="TSV",
        help="table of the rules' measures, e.g. audit.tsv; unset: DATA/SET/quality.tsv",
    )
    args = parser.parse_args(argv)
    for name in args.sets:
        parser.keep_apart(args.out / name, args.data / name)
    limits = Limits(args.min_seconds, args.max_seconds, args.min_chars, args.max_chars_per_second)

    from espnet_ext.datadir import read_table
    from espnet_ext.quality.rules import parse_rule

    rules = [parse_rule(text) for text in args.rule]
    for name in args.sets:
        asked = None if name in args.keep.split() else limits
        counts = filter_set(args.data / name, args.out / name, asked, rules, args.measures)
        kept = len(read_table(args.out / name / "utt2spk"))
        gone = "; ".join(f"{n} {reason}" for reason, n in counts.most_common()) or "none"
        print(f"{args.out / name}: kept {kept}, dropped {sum(counts.values())} ({gone})")
    return 0


if __name__ == "__main__":
    run(main)
