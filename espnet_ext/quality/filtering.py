"""Leave out utterances of a data directory: by length, by text, by rules on measures, by findings of an audit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from espnet_ext.datadir.stream import (
    Follower,
    read_through,
    rows,
    rows_if_any,
    write_kept,
    write_rows,
)
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


class Verdict(NamedTuple):
    """Of one utterance: the reason to count it under if it goes ("" if it stays), and that with the value found."""

    utt: str
    reason: str = ""
    detail: str = ""


class Filtered(NamedTuple):
    """How many stayed, and how many went for each reason."""

    kept: int
    dropped: Counter[str]


def filter_set(data: Path, out: Path, demands: Demands | None) -> Filtered:
    """Write what stays of a data directory to `out`, and a table `dropped` of what does not.

    Tables are read line by line, in step; held is a byte an utterance.

    Args:
        data, out: data directories.
        demands: what an utterance must fulfil; None: everything stays.

    Raises:
        UserError: a broken table, no utt2spk, no lengths, no measures that a rule needs, or nothing stays.
    """
    read_through(data, empty="text")
    goes, dropped = bytearray(), Counter[str]()
    for verdict in _verdicts(data, demands):
        goes.append(bool(verdict.reason))
        if verdict.reason:
            dropped[verdict.reason] += 1
    if all(goes):
        reasons = ", ".join(f"{n} {reason}" for reason, n in dropped.items())
        raise UserError(f"{data}: found nothing that stays ({reasons}): loosen the limits")

    def kept() -> Iterator[str]:
        every = zip(rows(data / "utt2spk"), goes, strict=True)
        return (utt for (utt, _), went in every if not went)

    write_kept(data, out, kept, empty="text")
    write_rows(out / "dropped", ((v.utt, v.detail) for v in _verdicts(data, demands) if v.reason))
    return Filtered(len(goes) - sum(goes), dropped)


def _verdicts(data: Path, demands: Demands | None) -> Iterator[Verdict]:
    """Of every utterance, in ascending order."""
    utterances = (utt for utt, _ in rows(data / "utt2spk"))
    if demands is None:
        yield from map(Verdict, utterances)
        return
    lengths, texts = rows_if_any(data / "utt2dur"), rows_if_any(data / "text", empty=True)
    seconds_of, text_of = Follower(lengths), Follower(texts)
    measures_of, problems_of = _measures(data, demands)
    for utt in utterances:
        measures = measures_of.get(utt) or {}
        length, text = seconds_of.get(utt), text_of.get(utt)
        seconds = measures.get("seconds", math.nan) if length is None else float(length)
        has = sorted(demands.without & (problems_of.get(utt) or set()))
        reason = f"with the finding {has[0]}" if has else demands.limits.reason(seconds, text)
        values = {**measures, **derived(seconds, text)}
        yield Verdict(utt, reason, reason) if reason else _by_rule(utt, values, demands.rules)


def _measures(
    data: Path, demands: Demands
) -> tuple[Follower[dict[str, float]], Follower[set[str]]]:
    """Measures that the demands look at, and findings; nothing where they look at none."""
    path, timed = demands.table(data), (data / "utt2dur").is_file()
    if not timed and not path.is_file():
        raise UserError(
            f"{data}/utt2dur: not found, expected it, or an audit's table with the lengths: run "
            "format_audio, or audit_data, or name the table with --measures"
        )
    names = {rule.name for rule in demands.rules} - set(DERIVED)
    names |= set() if timed else {"seconds"}
    measures = read_measures(path, sorted(names)) if names else iter(())
    return Follower(measures), Follower(read_problems(path) if demands.without else iter(()))


def _by_rule(utt: str, values: Mapping[str, float], rules: tuple[Rule, ...]) -> Verdict:
    """By the first one that is not fulfilled."""
    for rule in rules:
        if reason := rule.reason(values):
            return Verdict(utt, reason, f"{reason}, found {values.get(rule.name, math.nan):.6g}")
    return Verdict(utt)
