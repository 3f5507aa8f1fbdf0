"""Leave out utterances of a data directory: by length, by text, by rules on measures, by findings of an audit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from espnet_ext.datadir import numbers_in, write_table
from espnet_ext.datadir.edit import Tables, keep, read_all, write_all
from espnet_ext.errors import UserError
from espnet_ext.quality.rules import DERIVED, Rule, derived, read_measures, read_problems


@dataclass(frozen=True)
class Limits:
    """What stays: seconds, and characters of the text (spaces counted) per second."""

    min_seconds: float = 0.1
    max_seconds: float = 20.0
    min_chars: int = 1
    max_chars_per_second: float = 0.0

    def reason(self, seconds: float, text: str | None) -> str:
        """Why an utterance goes; "" if it stays. An unknown length (NaN) never stays."""
        if math.isnan(seconds):
            return "of unknown length"
        if seconds < self.min_seconds:
            return f"shorter than {self.min_seconds:g} s"
        if seconds > self.max_seconds:
            return f"longer than {self.max_seconds:g} s"
        if text is not None and len(text) < self.min_chars:
            return f"text shorter than {self.min_chars} characters"
        if text and 0 < self.max_chars_per_second * max(seconds, 1e-9) < len(text):
            return f"more than {self.max_chars_per_second:g} characters a second"
        return ""


@dataclass(frozen=True)
class Demands:
    """What an utterance must fulfil to stay.

    Attributes:
        limits: on length and text.
        rules: on measures of the audio, or on DERIVED.
        without: kinds of findings that it must not have.
        measures: the table that tells of these; None: quality.tsv or audit/audit.tsv of the directory.
    """

    limits: Limits = field(default_factory=Limits)
    rules: tuple[Rule, ...] = ()
    without: frozenset[str] = frozenset()
    measures: Path | None = None

    def table(self, data: Path) -> Path:
        """Where measures of a data directory are looked up; it need not be there."""
        if self.measures is not None:
            return self.measures
        formatted, audited = data / "quality.tsv", data / "audit" / "audit.tsv"
        return audited if self.without or not formatted.is_file() else formatted


class Leaver(NamedTuple):
    """An utterance that goes, the reason to count it under, and the reason with its value."""

    utt: str
    reason: str
    detail: str


def filter_set(data: Path, out: Path, demands: Demands | None) -> Counter[str]:
    """Write what stays of a data directory to `out`, and a table `dropped` of what does not.

    Args:
        data, out: data directories.
        demands: what an utterance must fulfil; None: everything stays.

    Returns:
        how many went for each reason.

    Raises:
        UserError: no utt2spk, no lengths, no measures that a rule needs, or nothing stays.
    """
    tables = read_all(data, empty=("text",))
    if "utt2spk" not in tables:
        raise UserError(
            f"{data}/utt2spk: not found, expected a whole data directory: make it first"
        )
    leavers = [] if demands is None else list(_leavers(data, tables, demands))
    counts = Counter(leaver.reason for leaver in leavers)
    dropped = {leaver.utt: leaver.detail for leaver in leavers}
    stays = tables["utt2spk"].keys() - dropped.keys()
    if not stays:
        reasons = ", ".join(f"{n} {reason}" for reason, n in counts.items())
        raise UserError(f"{data}: found nothing that stays ({reasons}): loosen the limits")
    write_all(out, keep(tables, stays))
    write_table(out / "dropped", dropped)
    return counts


def _leavers(data: Path, tables: Tables, demands: Demands) -> Iterator[Leaver]:
    path = demands.table(data)
    if "utt2dur" not in tables and not path.is_file():
        raise UserError(
            f"{data}/utt2dur: not found, expected it, or an audit's table with the lengths: run "
            "format_audio, or audit_data, or name the table with --measures"
        )
    names = {rule.name for rule in demands.rules} - set(DERIVED)
    names |= set() if "utt2dur" in tables else {"seconds"}
    measures = read_measures(path, sorted(names)) if names else {}
    problems = read_problems(path) if demands.without else {}
    lengths = numbers_in(tables.get("utt2dur", {}), data / "utt2dur")
    for utt in tables["utt2spk"]:
        values = measures.get(utt, {})
        seconds = lengths.get(utt, values.get("seconds", math.nan))
        text = tables.get("text", {}).get(utt)
        values = {**values, **derived(seconds, text)}
        has = sorted(demands.without & problems.get(utt, set()))
        reason = f"with the finding {has[0]}" if has else demands.limits.reason(seconds, text)
        if reason:
            yield Leaver(utt, reason, reason)
        else:
            yield from _broken_rule(utt, values, demands.rules)


def _broken_rule(
    utt: str, values: Mapping[str, float], rules: tuple[Rule, ...]
) -> Iterator[Leaver]:
    """The first one that is not fulfilled."""
    for rule in rules:
        reason = rule.reason(values)
        if reason:
            value = values.get(rule.name, math.nan)
            yield Leaver(utt, reason, f"{reason}, found {value:.6g}")
            return
