"""Recordings of any length, cut at their pauses and recognised piece by piece, in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from espnet_ext.audio.read import blocks, seconds_of
from espnet_ext.audio.resample import as_float, resampled
from espnet_ext.audio.vad import Vad, cut, speech
from espnet_ext.errors import UserError
from espnet_ext.inference.overlap import Segment, once, widened
from espnet_ext.inference.sounds import Sound, windows, wrong

if TYPE_CHECKING:
    from espnet_ext.inference.speech2text import Speech2Text

#: Where the model does not tell, Hz.
_RATE = 16000
#: Seconds of a recording that are looked at together for pauses; many times `longest`, little to hold.
_HELD = 180.0
#: Seconds behind a stretch of speech from which on it is known to be over.
_OVER = 1.0


@dataclass(frozen=True)
class Cutting:
    """How recordings are cut.

    Attributes:
        vad: how speech is told from the rest; None = recordings are not cut, and recognised whole.
        longest: seconds of a piece, up to 60; recordings that are no longer are not cut.
        shortest: seconds; shorter pieces are left out.
        together: seconds of sound that are recognised at once.
        overlap: seconds that both pieces hear where somebody spoke without a pause for so long that there was no other
            place to cut, at most half of `longest`; such pieces are longer by that. What both say is said once.
    """

    vad: Vad | None = field(default_factory=lambda: Vad(pad=0.2))
    longest: float = 25.0
    shortest: float = 0.2
    together: float = 120.0
    overlap: float = 2.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.longest <= 60.0:
            raise UserError(f"longest: found {self.longest}, expected 1 to 60 seconds")
        if not self.overlap >= 0.0:
            raise UserError(f"overlap: found {self.overlap}, expected seconds from 0")

    @property
    def shared(self) -> float:
        """Seconds that pieces overlap."""
        return min(self.overlap, self.longest / 2)


@dataclass(frozen=True)
class Transcript:
    """What is said in a recording.

    Attributes:
        name: of its file.
        seconds: its length.
        segments: in order; none where nobody speaks.
        error: why it could not be read (to its end), or a piece of it not recognised; None where all went well.
    """

    name: str
    seconds: float
    segments: tuple[Segment, ...] = ()
    error: str | None = None

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.text)


def mono(entry: str, rate: int) -> Iterator[np.ndarray]:
    """A recording block by block: (T,) float32 at `rate`, channels averaged."""
    stream = blocks(entry)
    found, first = next(stream)

    def parts() -> Iterator[np.ndarray]:
        yield as_float(first).mean(axis=1, keepdims=True, dtype="float32")
        for _, block in stream:
            yield as_float(block).mean(axis=1, keepdims=True, dtype="float32")

    for block in resampled(parts(), found, rate):
        yield block[:, 0]


def cut_stream(
    sound: Iterable[np.ndarray], rate: int, how: Cutting, held: float = _HELD
) -> Iterator[tuple[float, np.ndarray]]:
    """The pieces of a recording that comes in blocks: first second and samples of each.

    No more than about `held` seconds and a block are kept: what lies before a pause is over and done with.

    Args:
        sound: blocks (T,) float32.
        rate: Hz.
        how: see there.
        held: seconds, more than twice `how.longest`.
    """
    assert how.vad is not None and held > 2 * how.longest
    kept, offset = list[np.ndarray](), 0
    for block in sound:
        kept.append(block)
        if sum(map(len, kept)) < held * rate:
            continue
        samples = np.concatenate(kept)
        pieces = cut(speech(samples, rate, how.vad), how.longest, how.shortest)
        wide = widened(pieces, how.shared, len(samples) / rate)
        rest = max(0, len(samples) - round(_OVER * rate))
        if pieces and pieces[-1][1] * rate > rest:  # it may go on
            rest = min(rest, int(wide.pop()[0] * rate))
        yield from _pieces(samples, wide, offset, rate)
        kept, offset = [samples[rest:]], offset + rest
    if kept:
        samples = np.concatenate(kept)
        alone = not offset and len(samples) <= how.longest * rate
        whole = [(0.0, len(samples) / rate)]
        pieces = whole if alone else cut(speech(samples, rate, how.vad), how.longest, how.shortest)
        yield from _pieces(samples, widened(pieces, how.shared, len(samples) / rate), offset, rate)


def _pieces(
    samples: np.ndarray, pieces: Sequence[tuple[float, float]], offset: int, rate: int
) -> Iterator[tuple[float, np.ndarray]]:
    for start, end in pieces:
        first = round(start * rate)
        yield (offset + first) / rate, samples[first : round(end * rate)].copy()


@dataclass(frozen=True)
class _Part:
    """A piece of one of several recordings, or the end of one: then `start` is its length and there is no sound."""

    number: int
    start: float
    sound: Sound | None


def _parts(names: Sequence[str], rate: int, how: Cutting) -> Iterator[_Part]:
    for number, name in enumerate(names):
        try:
            if how.vad is None:
                whole = np.concatenate(list(mono(name, rate)))
                if error := wrong(whole, rate):
                    raise UserError(f"{name}: {error}")
                yield _Part(number, 0.0, Sound(whole, rate))
            else:
                for start, samples in cut_stream(mono(name, rate), rate, how):
                    yield _Part(number, start, Sound(samples, rate))
            yield _Part(number, seconds_of(name), None)
        except UserError as error:
            yield _Part(number, 0.0, Sound(error=str(error)))


def segments_of(
    recogniser: Speech2Text, names: Sequence[str | Path], how: Cutting = Cutting()
) -> Iterator[tuple[int, Segment]]:
    """What is said in recordings, piece by piece as it is known: number of the recording, and a piece of it.

    A recording that cannot be read gives a piece whose `found.error` says why, the others lose nothing. Pieces of
    several recordings are recognised together.
    """
    rate = recogniser.rate or _RATE
    waiting: list[_Part] = []

    def sounds() -> Iterator[Sound]:
        for part in _parts([str(name) for name in names], rate, how):
            waiting.append(part)
            yield part.sound or Sound()

    def found() -> Iterator[tuple[int, Segment]]:
        for window in windows(sounds(), rate, how.together):
            parts, waiting[:] = waiting[: len(window)], waiting[len(window) :]
            for part, said in zip(parts, recogniser.together(window), strict=True):
                yield part.number, Segment(part.start, part.start + said.seconds, said)

    pipeline = getattr(recogniser, "pipeline", None)
    yield from once(found(), None if pipeline is None else pipeline.text)


def collect(
    segments: Iterable[tuple[int, Segment]], names: Sequence[str | Path]
) -> Iterator[Transcript]:
    """A transcript of each recording, in order, from what `segments_of` gives."""
    held: list[Segment] = []
    for number, segment in segments:
        if segment.found.seconds:
            held.append(segment)
            continue
        # its end, or what is wrong with all of it; else with the first piece that could not be recognised
        name, lost = str(names[number]), [s for s in held if s.found.error]
        told = [f"{name}, from {s.start:.0f} s on: {s.found.error}" for s in lost]
        error = segment.found.error or (told[0] if told else None)
        yield Transcript(name, segment.start, tuple(s for s in held if not s.found.error), error)
        held = []


def transcribe(
    recogniser: Speech2Text, names: Sequence[str | Path], how: Cutting = Cutting()
) -> Iterator[Transcript]:
    """A transcript of each recording, in order."""
    yield from collect(segments_of(recogniser, names, how), names)
