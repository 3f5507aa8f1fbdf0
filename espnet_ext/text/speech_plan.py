"""Spans of SSML -> what a synthesiser does one after the other: pieces that it speaks in one go, and pauses.

A new piece begins after a pause. Where words can be spoken higher or louder than their neighbours, those of a piece
differ in their manner; where they cannot be spoken faster, a new piece begins where the rate changes. For a model of
which nobody knows when it speaks which word, a new piece begins where rate or volume change, and pitch and emphasis are
named in a warning and not spoken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from espnet_ext.text.say_as import KINDS, say_as
from espnet_ext.text.ssml import Span


@dataclass(frozen=True)
class Manner:
    """How words are spoken, against the rest of their piece."""

    rate: float = 1.0  # speed, as a factor
    semitones: float = 0.0  # of pitch
    loudness: float = 1.0  # amplitude, as a factor


#: What levels of <emphasis> are: a stressed word is longer, higher and louder.
EMPHASIS = {
    "strong": Manner(0.8, 2.0, 1.4),
    "moderate": Manner(0.9, 1.0, 1.2),
    "none": Manner(),
    "reduced": Manner(1.1, -1.0, 0.85),
}


#: dB between words that are still spoken in one go
FARTHEST = 30.0


@dataclass(frozen=True)
class Run:
    """Text, or phonemes in its place."""

    text: str  # with the white space around it
    phonemes: str = ""  # "" where the text is converted like any other
    alphabet: str = ""  # of the phonemes: ipa or x-arpabet
    manner: Manner = Manner()


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


def plan(spans: Iterable[Span], words: bool = False, rates: bool = True) -> Plan:
    """The plan of a parsed document (`ssml.parse`).

    Args:
        spans: of the document.
        words: whether single words can be spoken higher or louder.
        rates: whether they can be spoken faster, too.
    """
    spans = list(spans)
    steps: list[Piece | Pause] = []
    for span in spans:
        last = steps[-1] if steps else None
        if span.break_s:
            seconds = span.break_s
            if isinstance(last, Pause):
                seconds += steps.pop().seconds  # type: ignore[union-attr]
            steps.append(Pause(seconds))
        elif isinstance(last, Piece) and _goes_on(last, span, words, rates):
            manner = _manner(span, last, rates) if words else Manner()
            steps[-1] = replace(last, runs=(*last.runs, replace(_run(span), manner=manner)))
        else:
            steps.append(_begin(span, words, rates))
    spoken = [s for s in steps if isinstance(s, Pause) or any(c.isalnum() for c in s.text)]
    return Plan(tuple(spoken), tuple(_warnings(spans, words)))


def _goes_on(piece: Piece, span: Span, words: bool, rates: bool) -> bool:
    """Whether a span is spoken in one go with the piece before it."""
    if words:  # silence is not spoken softly
        louder = 0.0 if piece.volume == span.volume else abs(span.volume - piece.volume)
        return louder <= FARTHEST and (rates or piece.rate == span.rate)
    return (piece.rate, piece.volume) == (span.rate, span.volume)


def _begin(span: Span, words: bool, rates: bool) -> Piece:
    piece = Piece((), 1.0 if words and rates else span.rate, span.volume)
    manner = _manner(span, piece, rates) if words else Manner()
    return replace(piece, runs=(replace(_run(span), manner=manner),))


def _manner(span: Span, piece: Piece, rates: bool) -> Manner:
    """Of a span against its piece, emphasis included."""
    added = EMPHASIS[span.emphasis]
    louder = (
        0.0 if span.volume == piece.volume else span.volume - piece.volume
    )  # dB; both may be -inf
    return Manner(
        span.rate / piece.rate * (added.rate if rates else 1.0),
        span.pitch + added.semitones,
        10 ** (louder / 20) * added.loudness,
    )


def _run(span: Span) -> Run:
    if span.phonemes:
        return Run(span.text, span.phonemes, span.alphabet)
    if not span.say_as:
        return Run(span.text)
    said = say_as(span.text.strip(), span.say_as, span.say_format)
    before = " " if span.text[:1].isspace() else ""
    return Run(before + said + (" " if span.text[-1:].isspace() else ""))


def _warnings(spans: Sequence[Span], words: bool) -> list[str]:
    found: list[str] = []
    if any(span.pitch for span in spans) and not words:
        found.append("<prosody pitch> is not spoken: this model has no control of pitch")
    if any(span.emphasis != "none" for span in spans) and not words:
        found.append("<emphasis> is not spoken: this model has no control of single words")
    for kind in dict.fromkeys(s.say_as for s in spans if s.say_as and s.say_as not in KINDS):
        known = ", ".join(KINDS)
        found.append(f'<say-as interpret-as="{kind}"> is read like plain text; known are {known}')
    return found
