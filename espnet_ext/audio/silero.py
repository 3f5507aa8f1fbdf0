"""The network of Silero VAD in numpy: no torch to load, and a whole recording at once.

The weights are those in the package `silero-vad` (MIT), whose own program sends one frame of 32 ms at a time
through torch. Here the convolutions take 512 frames at a time and only the recurrent part goes frame by frame.
Legend: N frames, P places within a frame, C and D channels.
"""

from __future__ import annotations

import importlib.util
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    Weights = dict[str, np.ndarray]

#: Hz; there is one set of weights for each
RATES = (8000, 16000)
#: what a probability stands for, in seconds
FRAME_SECONDS = 0.032
_BLOCK = 512  # frames: what fits into the processor's cache, near enough
#: the place in the file of the first tensor of a rate; the others follow in the order of `_shapes`
_FIRST = {16000: 2, 8000: 17}


def available() -> bool:
    """Whether the package with the weights is installed."""
    return _file() is not None


def _file() -> Path | None:
    # find_spec, not import: the package imports torch and limits it to one thread
    found = importlib.util.find_spec("silero_vad")
    if found is None or not found.origin:
        return None
    path = Path(found.origin).parent / "data/silero_vad.jit"
    return path if path.is_file() else None


def _shapes(rate: int) -> dict[str, tuple[int, ...]]:
    bins = rate // 125 + 1
    encoder = {
        "spectrum": (2 * bins, 2 * bins - 2),
        **{"conv1": (128, bins, 3), "bias1": (128,), "conv2": (64, 128, 3), "bias2": (64,)},
        **{"conv3": (64, 64, 3), "bias3": (64,), "conv4": (128, 64, 3), "bias4": (128,)},
    }
    lstm = {"input": (512, 128), "hidden": (512, 128), "bias_input": (512,), "bias_hidden": (512,)}
    return {**encoder, **lstm, "output": (128,), "bias_output": (1,)}


@cache
def _weights(rate: int) -> Weights:
    """The tensors by name: a TorchScript file is a zip archive with the plain numbers of one tensor in each file.

    Raises:
        UserError: if the package is not there or holds another network than the release this was written for.
    """
    import numpy as np

    path = _file()
    if path is None:
        raise UserError("found no package silero-vad, expected it: pip install silero-vad==6.2.3")
    found = {}
    with zipfile.ZipFile(path) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        for place, (name, shape) in enumerate(_shapes(rate).items(), _FIRST[rate]):
            numbers = np.frombuffer(archive.read(f"{folder}/data/{place}"), "<f4")
            if numbers.size != np.prod(shape):
                raise UserError(
                    f"{path}: found {numbers.size} numbers for {name}, expected those of shape {shape}: "
                    "pip install silero-vad==6.2.3"
                )
            found[name] = numbers.reshape(shape)
    return found


def probabilities(samples: np.ndarray, rate: int) -> np.ndarray:
    """How likely each frame of 32 ms holds speech.

    Args:
        samples: (T,) float32.
        rate: 8000 or 16000 Hz.

    Returns:
        (N,) float32 from 0 to 1; N = T / (0.032 rate), rounded up.
    """
    import numpy as np

    w = _weights(rate)
    frame, context = rate * 4 // 125, rate // 250
    number = -(-len(samples) // frame)
    padded = np.zeros(context + number * frame, np.float32)
    padded[context : context + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, context + frame)[::frame]
    state = np.zeros(128, np.float32), np.zeros(128, np.float32)
    found = np.empty(number, np.float32)
    for first in range(0, number, _BLOCK):
        codes = _encode(frames[first : first + _BLOCK], context, w)
        states, state = _recur(codes, state, w)
        logits = np.maximum(states, 0) @ w["output"] + w["bias_output"]
        found[first : first + len(codes)] = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return found


def _encode(frames: np.ndarray, context: int, w: Weights) -> np.ndarray:
    """(N, context + frame) samples -> (N, 128): four spectra, four convolutions."""
    import numpy as np

    mirrored = frames[:, -2 : -context - 2 : -1]
    whole = np.concatenate([frames, mirrored], axis=1)
    width, bins = w["spectrum"].shape[1], w["spectrum"].shape[0] // 2
    windows = np.lib.stride_tricks.sliding_window_view(whole, width, axis=1)[:, :: width // 2]
    both = np.ascontiguousarray(windows) @ w["spectrum"].T
    x = np.sqrt(both[..., :bins] ** 2 + both[..., bins:] ** 2)  # (N, P=4, C=bins)
    for layer, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
        x = _convolve(x, w[f"conv{layer}"], w[f"bias{layer}"], stride)
    return np.asarray(x[:, 0])


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """(N, P, C) -> (N, P', D): three taps, weight (D, C, 3), a zero at either end, ReLU."""
    import numpy as np

    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    last = (x.shape[1] - 1) // stride * stride + 1
    taps = [padded[:, tap : tap + last : stride] for tap in range(3)]
    stacked = np.concatenate(taps, axis=2)  # (N, P', 3 C)
    flat = weight.transpose(2, 1, 0).reshape(-1, weight.shape[0])
    return np.maximum(stacked @ flat + bias, 0)


def _recur(
    codes: np.ndarray, state: tuple[np.ndarray, np.ndarray], w: Weights
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """An LSTM over (N, 128) from a state (hidden, cell); all hidden states (N, 128) and the last state."""
    import numpy as np

    hidden, cell = state
    inputs = codes @ w["input"].T + (w["bias_input"] + w["bias_hidden"])
    recurrent = w["hidden"]
    states = np.empty_like(codes)
    for n, row in enumerate(inputs):
        gates = recurrent @ hidden + row  # in, forget, candidate, out
        passed = 0.5 + 0.5 * np.tanh(0.5 * gates)  # the logistic function, which cannot overflow
        cell = passed[128:256] * cell + passed[:128] * np.tanh(gates[256:384])
        hidden = passed[384:] * np.tanh(cell)
        states[n] = hidden
    return states, (hidden, cell)
