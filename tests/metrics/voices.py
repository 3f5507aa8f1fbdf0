"""A voice for the scores to hear."""

import numpy as np

RATE = 16000


def voice(seconds=1.0, f0=120.0, glide=0.0, seed=0, rate=RATE):
    """A buzz with a formant-like envelope, and a little noise: (S,)."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * (f0 * t + glide * t * t / 2)
    tones = (np.exp(-(((k * f0 - 600) / 700) ** 2)) * np.sin(k * phase) for k in range(1, 30))
    noise = np.random.default_rng(seed).normal(0, 1e-3, len(t))
    return 0.1 * sum(tones) + noise


def sentence(seconds=1.0, f0=120.0, seed=0):
    """A voice whose colour and loudness move, with a pause: something to align."""
    t = np.arange(int(seconds * RATE)) / int(seconds * RATE)  # 0 ... 1, whatever the length
    phase = 2 * np.pi * np.cumsum(f0 * (1 + 0.2 * np.sin(5 * t))) / RATE
    formant = 500 + 900 * t
    tones = (
        np.exp(-(((k * f0 - formant) / 400) ** 2)) * np.sin(k * phase) / 4 for k in range(1, 40)
    )
    loud = np.clip(np.sin(np.pi * t) + 0.3 * np.sin(9 * np.pi * t), 0.01, None)
    loud[(t > 0.45) & (t < 0.55)] = 0.001
    noise = np.random.default_rng(seed).normal(0, 3e-4, len(t))
    return 0.3 * loud * sum(tones) + noise
