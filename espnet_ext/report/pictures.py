"""Pictures of matrices: a PNG inside an inline SVG, whose text follows the page's theme."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from espnet_ext.report.markup import esc
from espnet_ext.report.pitch import lines

if TYPE_CHECKING:
    import numpy as np

Ticks = Sequence[tuple[float, str]]  # (position along the axis, 0 to 1; label)
_SIDE = 900  # pixels at most; larger matrices are thinned out by taking maxima
FLOOR_DB = 70.0  # a spectrogram shows so many decibels below its loudest point


def png(matrix: np.ndarray, colours: str = "magma") -> str:
    """A data URI of a matrix (rows, columns) of finite numbers, its first row at the bottom."""
    import matplotlib.image
    import numpy as np

    for axis in (0, 1):
        step = -(-matrix.shape[axis] // _SIDE)
        matrix = np.maximum.reduceat(matrix, np.arange(0, matrix.shape[axis], step), axis=axis)
    out = BytesIO()
    matplotlib.image.imsave(out, matrix, cmap=colours, origin="lower", format="png")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def picture(
    matrix: np.ndarray,
    alt: str,
    x_label: str,
    y_label: str,
    x_ticks: Ticks = (),
    y_ticks: Ticks = (),
    size: tuple[int, int] = (420, 180),
    over: Sequence[Sequence[tuple[float, float]]] = (),
    right_ticks: Ticks = (),
) -> str:
    """A matrix with labelled axes.

    Args:
        matrix: (rows, columns); row 0 is drawn at the bottom.
        alt: what it shows, for those who do not see it.
        x_label, y_label: what the axes are.
        x_ticks, y_ticks: labels along them.
        size: of the picture without its margins.
        over: lines drawn over it: points (x, y), from 0 to 1.
        right_ticks: labels along the right side, of what the lines show.
    """
    width, height = size
    left = 46 + 6 * max((len(label) - 3 for _, label in y_ticks), default=0)
    parts = [
        f'<image href="{png(matrix)}" x="{left}" y="6" width="{width}" height="{height}" '
        'preserveAspectRatio="none"/>'
    ]
    for at, label in y_ticks:
        parts.append(_text(left - 5, 10 + height * (1 - at), label, "end"))
    for at, label in x_ticks:
        parts.append(_text(left + width * at, height + 20, label))
    parts.append(_text(left + width / 2, height + 35, x_label))
    across = f'transform="translate(11 {6 + height / 2}) rotate(-90)"'
    parts.append(f'<text class="tick" {across} text-anchor="middle">{esc(y_label)}</text>')
    parts += [_over(line, left, size) for line in over]
    for at, label in right_ticks:
        parts.append(_text(left + width + 5, 10 + height * (1 - at), label, "start"))
    box = f"0 0 {left + width + (46 if right_ticks else 12)} {height + 40}"
    return f'<svg class="picture" viewBox="{box}" role="img" aria-label="{esc(alt)}">{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="tick" {place}>{esc(text)}</text>'


def _over(line: Sequence[tuple[float, float]], left: int, size: tuple[int, int]) -> str:
    """A line with a dark edge, so that it is seen on any colour."""
    width, height = size
    points = " ".join(f"{left + width * x:.1f},{6 + height * (1 - y):.1f}" for x, y in line)
    return f'<polyline class="edge" points="{points}"/><polyline class="over" points="{points}"/>'


def spectrogram(
    samples: np.ndarray,
    rate: int,
    seconds: float,
    alt: str,
    size: tuple[int, int] = (420, 180),
    pitch: tuple[np.ndarray, float] | None = None,
) -> str:
    """Loudness by time and frequency, over `seconds` so that two can be compared.

    Args:
        samples: (T,), float in [-1, 1].
        rate: Hz.
        seconds: length of the time axis; a shorter sound leaves the rest dark.
        alt: what it shows, for those who do not see it.
        size: of the picture without its margins.
        pitch: F0 in Hz every 10 ms, and the Hz at the upper edge of its scale: drawn over it.
    """
    import numpy as np

    power = short_time_power(samples, rate)
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    decibels = np.maximum(decibels - decibels.max(), -FLOOR_DB)
    columns = max(round(seconds * 100), decibels.shape[1])
    decibels = np.pad(
        decibels, ((0, 0), (0, columns - decibels.shape[1])), constant_values=-FLOOR_DB
    )
    step = next((s for s in (0.5, 1.0, 2.0, 5.0) if seconds / s <= 8), 10.0)
    times = [i * step for i in range(int(seconds / step) + 1)]
    x_ticks = [(t / max(seconds, 1e-9), f"{t:g}") for t in times]
    kilohertz = range(0, int(rate / 2000) + 1, 2)
    y_ticks = [(k / (rate / 2000), str(k)) for k in kilohertz]
    drawn = lines(pitch[0], seconds, pitch[1]) if pitch else []
    right = [(x, f"{x * pitch[1]:.0f} Hz") for x in (0.5, 1.0)] if pitch else []
    return picture(decibels, alt, "seconds", "kHz", x_ticks, y_ticks, size, drawn, right)


def short_time_power(samples: np.ndarray, rate: int) -> np.ndarray:
    """Power spectra of 25 ms Hann windows every 10 ms: (frequencies, frames), 0 Hz to rate / 2."""
    import numpy as np

    length, hop = round(0.025 * rate), round(0.010 * rate)
    padded = np.pad(samples, (length // 2, length))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[: len(samples) : hop]
    size = 1 << (length - 1).bit_length()
    return np.abs(np.fft.rfft(windows * np.hanning(length), size)).T ** 2  # type: ignore[no-any-return]
