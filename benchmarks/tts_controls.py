"""Whether speed, pitch and energy of synthesised speech are what was asked for: asked against heard.

Each text is spoken plainly and then under each control; a word of it is changed through SSML, too, where the model
allows it. Heard is, against the plain speech:

- speed: the length of the audio; of a word, the frames of its tokens;
- pitch: the median of the differences of F0, in semitones, where both have a voice. F0 is found by Harvest (the
  synthesiser relies on DIO for what it corrects);
- energy: the level of the audio, in dB.

Of the text around a word what comes before it and what comes after it are judged each by itself.

Out of bounds, and exit status 1, is a length more than 3 % off (a word: or half a frame, if that is more), a pitch
more than half a semitone, a level more than 1 dB. Writes a section of RESULTS.md and prints it.

Usage: python benchmarks/tts_controls.py --tts exp/tts_x [--vocoder exp/voc_x] --texts dump/raw/eval1/text [--limit 5]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SPEEDS, SEMITONES, FACTORS = (0.5, 0.7, 1.4, 2.0), (-6, -3, -1, 1, 3, 6), (0.5, 2.0)
WORDS = (("rate", "200%", 2.0), ("rate", "60%", 0.6), ("pitch", "+4st", 4.0), ("pitch", "-4st", -4.0),
         ("volume", "+6dB", 10 ** 0.3), ("volume", "-6dB", 10**-0.3))  # fmt: skip
#: of each kind: unit, and how far off it may be
BOUNDS = {"speed": ("times", 0.03), "pitch": ("semitones", 0.5), "energy": ("dB", 1.0)}
STEP = 0.005  # seconds from frame to frame of F0
LEAST = 8  # frames of F0 from which a word's pitch is judged
APART = 0.03  # seconds at a word's borders that are neither its own nor its neighbours'


@dataclass(frozen=True)
class Heard:
    """One utterance or word under one control.

    Attributes:
        kind: of BOUNDS.
        where: "text", "word" or "rest", the text around the word.
        asked: speed, semitones or dB.
        found: the same as heard.
        slack: what the error may be on top.
    """

    kind: str
    where: str
    asked: float
    found: float
    slack: float = 0.0

    @property
    def error(self) -> float:
        """How far off it is; of the speed in parts of 1."""
        off = self.found / self.asked - 1 if self.kind == "speed" else self.found - self.asked
        return max(0.0, abs(off) - self.slack)

    @property
    def inside(self) -> bool:
        return self.error <= BOUNDS[self.kind][1]


def semitones(wave: Any, plain: Any, rate: int, part: slice = slice(None)) -> float:
    """The median difference of pitch within a part, in frames of STEP; NaN where there is too little voice."""
    import numpy as np

    from espnet_ext.audio.f0 import F0, track

    options = F0("harvest", STEP, low=45.0)
    now, before = (track(w, rate, options) for w in (wave, plain))
    now, before = now[: len(before)][part], before[: len(now)][part]
    both = (now > 0) & (before > 0)
    return (
        float(np.median(12 * np.log2(now[both] / before[both])))
        if both.sum() >= LEAST
        else math.nan
    )


def level(wave: Any) -> float:
    """In dB against full scale."""
    import numpy as np

    return float(10 * np.log10(np.square(wave, dtype=np.float64).sum() / max(1, len(wave)) + 1e-12))


def whole(speaker: Any, text: str) -> Iterator[Heard]:
    """A text under every control by itself."""
    plain_options = speaker.options
    plain = speaker(text).wave

    def said(**changes: float) -> Any:
        speaker.options = replace(plain_options, **changes)
        try:
            return speaker(text).wave
        finally:
            speaker.options = plain_options

    if speaker.has_speed:
        for speed in SPEEDS:
            wave = said(speed_control_alpha=1 / speed)
            yield Heard("speed", "text", speed, len(plain) / len(wave))
    for shift in SEMITONES:
        wave = said(pitch_shift=float(shift))
        yield Heard("pitch", "text", shift, semitones(wave, plain, speaker.rate))
    for factor in FACTORS:
        wave = said(energy_factor=factor)
        yield Heard("energy", "text", 20 * math.log10(factor), level(wave) - level(plain))


def words(speaker: Any, text: str) -> Iterator[Heard]:
    """The longest word inside a text, under every control that single words have."""
    if not speaker.has_words:
        return
    inside = text.split()[1:-1]
    word = max(inside, key=len, default="")
    if not word.isalpha():
        return
    before, after = text.split(word, 1)
    for name, value, factor in WORDS:
        if name != "rate" or speaker.has_word_rates:
            marked = f'<speak>{before}<prosody {name}="{value}">{word}</prosody>{after}</speak>'
            yield from _word(speaker, marked, name, factor)


def _word(speaker: Any, marked: str, name: str, factor: float) -> Iterator[Heard]:
    """One control of the word that is marked, and that the rest of the text has none of it."""
    import numpy as np

    from espnet_ext.inference.ssml_speech import piece_tokens, read_plans
    from espnet_ext.text.speech_plan import Manner, Piece

    plans = read_plans([("text", marked)], words=True, rates=speaker.has_word_rates)
    (piece,) = (step for step in plans["text"].steps if isinstance(step, Piece))
    ids, manners = piece_tokens(speaker.pipeline, piece)
    plain, found = speaker.speak(ids, marked, 1.0, {}), speaker(marked)
    chosen = np.array([manner != Manner() for manner in manners] + [False])[: len(plain.durations)]
    was, is_ = plain.durations.reshape(-1), found.durations.reshape(-1)
    if name == "rate":
        frames = (int(was[chosen].sum()), int(is_[chosen].sum()))
        yield Heard("speed", "word", factor, frames[0] / frames[1], 0.5 / frames[1])
        yield Heard("speed", "rest", 1.0, was[~chosen].sum() / is_[~chosen].sum())
        return
    ends = np.concatenate(([0], np.cumsum(was))) / was.sum() * len(plain.wave)
    begin, end = (int(ends[np.flatnonzero(chosen)[k] + (k < 0)]) for k in (0, -1))
    apart = round(APART * speaker.rate)
    before, after = slice(0, max(0, begin - apart)), slice(end + apart, len(plain.wave))
    asked = factor if name == "pitch" else 20 * math.log10(factor)
    parts = (("word", slice(begin, end), asked), ("rest", before, 0.0), ("rest", after, 0.0))
    for where, part, much in parts:
        now, then = found.wave[part], plain.wave[part]
        if name == "pitch":
            frames_ = slice(*(round(at / speaker.rate / STEP) for at in (part.start, part.stop)))
            heard = semitones(found.wave, plain.wave, speaker.rate, frames_)
            yield Heard("pitch", where, much, heard)
        else:
            yield Heard("energy", where, much, level(now) - level(then))


def table(found: Sequence[Heard]) -> list[str]:
    """A row for each control: what was asked, heard on the average, the worst, what is allowed."""
    lines = [
        "| control | of | asked | heard | worst error | allowed | outside |",
        "|---|---|---|---|---|---|---|",
    ]
    for key in dict.fromkeys((h.kind, h.where, h.asked) for h in found):
        some = [h for h in found if (h.kind, h.where, h.asked) == key and not math.isnan(h.found)]
        if not some:
            continue
        kind, where, asked = key
        unit, bound = BOUNDS[kind]
        show: Callable[[float], str] = (
            (lambda x: f"{100 * x:.1f} %") if kind == "speed" else (lambda x: f"{x:.2f}")
        )
        mean = sum(h.found for h in some) / len(some)
        worst, outside = max(h.error for h in some), sum(not h.inside for h in some)
        lines.append(
            f"| {kind} ({unit}) | {where} | {asked:.3g} | {mean:.3g} | {show(worst)} | {show(bound)} | "
            f"{outside} of {len(some)} |"
        )
    return lines


def read_texts(path: Path, limit: int) -> list[str]:
    """The texts of a data directory's `text`."""
    from espnet_ext.datadir import read_table

    return list(read_table(path).values())[: limit or None]


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tts", type=Path, required=True, help="trained synthesiser, exp/tts_x")
    parser.add_argument("--model", default="valid.mel.ave.pth", help="its weights")
    parser.add_argument("--task", default="tts", help="tts or gan_tts")
    parser.add_argument("--vocoder", type=Path, help="trained vocoder; default: Griffin-Lim")
    parser.add_argument("--texts", type=Path, required=True, help="a data directory's text")
    parser.add_argument("--limit", type=int, default=0, help="only so many texts; 0: all")
    parser.add_argument("--controls", default="both", help="of SynthesisOptions: both, model, wave")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/RESULTS.md")
    parser.add_argument("--section", default="tts_controls", help="of the results")
    args = parser.parse_args(argv)
    from benchmarks.results import origin, write_section
    from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
    from espnet_ext.inference.vocoder import Vocoder

    speaker = Text2Speech.from_dir(
        args.tts,
        args.model,
        task=args.task,
        options=SynthesisOptions(controls=args.controls),
        vocoder=args.vocoder and Vocoder.from_dir(args.vocoder),
    )
    texts = read_texts(args.texts, args.limit)
    found = [h for text in texts for measure in (whole, words) for h in measure(speaker, text)]
    heard = [h for h in found if not math.isnan(h.found)]
    outside = sum(not h.inside for h in heard)
    text = "\n".join(
        [
            "## Speed, pitch and energy: asked and heard",
            "",
            f"{type(speaker.model.tts).__name__}, {len(texts)} texts, each by itself; words through SSML. "
            f"{outside} of {len(heard)} are out of bounds.",
            "",
            *table(found),
            "",
            *origin("tts_controls", argv),
        ]
    )
    write_section(args.results, args.section, text)
    print(text)
    return 1 if outside else 0


if __name__ == "__main__":
    raise SystemExit(main())
