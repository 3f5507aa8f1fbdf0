"""Speaker embeddings of recordings by a trained network (Wan et al. 2018, "Generalized end-to-end loss for speaker
verification"): 256 numbers that are alike for the speech of one person.

The weights are those in the package Resemblyzer (Apache 2.0), whose own program wants a compiled voice activity
detector; here silence is not cut out. Legend: B stretches, F frames, M mel bands, E numbers of an embedding.
"""

from __future__ import annotations

import importlib.util
import pickle
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.audio.mel import mel_filters
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

RATE, _MELS, _WIDTH, _LAYERS = 16000, 40, 256, 3
_FFT, _HOP = 400, 160  # 25 and 10 ms
#: Frames of a stretch that the network hears at once, and from one to the next (1.3 a second).
_STRETCH, _STEP = 160, 77
#: Share of the last stretch that has to be there; a quieter recording is made as loud as this.
_COVERED, _LOUDNESS = 0.75, 10 ** (-30 / 20)
INSTALL = (
    "run `pip install --no-deps resemblyzer` (weights of a speaker embedding, 16 MB, Apache 2.0; nothing else of it is "
    "used), or bring vectors of your own as xvector.scp"
)


def weights_file() -> Path | None:
    """Where the weights lie; None if the package is not installed."""
    found = importlib.util.find_spec("resemblyzer")
    path = Path(found.origin).parent / "pretrained.pt" if found and found.origin else None
    return path if path is not None and path.is_file() else None


def require() -> Path:
    """`weights_file()`, which must be there.

    Raises:
        UserError: if it is not.
    """
    path = weights_file()
    if path is None:
        raise UserError(
            f"speaker embeddings: found no package resemblyzer with its weights; {INSTALL}"
        )
    return path


@lru_cache(maxsize=2)
def _network(weights: Path, device: str) -> tuple[Any, Any]:
    """Recurrent layers and projection."""
    import torch
    from torch import nn

    parts = (nn.LSTM(_MELS, _WIDTH, _LAYERS, batch_first=True), nn.Linear(_WIDTH, _WIDTH))
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        for name, part in zip(("lstm.", "linear."), parts, strict=True):
            part.load_state_dict({k: state[f"{name}{k}"] for k in part.state_dict()})
            part.to(device).eval()
    except (KeyError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
        said = str(error).splitlines()[0]
        raise UserError(
            f"{weights}: found other weights ({said}), expected resemblyzer's pretrained.pt"
        ) from error
    return parts


@cache
def _filters() -> Tensor:
    import torch

    return torch.from_numpy(mel_filters(RATE, _FFT, _MELS))


def _mel(wave: Tensor) -> Tensor:
    """Power of mel bands (F, M) of samples (T,)."""
    import torch

    spectrum = torch.stft(
        wave,
        _FFT,
        _HOP,
        window=torch.hann_window(_FFT, device=wave.device),
        pad_mode="constant",
        return_complex=True,
    )
    return (_filters().to(wave.device) @ spectrum.abs().square()).T


def _starts(samples: int) -> list[int]:
    """First frames of the stretches that cover a recording, one or more."""
    frames = -(-(samples + 1) // _HOP)
    found = list(range(0, max(1, frames - _STRETCH + _STEP + 1), _STEP))
    covered = (samples - found[-1] * _HOP) / (_STRETCH * _HOP)
    return found[:-1] if covered < _COVERED and len(found) > 1 else found


def embed(samples: np.ndarray, device: str = "cpu", weights: Path | None = None) -> np.ndarray:
    """The embedding of a recording, (E,) float32 of length 1.

    Args:
        samples: (T,) float32 at 16 kHz, some seconds of one person's speech; silence at the ends cut off.
        device: where it is computed.
        weights: file of the network; None = the package's.

    Raises:
        UserError: for silence, without the weights, or for other ones.
    """
    import torch

    loudness = float((samples.astype("float64") ** 2).mean() ** 0.5) if len(samples) else 0.0
    if not loudness:
        raise UserError("speaker embeddings: found silence, expected speech")
    starts = _starts(len(samples))
    wave = torch.from_numpy(samples * max(1.0, _LOUDNESS / loudness)).float().to(device)
    wave = torch.nn.functional.pad(wave, (0, max(0, (starts[-1] + _STRETCH) * _HOP - len(wave))))
    lstm, linear = _network(weights or require(), device)
    with torch.no_grad():
        mel = _mel(wave)
        stretches = torch.stack([mel[start : start + _STRETCH] for start in starts])
        hidden = lstm(stretches)[1][0][-1]
        each = torch.nn.functional.normalize(linear(hidden).relu())
        return torch.nn.functional.normalize(each.mean(0), dim=0).cpu().numpy()
