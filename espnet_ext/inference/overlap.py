"""Pieces of a recording that were cut in the midst of speech: they overlap, and what both say is said once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from espnet_ext.inference.results import Hypothesis, Piece, Recognition

#: Seconds by which the times of a word that two pieces say may differ.
_NEAR = 0.4


@dataclass(frozen=True)
class Segment:
    """A piece of a recording.

    Attributes:
        start, end: seconds from the recording's beginning.
        found: what is said in it; its times count from the piece's beginning.
    """

    start: float
    end: float
    found: Recognition

    @property
    def text(self) -> str:
        return self.found.text.strip()

    @property
    def words(self) -> tuple[Piece, ...]:
        """With times from the recording's beginning."""
        return moved(self.found.words, self.start)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The tokens, likewise."""
        return moved(self.found.tokens, self.start)


def moved(pieces: Sequence[Piece], by: float) -> tuple[Piece, ...]:
    """The same, so many seconds later."""
    return tuple(
        piece
        if piece.start is None or piece.end is None
        else replace(piece, start=by + piece.start, end=by + piece.end)
        for piece in pieces
    )


def widened(
    pieces: Sequence[tuple[float, float]], overlap: float, end: float
) -> list[tuple[float, float]]:
    """Pieces, in seconds, of which those that touch get half of `overlap` at either side; nothing beyond `end`.

    >>> widened([(0.0, 5.0), (5.0, 9.0), (9.5, 12.0)], 1.0, 20.0)
    [(0.0, 5.5), (4.5, 9.0), (9.5, 12.0)]
    """
    half, found = overlap / 2, []
    for place, (first, last) in enumerate(pieces):
        before = place > 0 and first - pieces[place - 1][1] < 1e-6
        after = place + 1 < len(pieces) and pieces[place + 1][0] - last < 1e-6
        found.append((first - half * before, min(end, last + half * after)))
    return found


def _middle(piece: Piece) -> float | None:
    return None if piece.start is None or piece.end is None else (piece.start + piece.end) / 2


def seam(one: Sequence[Piece], two: Sequence[Piece], start: float, end: float) -> tuple[int, int]:
    """How many words of the first piece stay, and the first of the second that does.

    Both say what lies between `start` and `end`. The seam is behind the word nearest to the middle of that which both
    say at the same time; where there is none, it is the middle.
    """
    middle = (start + end) / 2
    times = [[_middle(piece) for piece in pieces] for pieces in (one, two)]
    same = [
        (abs(a - middle), i, j)
        for i, a in enumerate(times[0])
        for j, b in enumerate(times[1])
        if a is not None and b is not None and a > start and b < end
        if one[i].text == two[j].text and abs(a - b) < _NEAR
    ]
    if same:
        _, i, j = min(same)
        return i + 1, j + 1
    kept = [i for i, a in enumerate(times[0]) if a is None or a < middle]
    later = [j for j, b in enumerate(times[1]) if b is None or b >= middle]
    return (kept[-1] + 1 if kept else 0), (later[0] if later else len(two))


Texts = Callable[[Sequence[int]], str]


def _part(segment: Segment, words: slice, text: Texts | None) -> Segment:
    """The segment with some of its words (of its tokens, where `text` makes text of their numbers)."""
    best = segment.found[0]
    if text is not None:
        ids = best.token_ids[words]
        pieces = best.pieces[words]
        said = text(ids)
        start, end = (pieces[0].start, pieces[-1].end) if pieces else (None, None)
        confidence = sum(p.confidence for p in pieces) / max(len(pieces), 1)
        whole = (Piece(said, start, end, confidence),) if pieces else ()
        new = replace(
            best, text=said, token_ids=ids, tokens=best.tokens[words], words=whole, pieces=pieces
        )
        return replace(segment, found=replace(segment.found, nbest=(new,)))
    kept = best.words[words]
    inside = _inside(best, kept)
    new = replace(
        best,
        text=" ".join(word.text for word in kept),
        tokens=tuple(best.tokens[n] for n in inside),
        token_ids=tuple(best.token_ids[n] for n in inside),
        words=kept,
        pieces=tuple(best.pieces[n] for n in inside),
    )
    return replace(segment, found=replace(segment.found, nbest=(new,)))


def _inside(best: Hypothesis, words: Sequence[Piece]) -> list[int]:
    """Numbers of the tokens within the time of some words."""
    if not words or words[0].start is None or words[-1].end is None:
        return []
    first, last = words[0].start - 1e-6, words[-1].end + 1e-6
    middles = [_middle(piece) for piece in best.pieces]
    return [n for n, m in enumerate(middles) if m is not None and first <= m <= last]


def joined(one: Segment, two: Segment, text: Texts | None = None) -> tuple[Segment, Segment]:
    """Two pieces that overlap, so that they say everything once and touch where the seam is.

    Args:
        one, two: in order.
        text: makes text of token numbers; used where words are not parted by spaces.
    """
    start, end = two.start, one.end
    by_token = text is not None and any(len(s.found.words) < 2 for s in (one, two))
    sides = (one.pieces, two.pieces) if by_token else (one.words, two.words)
    kept, later = seam(*sides, start, end)
    how = text if by_token else None
    first, second = _part(one, slice(0, kept), how), _part(two, slice(later, None), how)
    middle = (start + end) / 2
    if kept and (at := sides[0][kept - 1].end) is not None:
        middle = min(max(at, start), end)
    best, by = second.found[0], two.start - middle
    best = replace(best, words=moved(best.words, by), pieces=moved(best.pieces, by))
    said = replace(second.found, nbest=(best,), seconds=two.end - middle)
    ended = replace(first.found, seconds=middle - one.start)
    return replace(first, end=middle, found=ended), Segment(middle, two.end, said)


def once(
    segments: Iterable[tuple[int, Segment]], text: Texts | None = None
) -> Iterator[tuple[int, Segment]]:
    """Segments of recordings, in order; those that overlap are joined."""
    held: tuple[int, Segment] | None = None
    for number, segment in segments:
        if held is not None:
            before = held[1]
            speaks = all(s.found.seconds and not s.found.error for s in (before, segment))
            if number == held[0] and speaks and segment.start < before.end - 1e-3:
                before, segment = joined(before, segment, text)
            yield held[0], before
        held = number, segment
    if held is not None:
        yield held
