"""The sounds of a listening test: read, compared, degraded on purpose, brought to one loudness."""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.audio.sources import Source, sources
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np

PEAK = -1.0  # dBFS that no sample may pass
_SKIRT = 500.0  # Hz from the end of a low-pass filter's pass band to the start of its stop band


def choose(systems: Mapping[str, Mapping[str, Source]], wanted: Sequence[str] | None) -> list[str]:
    """The utterances of a test, in C order.

    Args:
        systems: name -> utterance -> source; the reference may have more than the others.
        wanted: only these; None: those that the first system has.

    Raises:
        UserError: a system that lacks one of them, or, with `wanted` unset, systems of different sets.
    """
    first = next(iter(systems))
    utts = sorted(set(wanted if wanted is not None else systems[first]))
    if not utts:
        raise UserError("found no utterance, expected at least one: check --utts")
    for name, found in systems.items():
        lacking = [utt for utt in utts if utt not in found]
        if lacking:
            raise UserError(
                f"{name}: found {len(found)} utterances without {lacking[0]!r} ({len(lacking)} of {len(utts)} are "
                f"missing), expected all that {'--utts names' if wanted is not None else first + ' has'}: synthesise "
                "them, or name those that every system has with --utts FILE"
            )
    return utts


def sources_of(name: str, data: Path) -> dict[str, Source]:
    """Utterances of a data directory.

    Raises:
        UserError: no wav.scp, or tables that cannot be read.
    """
    if not (data / "wav.scp").is_file():
        raise UserError(f"{name}: found no {data}/wav.scp, expected a directory that holds one")
    return dict(sources(data))


def read_all(
    systems: Mapping[str, Mapping[str, Source]], utts: Sequence[str], rate: int | None
) -> tuple[dict[tuple[str, str], np.ndarray], int]:
    """Every utterance of every system as mono float32 (T,).

    Args:
        systems: as in `choose`.
        utts: which.
        rate: bring all to it, in Hz; None: they must agree.

    Returns:
        (utterance, system) -> samples, and the rate.

    Raises:
        UserError: rates that differ, or sound that cannot be read.
    """
    from espnet_ext.audio.read import read
    from espnet_ext.audio.resample import resample

    sounds: dict[tuple[str, str], np.ndarray] = {}
    where: dict[int, str] = {}
    for system, table in systems.items():
        for utt in utts:
            source = table[utt]
            samples, found = read(source.entry, utt, start=source.start, end=source.end)
            mono = samples.mean(axis=1, dtype="float32")
            where.setdefault(found, f"{utt} of {system}")
            sounds[utt, system] = resample(mono, found, rate or found)
    if rate is None and len(where) > 1:
        (one, first), (two, second) = list(where.items())[:2]
        raise UserError(
            f"found {one} Hz ({first}) and {two} Hz ({second}), expected one sampling rate: bring all to the lowest "
            f"with --rate {min(where)}, or to another"
        )
    return sounds, rate or next(iter(where))


def low_pass(samples: np.ndarray, rate: int, hertz: float) -> np.ndarray:
    """Without what lies above `hertz`: the anchors of BS.1534-3.

    A linear-phase filter (Kaiser window) without delay, flat to 0.1 dB up to `hertz` and more than 60 dB down
    500 Hz above.

    Raises:
        UserError: a rate too low to have anything there.
    """
    from scipy.signal import fftconvolve, firwin, kaiserord

    if hertz + _SKIRT >= rate / 2:
        raise UserError(
            f"found {rate} Hz, expected more than {2 * (hertz + _SKIRT):.0f} Hz for an anchor cut off at {hertz:.0f} "
            "Hz: leave the anchor out (--low_anchor no) or use recordings of a higher rate"
        )
    taps, beta = kaiserord(65.0, _SKIRT / (rate / 2))
    window = firwin(taps | 1, hertz + _SKIRT / 2, window=("kaiser", beta), fs=rate)
    half = len(window) // 2
    whole = fftconvolve(samples, window, mode="full")
    return whole[half : half + len(samples)].astype("float32")  # type: ignore[no-any-return]


def spoil(samples: np.ndarray, seed: int, q: float = 0.0) -> np.ndarray:
    """With noise that follows the speech: the modulated noise reference unit of ITU-T P.810 (1996).

    Args:
        samples: (T,).
        seed: of the noise.
        q: speech over noise in dB; 0 is hard to listen to.
    """
    import numpy as np

    noise = np.random.default_rng(seed).standard_normal(len(samples))
    return (samples * (1 + 10 ** (-q / 20) * noise)).astype(np.float32)


def speak(text: str, rate: int, voice: str) -> np.ndarray:
    """An instruction, spoken by espeak-ng: (T,) float32.

    Raises:
        UserError: no espeak-ng, or it does not know the voice.
    """
    from espnet_ext.audio.read import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), text]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            raise UserError(
                "found no espeak-ng, expected it for spoken checks: apt install espeak-ng, or take --check_style text"
            ) from None
        if done.returncode or not path.is_file():
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise UserError(
                f"espeak-ng: found {said!r}, expected speech: choose another --check_voice than {voice!r}"
            )
        return load(path, rate)[0]


def level(
    sounds: Mapping[str, np.ndarray], rate: int, wanted: float | None
) -> tuple[dict[str, np.ndarray], float | None]:
    """All sounds at one loudness (ITU-R BS.1770-4).

    Where one of them would be clipped, all become quieter: loudness that differs would be rated, too.

    Args:
        sounds: name -> (T,).
        rate: Hz.
        wanted: LUFS; None: leave them as they are.

    Returns:
        the sounds, and the loudness that they have got.
    """
    import numpy as np

    from espnet_ext.audio.clean import loudness

    if wanted is None:
        return dict(sounds), None
    found = {name: loudness(samples[:, None], rate) for name, samples in sounds.items()}
    room = min(
        (
            PEAK - 20 * math.log10(float(np.abs(samples).max())) + found[name]
            for name, samples in sounds.items()
            if math.isfinite(found[name])
        ),
        default=wanted,
    )
    reached = min(wanted, room)
    gains = {n: 10 ** ((reached - f) / 20) if math.isfinite(f) else 1.0 for n, f in found.items()}
    return {n: (s * np.float32(gains[n])).astype(np.float32) for n, s in sounds.items()}, reached
