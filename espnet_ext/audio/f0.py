"""Fundamental frequency of speech by one of four published methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np

METHODS = ("dio", "harvest", "pyin", "crepe")
#: what DIO, Harvest and pYIN are given at most: nothing of a voice's F0 lies above, and half of the samples cost half
_ENOUGH = 16000.0


@dataclass(frozen=True)
class F0:
    """How F0 is found.

    Attributes:
        method: "dio" (Morise 2009, refined by StoneMask; the fastest), "harvest" (Morise 2017; fewest unvoiced
            frames), "pyin" (Mauch and Dixon 2014) or "crepe" (Kim et al. 2018; needs the package torchcrepe).
        shift: seconds from frame to frame; frame k is centred at k * shift.
        low, high: the range in Hz; CREPE's own ends at 1975 Hz.
        step: DIO looks at every so manieth sample; 1 is exact and three times as slow as 2. StoneMask refines on all.
        crepe: "tiny" or "full", the size of CREPE's network.
        device: where CREPE runs: "cpu", "cuda".
        certain: CREPE's frames that are less periodic than this count as unvoiced, 0 to 1.
    """

    method: str = "dio"
    shift: float = 0.01
    low: float = 71.0
    high: float = 800.0
    step: int = 2
    crepe: str = "full"
    device: str = "cpu"
    certain: float = 0.5


def f0(samples: np.ndarray, rate: int, method: str = "dio", shift: float = 0.01) -> np.ndarray:
    """F0 with everything but method and frame shift as `F0` has it; see `track`."""
    return track(samples, rate, F0(method, shift))


def track(samples: np.ndarray, rate: int, options: F0 = F0()) -> np.ndarray:
    """The fundamental frequency of every frame.

    Args:
        samples: (T,) float32 in [-1, 1], T > 0.
        rate: sampling rate in Hz.
        options: how.

    Returns:
        (F,) float32 in Hz, 0 where there is no voice; F = floor(T / rate / shift) + 1, whatever the method.

    Raises:
        UserError: for an unknown method, or "crepe" without its package.
    """
    import numpy as np

    methods = {"dio": _dio, "harvest": _harvest, "pyin": _pyin, "crepe": _crepe}
    if options.method not in methods:
        raise UserError(f"F0 method: found {options.method!r}, expected {', '.join(METHODS)}")
    number = int(len(samples) / rate / options.shift + 1e-9) + 1
    found = methods[options.method](samples, rate, options)[:number]
    return np.pad(found, (0, number - len(found))).astype(np.float32)


def _lowered(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """float64 samples at 16 kHz or less, which is what WORLD takes."""
    import numpy as np

    from espnet_ext.audio.resample import resample

    if rate > _ENOUGH:
        samples, rate = resample(samples, rate, _ENOUGH), int(_ENOUGH)
    return np.ascontiguousarray(samples, dtype=np.float64), rate


def _world() -> Any:
    """pyworld without the warning about pkg_resources that its import gives."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        import pyworld
    return pyworld


def _dio(samples: np.ndarray, rate: int, options: F0) -> np.ndarray:
    pyworld = _world()
    wave, rate = _lowered(samples, rate)
    rough, times = pyworld.dio(
        wave,
        rate,
        f0_floor=options.low,
        f0_ceil=options.high,
        frame_period=options.shift * 1000,
        speed=options.step,
    )
    refined: np.ndarray = pyworld.stonemask(wave, rough, times, rate)
    return refined


def _harvest(samples: np.ndarray, rate: int, options: F0) -> np.ndarray:
    pyworld = _world()
    wave, rate = _lowered(samples, rate)
    found: np.ndarray
    found, _ = pyworld.harvest(
        wave,
        rate,
        f0_floor=options.low,
        f0_ceil=options.high,
        frame_period=options.shift * 1000,
    )
    return found


def _pyin(samples: np.ndarray, rate: int, options: F0) -> np.ndarray:
    import librosa
    import numpy as np

    wave, rate = _lowered(samples, rate)
    hop = round(options.shift * rate)
    if abs(hop - options.shift * rate) > 1e-6:
        raise UserError(
            f"pYIN: found a frame shift of {options.shift} s at {rate} Hz, expected a whole number of samples: "
            "choose another shift"
        )
    # two periods of the lowest voice fit into the half of a frame that YIN compares
    frame = 1 << int(np.ceil(np.log2(4 * rate / options.low)))
    found, voiced, _ = librosa.pyin(
        wave, fmin=options.low, fmax=options.high, sr=rate, frame_length=frame, hop_length=hop
    )
    return np.where(voiced, np.nan_to_num(found), 0.0)


def _crepe(samples: np.ndarray, rate: int, options: F0) -> np.ndarray:
    try:
        import torchcrepe
    except ImportError:
        raise UserError(
            "found no package torchcrepe, expected it for F0 by CREPE: pip install torchcrepe==0.0.24 resampy==0.4.3, "
            "or choose another method"
        ) from None
    import numpy as np
    import torch

    from espnet_ext.audio.resample import resample

    wave = torch.from_numpy(np.ascontiguousarray(resample(samples, rate, 16000)))[None]
    found, certain = torchcrepe.predict(
        wave,
        16000,
        hop_length=round(options.shift * 16000),
        fmin=options.low,
        fmax=options.high,
        model=options.crepe,
        batch_size=512,
        device=options.device,
        return_periodicity=True,
    )
    return np.asarray(torch.where(certain >= options.certain, found, 0.0)[0].cpu().numpy())
