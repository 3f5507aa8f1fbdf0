"""PESQ and STOI: what listeners would say of quality and of intelligibility, by models of hearing.

- pesq: ITU-T P.862.2 (wide band, 16 kHz; P.862 at 8 kHz), by the package pesq; of what is longer than 19 seconds the
  mean over equal parts, as the standard's program has room for 50 stretches of 0.2 s speech and as much pause. Where
  the recording speaks and nothing is heard that the package could score, that counts as 1, the bottom of the scale.
- stoi: short-time objective intelligibility (Taal et al. 2011), by the package pystoi.

Both compare waveforms of the same timing. `retimed` brings synthesised speech to a recording's: waveform similarity
overlap-add (W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high
quality time-scale modification of speech", ICASSP 1993) along a path of dynamic time warping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_LONGEST_PESQ = 19  # seconds
_WORST_PESQ = 1.0  # both standards' curves begin a little above
_WINDOW, _SEARCH = 0.025, 0.005  # seconds: of a piece, and of how far another place is looked for


def pesq(hyp: np.ndarray, ref: np.ndarray, rate: int) -> float | None:
    """PESQ of a degraded waveform against its recording, both (S,) at `rate` Hz.

    Silence in place of speech is the worst that a system can do, and the package raises an error for it: it counts as
    1, the bottom of the scale, as otherwise a system would look the better the more often it fails.

    Returns:
        1 to 4.6; None where the package is not installed, or finds no speech in the recording.
    """
    try:
        import pesq as package
    except ImportError:
        return None
    import numpy as np

    wanted = 8000 if rate < 16000 else 16000
    pair = [_resampled(x, rate, wanted) for x in (ref, hyp)]
    parts = max(1, -(-max(map(len, pair)) // (_LONGEST_PESQ * wanted)))
    found = []
    for ref_part, hyp_part in zip(*(np.array_split(x, parts) for x in pair), strict=True):
        value = _pesq(package, ref_part, hyp_part, wanted)
        if value is None and _pesq(package, ref_part, ref_part, wanted) is not None:
            value = _WORST_PESQ
        found += [] if value is None else [value]
    return sum(found) / len(found) if found else None


def _pesq(package: Any, ref: np.ndarray, hyp: np.ndarray, rate: int) -> float | None:
    """What the package says; None where nobody speaks in one of them."""
    if not (ref.any() or hyp.any()):
        return None
    try:
        return float(package.pesq(rate, ref, hyp, "nb" if rate == 8000 else "wb"))
    except (package.PesqError, ValueError):
        return None


def stoi(hyp: np.ndarray, ref: np.ndarray, rate: int) -> float | None:
    """None where the package is not installed or the utterance too short."""
    try:
        from pystoi import stoi as measure
    except ImportError:
        return None
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # how it says "too short"
        try:
            return float(measure(ref, hyp, rate))
        except (RuntimeWarning, ValueError):
            return None


def _resampled(wave: np.ndarray, rate: int, wanted: int) -> Any:
    import soxr

    return wave if rate == wanted else soxr.resample(wave, rate, wanted)


def retimed(
    wave: np.ndarray, times: np.ndarray, every: float, length: int, rate: int
) -> np.ndarray:
    """A waveform with another timing and the same pitch.

    Args:
        wave: (S,).
        times: (N,) seconds, never falling: where in `wave` lies what is to be heard at 0, `every`, 2 `every` ...
        every: seconds.
        length: samples of the result, L.
        rate: Hz.

    Returns:
        (L,). A timing that is already right gives the waveform itself.
    """
    import numpy as np

    half, reach = round(_WINDOW * rate / 2), round(_SEARCH * rate)
    centres = np.arange(0, length + half, half)
    wanted = np.interp(centres / rate, np.arange(len(times)) * every, times) * rate
    places: list[int] = np.clip(np.round(wanted), 0, len(wave)).astype(int).tolist()
    around = 2 * half + reach
    padded = np.pad(np.asarray(wave, dtype=np.float64), around)
    window = np.hanning(2 * half + 1)[:-1]
    out = np.zeros(length + 2 * half)
    goes_on = places[0] + around
    for centre, place in zip(centres.tolist(), places, strict=True):
        at = _alike(padded, place + around, goes_on, half, reach)
        stop = min(centre + 2 * half, len(out))
        out[centre:stop] += (window * padded[at - half : at + half])[: stop - centre]
        goes_on = min(at + half, len(wave) + around)
    return out[half : half + length]


def _alike(wave: np.ndarray, at: int, goes_on: int, half: int, reach: int) -> int:
    """The place within `reach` of `at` whose piece is most like that around `goes_on`; `goes_on` if it is near."""
    import numpy as np

    if abs(at - goes_on) <= reach:
        return goes_on
    piece = wave[goes_on - half : goes_on + half]
    near = wave[at - reach - half : at + reach + half]
    products = np.correlate(near, piece, "valid")
    lengths = np.cumsum(np.concatenate([[0.0], near**2]))
    norms = np.sqrt(lengths[2 * half :] - lengths[: -2 * half] + 1e-12)
    return at - reach + int((products / norms).argmax())
