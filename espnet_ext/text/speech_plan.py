"""Spans of SSML -> what a synthesiser does one after the other: pieces that it speaks in one go, and pauses.

A new piece begins where the rate or the volume changes, and after a pause. Pitch and emphasis ask for control of
each word, which the acoustic models here do not have: they are named in a warning and not spoken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from espnet_ext.text.say_as import KINDS, say_as
from espnet_ext.text.ssml import Span


@dataclass(frozen=True)
class Run:
    """Text, or phonemes in its place."""

    text: str  # with the white space around it
    phonemes: str = ""  # "" where the text is converted like any other
    alphabet: str = ""  # of the phonemes: ipa or x-arpabet


@dataclass(frozen=True)
class Piece:
    """What is spoken in one go."""

    runs: tuple[Run, ...]
    rate: float = 1.0  # speed, as a factor
    volume: float = 0.0  # dB above the voice's own; -inf is silent

    @property
    def text(self) -> str:
        """As written, for messages."""
        return "".join(run.text for run in self.runs).strip()


@dataclass(frozen=True)
class Pause:
    """Silence."""

    seconds: float


@dataclass(frozen=True)
class Plan:
    """A document: what is done, and what of it cannot be."""

    steps: tuple[Piece | Pause, ...]
    warnings: tuple[str, ...]  # each names a tag


def plan(spans: Iterable[Span]) -> Plan:
    """The plan of a parsed document (`ssml.parse`)."""
    spans = list(spans)
    steps: list[Piece | Pause] = []
    for span in spans:
        last = steps[-1] if steps else None
        if span.break_s:
            seconds = span.break_s
            if isinstance(last, Pause):
                seconds += steps.pop().seconds  # type: ignore[union-attr]
            steps.append(Pause(seconds))
            continue
        run = _run(span)
        if isinstance(last, Piece) and (last.rate, last.volume) == (span.rate, span.volume):
            steps[-1] = Piece((*last.runs, run), span.rate, span.volume)
        else:
            steps.append(Piece((run,), span.rate, span.volume))
    spoken = [s for s in steps if isinstance(s, Pause) or any(c.isalnum() for c in s.text)]
    return Plan(tuple(spoken), tuple(_warnings(spans)))


def _run(span: Span) -> Run:
    if span.phonemes:
        return Run(span.text, span.phonemes, span.alphabet)
    if not span.say_as:
        return Run(span.text)
    said = say_as(span.text.strip(), span.say_as, span.say_format)
    before = " " if span.text[:1].isspace() else ""
    return Run(before + said + (" " if span.text[-1:].isspace() else ""))


def _warnings(spans: Sequence[Span]) -> list[str]:
    found: list[str] = []
    if any(span.pitch for span in spans):
        found.append("<prosody pitch> is not spoken: this model has no control of pitch")
    if any(span.emphasis != "none" for span in spans):
        found.append("<emphasis> is not spoken: this model has no control of single words")
    for kind in dict.fromkeys(s.say_as for s in spans if s.say_as and s.say_as not in KINDS):
        known = ", ".join(KINDS)
        found.append(f'<say-as interpret-as="{kind}"> is read like plain text; known are {known}')
    return found
