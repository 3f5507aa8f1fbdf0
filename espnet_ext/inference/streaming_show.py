"""A recording played to a streaming recogniser, and what it took: lines to read, and figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from espnet_ext.audio.read import load
from espnet_ext.errors import UserError
from espnet_ext.inference.streaming import Said, StreamingSpeech2Text
from espnet_ext.inference.streaming_live import growing
from espnet_ext.inference.streaming_partials import Words, flicker


@dataclass(frozen=True)
class Reply:
    """What came back to a piece of sound.

    Attributes:
        heard: seconds of sound with the piece.
        spent: seconds of work that it took.
        said: what is known anew.
        busy: processor seconds of the work.
    """

    heard: float
    spent: float
    said: tuple[Said, ...]
    busy: float = 0.0


def played(
    engine: StreamingSpeech2Text, samples: np.ndarray, piece: float, pace: float = 0.0
) -> Iterator[Reply]:
    """Play samples (T,) at the engine's rate in pieces of so many seconds; the last reply is to their end.

    Args:
        pace: as fast as in life times this; 0 = without waiting.
    """
    if not 0 < piece < 1e6:
        raise UserError(f"piece: found {piece}, expected seconds above 0")
    listener, step = engine.start(), max(1, round(piece * engine.rate))
    begun = time.monotonic()
    for begin in range(0, len(samples) + step, step):
        some = samples[begin : begin + step]
        heard = min(begin + step, len(samples)) / engine.rate
        if pace:
            time.sleep(max(0.0, begun + heard / pace - time.monotonic()))
        started, busy = time.perf_counter(), time.process_time()
        said = listener.feed(some) if len(some) else listener.end()
        spent, busy = time.perf_counter() - started, time.process_time() - busy
        yield Reply(heard, spent, tuple(said), busy)
        if not len(some):
            return


def sentences(said: Sequence[Said]) -> Iterator[tuple[list[Words], Said]]:
    """What was shown of each sentence, and its end."""
    partials: list[Words] = []
    for one in said:
        if one.final:
            yield partials, one
            partials = []
        else:
            partials.append(one.words)


def stability(said: Sequence[Said]) -> tuple[int, int]:
    """Words that were shown and did not stay, and words that were shown."""
    counts = [flicker(partials, final.words) for partials, final in sentences(said)]
    return sum(changed for changed, _ in counts), sum(shown for _, shown in counts)


def delays(replies: Sequence[Reply]) -> list[float]:
    """Of each word that was recognised: from its end in the sound to the moment since which it was shown, in seconds.

    The moment is that of the sound that had come and the work on its last piece, as on a machine that keeps up.
    """
    said = [(one, reply.spent) for reply in replies for one in reply.said]
    found: list[float] = []
    shown: list[tuple[Words, float]] = []
    for one, spent in said:
        shown.append((one.words, one.heard + spent))
        if one.hypothesis is not None:
            for place, word in enumerate(one.hypothesis.words):
                if word.end is not None:
                    found.append(_since(shown, place, word.text) - word.end)
            shown = []
    return found


def _since(shown: Sequence[tuple[Words, float]], place: int, word: str) -> float:
    """When a word was shown at a place and stayed."""
    moment = shown[-1][1]
    for words, when in reversed(shown):
        if words[place : place + 1] != (word,):
            break
        moment = when
    return moment


def listen(engine: StreamingSpeech2Text, path: str, piece: float, pace: float) -> Iterator[str]:
    """Lines to read: words so far after `...`, sentences after `==`, and figures at the end."""
    samples, _ = load(path, engine.rate)
    replies: list[Reply] = []
    for reply in played(engine, samples, piece, pace):
        replies.append(reply)
        yield from map(line, reply.said)
    yield summary(replies, len(samples) / engine.rate)


def line(one: Said) -> str:
    """What is known, to read."""
    return f"{one.heard:8.2f} s {'==' if one.final else '...':>3} {one.text}"


def listen_live(engine: StreamingSpeech2Text, path: str, idle: float) -> Iterator[str]:
    """The lines of a WAV file that somebody writes now, until nothing has come for `idle` seconds."""
    rate, blocks = growing(path, idle=idle)
    yield from map(line, engine.live(blocks, rate))


def summary(replies: Sequence[Reply], seconds: float) -> str:
    """Speed and stability in a line."""
    changed, shown = stability([one for reply in replies for one in reply.said])
    spent = sum(reply.spent for reply in replies)
    late = sorted(delays(replies))
    middle = f", words after {late[len(late) // 2]:.2f} s (median)" if late else ""
    return (
        f"# {seconds:.2f} s of sound in {spent:.2f} s (real-time factor {spent / max(seconds, 1e-9):.3f}){middle}, "
        f"{changed} of {shown} shown words changed later"
    )
