"""Voices of known pitch and formants, and one that reads a sentence."""

from __future__ import annotations

import shutil
from functools import lru_cache

import numpy as np
import pytest
from scipy.signal import lfilter

RATE = 16000
VOWEL = ((700, 80), (1200, 90), (2600, 120), (3500, 150))  # Hz, and bandwidth


def vowel(hertz, seconds=0.8, formants=VOWEL, seed=0):
    """Pulses through resonances, with a breath of noise: (S,). `hertz` is a number or a function of the time."""
    time = np.arange(round(seconds * RATE)) / RATE
    track = hertz(time) if callable(hertz) else np.full_like(time, hertz)
    phase = np.cumsum(track) / RATE
    # band-limited pulses: each harmonic as strong as the next, up to 7 kHz
    source = sum(np.cos(2 * np.pi * k * phase) * (k * track < 7000) for k in range(1, 100))
    source = 2 * source * track / RATE
    source = lfilter([1], [1, -0.95], source)  # the glottis' slope
    source = source + 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    for middle, width in formants:
        radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * middle / RATE
        poles = [1, -2 * radius * np.cos(angle), radius**2]
        source = lfilter([sum(poles)], poles, source)
    return 0.3 * source / np.abs(source).max()


@lru_cache
def sentence(name="slt", text="All we know is where our own man was."):
    """A sentence by a voice of flite or espeak-ng, and its rate; the test is skipped where it is not installed."""
    from espnet_ext.corpora.voices import Voice, speak

    engine = "flite" if name in ("slt", "rms") else "espeak-ng"
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    return speak(Voice("test", "", engine, name), text)
