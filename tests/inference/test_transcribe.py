"""Long recordings: cut at pauses, nothing lost, little held; and the forms a transcript is written in."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.audio.vad import Vad, cut, speech
from espnet_ext.errors import UserError
from espnet_ext.inference.results import Hypothesis, Piece, Recognition
from espnet_ext.inference.subtitles import FORMATS, written
from espnet_ext.inference.transcribe import Cutting, Segment, Transcript, cut_stream, transcribe

RATE = 8000
ENERGY = Cutting(Vad("energy", pad=0.05), longest=5.0)


def talk(lengths, seed=0):
    """Noise bursts of such lengths in seconds, pauses of 0.8 s between: samples, and where bursts begin and end."""
    random = np.random.default_rng(seed)
    parts, edges, at = [], [], 0.0
    for length in lengths:
        parts.append(1e-4 * random.standard_normal(round(0.8 * RATE)))
        at += len(parts[-1]) / RATE
        parts.append(0.3 * random.standard_normal(round(length * RATE)))
        edges.append((at, at + len(parts[-1]) / RATE))
        at = edges[-1][1]
    parts.append(1e-4 * random.standard_normal(round(0.8 * RATE)))
    return np.concatenate(parts).astype(np.float32), edges


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(0.4, 4.0), min_size=1, max_size=25),
    st.integers(500, 40_000),
)
def test_a_stream_is_cut_where_the_whole_is(lengths, block):
    """Every burst lies in a piece, pieces are in order, and as short as asked for."""
    samples, edges = talk(lengths)
    stream = (samples[a : a + block] for a in range(0, len(samples), block))
    pieces = list(cut_stream(stream, RATE, ENERGY, held=12.0))
    spans = [(start, start + len(x) / RATE) for start, x in pieces]
    assert all(np.array_equal(x, samples[round(s * RATE) :][: len(x)]) for s, x in pieces)
    assert all(b <= c + 1e-6 for (_, b), (c, _) in itertools.pairwise(spans))
    if len(samples) > 5.0 * RATE:
        assert all(b - a <= 5.0 + 1e-3 for a, b in spans)
    for start, end in edges:
        covered = sum(max(0.0, min(b, end) - max(a, start)) for a, b in spans)
        assert covered >= end - start - 0.06


def test_an_hour_is_held_in_little():
    """Blocks of an hour's recording are made when asked for; what is cut off never holds much."""
    samples, _ = talk([2.0, 3.0, 1.0, 4.0])
    held, most = 0, 0

    def stream():
        nonlocal held, most
        for _ in range(3600 * RATE // len(samples)):
            held += len(samples)
            most = max(most, held)
            yield samples

    for start, piece in cut_stream(stream(), RATE, ENERGY, held=12.0):
        held -= len(piece)
        end = start + len(piece) / RATE
    assert end > 3500 and len(piece) < 6 * RATE
    # what lies in pauses was not given back: a third of it at most
    assert most < 3600 * RATE * 0.5


def test_the_whole_at_once_gives_the_same_pieces():
    samples, _ = talk([2.0, 3.0, 1.0, 4.0, 2.5, 0.7])
    whole = cut(speech(samples, RATE, ENERGY.vad), ENERGY.longest, ENERGY.shortest)
    found = [(s, s + len(x) / RATE) for s, x in cut_stream([samples], RATE, ENERGY, held=60.0)]
    assert found == pytest.approx(np.array(whole), abs=1e-3)


class Fake:
    """Says how long a piece is, in tenths of a second, at its rate."""

    rate = RATE

    def together(self, sounds):
        return [self.one(sound) for sound in sounds]

    def one(self, sound):
        seconds = len(sound.samples) / RATE
        if sound.error or not seconds:
            return Recognition(seconds=seconds, error=sound.error)
        text = f"w{round(seconds * 10)}"
        words = (Piece(text, 0.1, seconds, 0.5),)
        return Recognition((Hypothesis(text, (text,), (2,), -1.0, {}, words, words),), seconds)


def test_recordings_after_one_another_and_a_broken_one_between(tmp_path):
    samples, edges = talk([2.0, 3.0, 1.0, 4.0])
    soundfile.write(tmp_path / "long.flac", samples, RATE)
    soundfile.write(tmp_path / "short.wav", np.stack([samples[:16000]] * 2, axis=1), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8 * RATE), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    names = [tmp_path / n for n in ("long.flac", "broken.wav", "short.wav", "silent.wav")]
    long, broken, short, silent = transcribe(Fake(), names, ENERGY)
    assert len(long.segments) >= 2 and long.seconds == pytest.approx(len(samples) / RATE)
    assert long.segments[0].start == pytest.approx(edges[0][0], abs=0.1)
    first = long.segments[0].words[0]
    assert first.start == pytest.approx(long.segments[0].start + 0.1)
    assert broken.segments == () and "broken.wav" in broken.error
    assert short.text == "w20" and silent.segments == () and silent.error is None


def test_lengths_that_are_none():
    with pytest.raises(UserError, match=r"longest: found 0\.5, expected 1 to 60"):
        Cutting(longest=0.5)


# -- forms -------------------------------------------------------------------------------------------------------------


def transcript(words, start=1.0, timed=True):
    pieces = tuple(
        Piece(w, 0.4 * k if timed else None, 0.4 * k + 0.3 if timed else None, 0.9)
        for k, w in enumerate(words)
    )
    text = " ".join(words)
    found = Recognition((Hypothesis(text, (), (), -1.0, {}, pieces, ()),), 0.4 * len(words))
    end = start + found.seconds
    return Transcript("some where/a talk.wav", end + 1.0, (Segment(start, end, found),))


def seconds(clock):
    h, m, s = re.split(":", clock.replace(",", "."))
    return 3600 * int(h) + 60 * int(m) + float(s)


@settings(deadline=None)
@given(
    st.lists(st.text("ab<&é", min_size=1, max_size=12), min_size=1, max_size=60),
    st.booleans(),
    st.floats(0, 90_000),
)
def test_every_word_stands_in_every_form(words, timed, start):
    found = transcript(words, start, timed)
    assert written(found, "txt").split() == words
    told = json.loads(written(found, "json"))
    assert [w[0] for s in told["segments"] for w in s["words"]] == words == told["text"].split()
    rows = [line.split() for line in written(found, "ctm").splitlines()]
    assert [row[4] for row in rows] == words and {row[0] for row in rows} == {"a_talk"}
    assert all(float(row[3]) >= 0 and float(row[2]) >= start - 0.01 for row in rows)
    for form in ("srt", "vtt"):
        cues = written(found, form).removeprefix("WEBVTT\n\n").strip().split("\n\n")
        said, last = [], 0.0
        for number, cue in enumerate(cues, 1):
            lines = cue.split("\n")
            if form == "srt":
                assert lines.pop(0) == str(number)
            begin, end = map(seconds, lines.pop(0).split(" --> "))
            assert last - 1e-3 <= begin < end
            assert len(lines) <= 2
            said += " ".join(lines).split()
            last = end
        if form == "vtt":
            said = [w.replace("&lt;", "<").replace("&amp;", "&") for w in said]
            assert not any("<" in c.split("\n", 1)[1] for c in cues)
        assert said == words


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_said(form):
    found = written(Transcript("a.wav", 3.0), form)
    assert found == {"json": found, "vtt": "WEBVTT\n\n"}.get(form, "")


def test_a_script_without_spaces_is_parted_between_its_characters():
    text = "字" * 200
    pieces = tuple(Piece("字", 0.2 * k, 0.2 * k + 0.1, 0.9) for k in range(200))
    word = (Piece(text, 0.0, 39.9, 0.5),)
    found = Recognition((Hypothesis(text, (), (), -1.0, {}, word, pieces),), 40.0)
    cues = written(Transcript("a.wav", 50.0, (Segment(5.0, 45.0, found),)), "srt").split("\n\n")
    assert len(cues) > 5 and "".join(cues).count("字") == 200
    assert cues[0].split("\n")[1].startswith("00:00:05,000 --> ")
    assert all(len(line) <= 42 for cue in cues for line in cue.split("\n"))
