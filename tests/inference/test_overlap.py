"""Speech without a pause: pieces overlap, and every word is said once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.audio.vad import Vad
from espnet_ext.errors import UserError
from espnet_ext.inference.overlap import Segment, joined, once, seam
from espnet_ext.inference.results import Hypothesis, Piece, Recognition
from espnet_ext.inference.transcribe import Cutting, cut_stream, transcribe

RATE = 8000
LONG = Cutting(Vad("energy"), longest=5.0)


@pytest.fixture(scope="module", autouse=True)
def loud_is_speech():
    """A detector of speech for levels that never rest."""

    def speech(samples, rate, options):
        edges = np.flatnonzero(np.diff(np.pad(np.abs(samples) > 0.01, 1).astype(int)))
        return [(a / rate, b / rate) for a, b in edges.reshape(-1, 2).tolist()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("espnet_ext.inference.transcribe.speech", speech)
        yield


def spoken(lengths):
    """Words without a pause, each a level of its own: samples, and beginning and end of each in seconds."""
    parts, edges, at = [np.zeros(RATE)], [], 1.0
    for number, length in enumerate(lengths):
        count = round(length * RATE)
        parts.append(np.full(count, (1000 + number) / 8192))
        edges.append((at, at + count / RATE))
        at += count / RATE
    return np.concatenate([*parts, np.zeros(RATE)]).astype(np.float32), edges


class Reads:
    """Tells levels apart; a word that is cut is another one."""

    rate = RATE

    def __init__(self, lengths, spaces=True, timed=True):
        self.lengths, self.spaces, self.timed = lengths, spaces, timed
        if not spaces:
            self.pipeline = type(
                "Text", (), {"text": staticmethod(lambda ids: "".join(map(chr, ids)))}
            )

    def together(self, sounds):
        return [self.one(sound) for sound in sounds]

    def one(self, sound):
        seconds, words, at = len(sound.samples) / RATE, [], 0
        levels = np.round(np.asarray(sound.samples) * 8192).astype(int) - 1000
        for level, run in itertools.groupby(levels.tolist()):
            count = len(list(run))
            if level >= 0:
                whole = count / RATE > 0.8 * self.lengths[level]
                text = chr(0x4E00 + level) if not self.spaces else f"w{level}"
                text = text if whole else "?"
                start, end = at / RATE, (at + count) / RATE
                times = (start, end) if self.timed else (None, None)
                words.append(Piece(text, *times, 0.5))
            at += count
        if not seconds or sound.error:
            return Recognition(seconds=seconds, error=sound.error)
        ids, pieces = tuple(ord(w.text[0]) for w in words), tuple(words)
        tokens = tuple(w.text for w in words)
        if self.spaces:
            best = Hypothesis(" ".join(tokens), tokens, ids, -1.0, {}, pieces, pieces)
        else:
            whole = (Piece("".join(tokens), 0.0, seconds, 0.5),) if words else ()
            best = Hypothesis("".join(tokens), tokens, ids, -1.0, {}, whole, pieces)
        return Recognition((best,), seconds)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.floats(0.2, 0.8), min_size=12, max_size=80),
    st.booleans(),
    st.integers(4000, 60_000),
)
def test_every_word_is_said_once(lengths, spaces, block):
    samples, edges = spoken(lengths)
    reader = Reads(lengths, spaces)
    stream = (samples[a : a + block] for a in range(0, len(samples), block))
    pieces = list(cut_stream(stream, RATE, LONG, held=11.0))
    if sum(lengths) > 5.0:
        assert len(pieces) > 1
    assert all(len(x) <= (5.0 + LONG.shared) * RATE + 1 for _, x in pieces)
    found = [
        (0, Segment(start, start + len(x) / RATE, reader.one(Sounding(x)))) for start, x in pieces
    ]
    segments = [s for _, s in once(found, None if spaces else reader.pipeline.text)]
    text = "".join(s.text for s in segments) if not spaces else " ".join(s.text for s in segments)
    wanted = [chr(0x4E00 + n) if not spaces else f"w{n}" for n in range(len(lengths))]
    assert text == ("" if not spaces else " ").join(wanted)
    timed = [w for s in segments for w in (s.words if spaces else s.pieces)]
    for word, (start, end) in zip(timed, edges, strict=True):
        assert word.start == pytest.approx(start, abs=0.02) and word.end == pytest.approx(
            end, abs=0.02
        )
    for one, two in itertools.pairwise(segments):
        assert one.end <= two.start + 1e-6


class Sounding:
    error = None

    def __init__(self, samples):
        self.samples = samples


def test_a_recording_from_a_file_and_without_overlap(tmp_path):
    lengths = [0.6] * 30
    samples, _ = spoken(lengths)
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    (found,) = transcribe(Reads(lengths), [tmp_path / "long.wav"], LONG)
    assert found.text == " ".join(f"w{n}" for n in range(30))
    apart = Cutting(LONG.vad, longest=5.0, overlap=0.0)
    (cut,) = transcribe(Reads(lengths), [tmp_path / "long.wav"], apart)
    assert "?" in cut.text


def words(*given):
    return tuple(Piece(text, start, end, 0.5) for text, start, end in given)


def test_the_seam_lies_behind_a_word_that_both_say():
    one = words(("a", 8.0, 8.4), ("b", 9.0, 9.4), ("c", 9.6, 9.9), ("x", 9.9, 10.0))
    two = words(("y", 8.6, 8.8), ("b", 9.1, 9.4), ("c", 9.6, 10.0), ("d", 10.2, 10.5))
    assert seam(one, two, 8.6, 10.0) == (2, 2)
    # nothing in common: the middle, 9.3
    other = words(("y", 8.6, 8.8), ("z", 9.5, 9.9), ("d", 10.2, 10.5))
    assert seam(one, other, 8.6, 10.0) == (2, 1)
    assert seam((), other, 8.6, 10.0) == (0, 1)
    assert seam(one, (), 8.6, 10.0) == (2, 0)


def test_words_without_times_are_all_kept():
    one = Recognition(
        (
            Hypothesis(
                "a b", ("a", "b"), (2, 3), -1.0, {}, words(("a", None, None), ("b", None, None))
            ),
        ),
        5.0,
    )
    first, second = joined(Segment(0.0, 5.0, one), Segment(4.0, 9.0, one))
    assert first.text == second.text == "a b" and first.end == second.start == 4.5


def test_errors_and_ends_pass():
    error = Segment(0.0, 0.0, Recognition(error="broken"))
    said = Segment(0.0, 2.0, Recognition((Hypothesis("a", ("a",), (2,), -1.0),), 2.0))
    given = [(0, said), (0, Segment(2.0, 2.0, Recognition())), (1, error), (2, said)]
    assert list(once(given)) == given


def test_an_overlap_that_is_none():
    with pytest.raises(UserError, match=r"overlap: found -1\.0"):
        Cutting(overlap=-1.0)
    assert Cutting(longest=2.0).shared == 1.0
