"""Transcripts as text, subtitles (SubRip, WebVTT), JSON and NIST's ctm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from espnet_ext.inference.boosting import PIECE
from espnet_ext.inference.results import Piece
from espnet_ext.inference.transcribe import Segment, Transcript

FORMATS = ("txt", "srt", "vtt", "json", "ctm")
#: A subtitle's greatest length in characters (two lines of 42) and seconds, as broadcasters have it.
_CHARACTERS, _SECONDS = 84, 7.0
_LINE = 42

Cue = tuple[float, float, str]


def written(transcript: Transcript, form: str) -> str:
    """A transcript in one of FORMATS, with a newline at its end if there is anything."""
    makers = {"txt": _txt, "srt": _srt, "vtt": _vtt, "json": _json, "ctm": _ctm}
    return makers[form](transcript)


def _txt(found: Transcript) -> str:
    return "".join(f"{segment.text}\n" for segment in found.segments if segment.text)


def _srt(found: Transcript) -> str:
    """Numbered cues, `00:00:01,500 --> 00:00:03,000`, an empty line behind each."""
    rows = []
    for number, (start, end, text) in enumerate(_cues(found.segments), 1):
        rows.append(f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{_lines(text)}\n\n")
    return "".join(rows)


def _vtt(found: Transcript) -> str:
    """https://www.w3.org/TR/webvtt1/: `<`, `>` and `&` are escaped."""
    rows = ["WEBVTT\n\n"]
    for start, end, text in _cues(found.segments):
        safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        rows.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{_lines(safe)}\n\n")
    return "".join(rows)


def _json(found: Transcript) -> str:
    segments = [
        {
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "text": segment.text,
            "confidence": round(segment.found.confidence, 4),
            "words": [
                [w.text, _rounded(w.start), _rounded(w.end), w.confidence] for w in segment.words
            ],
        }
        for segment in found.segments
        if segment.text
    ]
    whole = {"file": found.name, "seconds": round(found.seconds, 3), "text": found.text}
    return json.dumps({**whole, "segments": segments}, ensure_ascii=False) + "\n"


def _ctm(found: Transcript) -> str:
    """File, channel, start, duration, word, confidence; words without times of their own share the piece's."""
    name = Path(found.name).stem.replace(" ", "_")
    rows = []
    for segment in found.segments:
        for start, end, word in _timed(segment, segment.words):
            rows.append(
                f"{name} 1 {start:.2f} {end - start:.2f} {word.text} {word.confidence:.4f}\n"
            )
    return "".join(rows)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _timed(segment: Segment, words: Sequence[Piece]) -> Iterator[tuple[float, float, Piece]]:
    share = (segment.end - segment.start) / max(len(words), 1)
    for number, word in enumerate(words):
        start, end = word.start, word.end
        if start is None or end is None:
            start = segment.start + number * share
            end = start + share
        yield start, end, word


def _cues(segments: Sequence[Segment]) -> Iterator[Cue]:
    """Subtitles: a piece's words, parted where they become too many or too long to be shown at once.

    A cue stays until the next begins or a second has passed, for CTC's words end early.
    """
    cues = [cue for segment in segments for cue in _of_segment(segment)]
    for number, (start, end, text) in enumerate(cues):
        following = cues[number + 1][0] if number + 1 < len(cues) else end + 1.0
        yield start, max(min(end + 1.0, following), start + 0.001), text


def _of_segment(segment: Segment) -> Iterator[Cue]:
    between, units = _units(segment)
    held: list[str] = []
    first = last = 0.0
    for start, end, unit in _timed(segment, units):
        whole = between.join([*held, unit.text])
        if held and (len(whole) > _CHARACTERS or end - first > _SECONDS):
            yield first, last, between.join(held)
            held = []
        first, last = (first if held else start), end
        held.append(unit.text)
    if held:
        yield first, last, between.join(held)


def _units(segment: Segment) -> tuple[str, Sequence[Piece]]:
    """What subtitles are parted between, and what stands there: words, or tokens of a script without spaces."""
    words, pieces = segment.words, segment.pieces
    if len(words) == 1 and len(words[0].text) > _LINE and pieces:
        shown = [replace(p, text=p.text.removeprefix(PIECE)) for p in pieces]
        if "".join(p.text for p in shown) == words[0].text:
            return "", shown
    return " ", words


def _lines(text: str) -> str:
    """One line, or two of about the same length."""
    if len(text) > _LINE and " " not in text and not text.isascii():
        return text[: len(text) // 2] + "\n" + text[len(text) // 2 :]
    if len(text) <= _LINE or " " not in text:
        return text
    places = [k for k, letter in enumerate(text) if letter == " "]
    middle = min(places, key=lambda k: abs(k - len(text) / 2))
    return text[:middle] + "\n" + text[middle + 1 :]


def _clock(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds and thousandths.

    >>> _clock(3725.5, ",")
    '01:02:05,500'
    """
    thousandths = round(seconds * 1000)
    whole, rest = divmod(thousandths, 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{mark}{rest:03d}"
