"""What augmentation does to sound: each effect takes its numbers, none draws any. Mono float32 (T,), in and out."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING

from espnet_ext.audio.resample import resample
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np

#: name -> (container, encoding, rate in Hz or 0 for any that the codec takes)
CODECS = {
    "mulaw": ("WAV", "ULAW", 8000),
    "alaw": ("WAV", "ALAW", 8000),
    "gsm": ("WAV", "GSM610", 8000),
    "mp3": ("MP3", "MPEG_LAYER_III", 0),
    "opus": ("OGG", "OPUS", 0),
    "vorbis": ("OGG", "VORBIS", 0),
}
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


def power(samples: np.ndarray) -> float:
    """Mean square."""
    import numpy as np

    return float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0


def add_noise(samples: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add noise of the same length, so loud that the powers over the whole utterance differ by `snr` dB."""
    import numpy as np

    loud = power(noise)
    if not loud:
        return samples
    gain = math.sqrt(power(samples) / loud / 10 ** (snr / 10))
    return samples + np.float32(gain) * noise


def repeated(noise: np.ndarray, start: int, length: int) -> np.ndarray:
    """`length` samples of a noise from `start` on, from its beginning again after its end."""
    import numpy as np

    return np.take(noise, np.arange(start, start + length), mode="wrap")


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The sound in a room, by the room's impulse response (R,): as long, as loud, its direct sound on time."""
    import numpy as np

    direct = int(np.abs(response).argmax())
    size = len(samples) + len(response)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    wet = np.fft.irfft(spectrum, size)[direct : direct + len(samples)]
    loud = power(wet)
    gain = math.sqrt(power(samples) / loud) if loud else 1.0
    return (gain * wet).astype(np.float32)


def shift_pitch(samples: np.ndarray, rate: int, semitones: float) -> np.ndarray:
    """Raise the pitch, formants with it, at the same speed: played faster, then stretched back to its length."""
    import numpy as np

    factor = 2.0 ** (semitones / 12)
    if factor == 1 or not len(samples):
        return samples
    stretched = stretch(samples, rate, factor)
    found = resample(stretched, factor, 1.0)[: len(samples)]
    return np.pad(found, (0, len(samples) - len(found)))


def stretch(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """`factor` times as long at the same pitch, by overlapping similar frames (WSOLA, Verhelst and Roelands 1993)."""
    import numpy as np

    hop, reach = max(2, round(0.015 * rate)), max(1, round(0.010 * rate))
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    number = math.ceil(len(samples) * factor / hop) + 1
    padded = np.pad(samples, (hop + reach, 4 * hop + 2 * reach))
    out = np.zeros((number + 1) * hop, np.float32)
    at = reach  # where the last frame was taken, in `padded`
    for n in range(number):
        # frame n is centred at n * hop of the result, so at n * hop / factor of the samples
        centre = min(round(n * hop / factor), len(samples)) + reach
        if n:
            natural = padded[at + hop : at + 3 * hop]  # what followed the last frame
            field = padded[centre - reach : centre + reach + 2 * hop]
            at = centre - reach + _most_alike(field, natural[: 2 * hop])
        else:
            at = centre
        out[n * hop : (n + 2) * hop][: 2 * hop] += (window * padded[at : at + 2 * hop])[
            : len(out) - n * hop
        ]
    return out[hop : hop + round(len(samples) * factor)]


def _most_alike(field: np.ndarray, pattern: np.ndarray) -> int:
    """The place of (W,) in (L,) where their correlation, for the energy there, is highest."""
    import numpy as np

    size = 1 << (len(field) + len(pattern)).bit_length()
    product = np.fft.rfft(field, size) * np.conj(np.fft.rfft(pattern, size))
    likeness = np.fft.irfft(product, size)[: len(field) - len(pattern) + 1]
    energy = np.cumsum(np.concatenate([[0.0], np.square(field, dtype=np.float64)]))
    energy = energy[len(pattern) :] - energy[: -len(pattern)]
    return int((likeness / np.sqrt(energy + 1e-9)).argmax())


def compress(
    samples: np.ndarray, rate: int, threshold: float, ratio: float, release: float = 0.1
) -> np.ndarray:
    """Dynamic range compression: `ratio` dB more above `threshold` become one, then as loud as before.

    Args:
        samples: (T,).
        rate: in Hz.
        threshold: in dBFS of the root mean square over 5 ms.
        ratio: 1 changes nothing.
        release: seconds in which a reduction fades to 37 %; it sets in within 5 ms.
    """
    import numpy as np

    block = max(1, round(0.005 * rate))
    number = -(-len(samples) // block)
    squares = np.square(np.pad(samples, (0, number * block - len(samples))), dtype=np.float64)
    level = 10 * np.log10(squares.reshape(number, block).mean(axis=1) + 1e-12)
    wanted = np.minimum(0.0, (threshold - level) * (1 - 1 / ratio))
    fade, now = math.exp(-block / rate / release), 0.0
    gains = np.empty(number)
    for n, value in enumerate(wanted.tolist()):
        now = min(value, fade * now + (1 - fade) * value)
        gains[n] = now
    centres = (np.arange(number) + 0.5) * block
    curve = 10 ** (np.interp(np.arange(len(samples)), centres, gains) / 20)
    found = samples * curve.astype(np.float32)
    loud = power(found)
    return found * np.float32(math.sqrt(power(samples) / loud)) if loud else found


def through_codec(samples: np.ndarray, rate: int, codec: str, quality: float = 0.5) -> np.ndarray:
    """Encoded and decoded again; telephone codecs (mu-law, A-law, GSM 06.10) at 8 kHz.

    Args:
        samples: (T,).
        rate: in Hz.
        codec: one of CODECS.
        quality: of mp3, opus and vorbis, 0 (worst) to 1.

    Raises:
        UserError: for a codec that is unknown, or that this build of libsndfile lacks.
    """
    import numpy as np
    import soundfile

    if codec not in CODECS:
        raise UserError(f"codec: found {codec!r}, expected {', '.join(CODECS)}")
    container, encoding, needed = CODECS[codec]
    if codec == "opus":
        needed = min((r for r in _OPUS_RATES if r >= rate), default=48000)
    through = needed or rate
    wave = np.clip(resample(samples, rate, through), -1, 1)
    lossy = {} if codec in ("mulaw", "alaw", "gsm") else {"compression_level": 1 - quality}
    stream = BytesIO()
    try:
        soundfile.write(stream, wave, through, encoding, format=container, **lossy)
        stream.seek(0)
        decoded, _ = soundfile.read(stream, dtype="float32")
    except (soundfile.SoundFileError, ValueError) as error:
        raise UserError(
            f"codec: libsndfile {soundfile.__libsndfile_version__} cannot do {codec} at {through} Hz "
            f"({error}): leave it out"
        ) from None
    found = resample(decoded, through, rate)[: len(samples)]
    return np.pad(found, (0, len(samples) - len(found)))
