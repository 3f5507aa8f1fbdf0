"""Small tests of rendered tones, and listeners made of numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from espnet_ext.listening.answers import as_csv
from espnet_ext.listening.build import Options, make
from espnet_ext.listening.key import KINDS, Key, Stimulus

RATE = 16000


def speech(root: Path, system: str, utts: int = 6, rate: int = RATE, seconds: float = 0.3) -> Path:
    """A directory with wav.scp of tones in noise; each system has its own amount of noise."""
    folder = root / system
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(sum(system.encode()))
    lines = []
    for utt in range(utts):
        time = np.arange(int(rate * (seconds + 0.02 * utt))) / rate
        noise = 0.01 * (1 + len(system)) * draw.standard_normal(len(time))
        path = folder / f"u{utt}.wav"
        soundfile.write(path, 0.2 * np.sin(2 * np.pi * (300 + 50 * utt) * time) + noise, rate)
        lines.append(f"u{utt} {path}\n")
    (folder / "wav.scp").write_text("".join(lines))
    return folder


def a_test(root: Path, kind: str, number: int = 6, **changes: object) -> tuple[Path, Key]:
    """The page and key of a test of two systems and a reference."""
    given = {
        "systems": {name: speech(root, name, number) for name in ("ours", "theirs")},
        "reference": speech(root, "natural", number),
        "check_style": "text",
        "listeners": 6,
        "training": 1,
        **changes,
    }
    page = root / f"{kind}.html"
    return page, make(Options(kind, **given), page, over=True)  # type: ignore[arg-type]


Opinion = Callable[[Sequence[Stimulus], random.Random], float]  # of the sounds, as they are shown


def good(quality: dict[str, float], kind: str) -> Opinion:
    """Hears a quality from 0 to 1 with some noise."""

    def one(sound: Stimulus, draw: random.Random) -> float:
        return min(1.0, max(0.0, quality.get(sound.system, 0.1) + draw.gauss(0, 0.05)))

    def opinion(sounds: Sequence[Stimulus], draw: random.Random) -> float:
        heard = [one(sound, draw) for sound in sounds]
        if kind == "mos":
            return round(1 + 4 * heard[0])
        if kind == "mushra":
            return 100 if sounds[0].system == "reference" else round(95 * heard[0])
        difference = heard[1] - heard[0]
        if kind == "ab":
            return 0 if abs(difference) < 0.05 else 1 if difference > 0 else -1
        return max(-3, min(3, round(4 * difference)))

    return opinion


def sheet(
    key: Key,
    rater: str,
    listener: int,
    opinion: Opinion,
    attentive: bool = True,
    seconds: float = 9.0,
    about: dict[str, str] | None = None,
    session: str = "",
) -> list[tuple[object, ...]]:
    """What a listener's page would write, without the heading."""
    draw = random.Random(rater)
    who = (key.test, rater, session or f"session-{rater}", listener + 1)
    rows = [(*who, 0, "about", 0, name, value, 0, 0) for name, value in (about or {}).items()]
    for position, (trial, by) in enumerate(key.orders[listener], 1):
        shown = key.shown(trial, by)
        together = [shown] if KINDS[key.kind].sounds else [(name,) for name in shown]
        for slot, names in enumerate(together, 1):
            value = opinion([key.stimuli[name] for name in names], draw)
            expected = key.trials[trial].expected
            if key.trials[trial].role == "check" and attentive and expected:
                value = (expected[0] + expected[1]) / 2
            rows.append((*who, position, trial, slot, "|".join(names), f"{value:g}", 1, seconds))
    return rows


def panel(path: Path, *sheets: Sequence[Sequence[object]]) -> Path:
    """A CSV of several listeners."""
    path.write_text(as_csv([row for one in sheets for row in one]), newline="")
    return path
