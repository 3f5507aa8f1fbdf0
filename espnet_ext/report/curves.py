"""Line charts as inline SVG: their colours are the page's, so they follow its light or dark theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from espnet_ext.report.markup import esc

Points = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT = 340, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 24, 26, 34  # margins; half a label fits the right one


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high].

    >>> ticks(0.0, 10.0)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(m * power for m in (1, 2, 5, 10, 20) if span / (m * power) <= count + 1)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


class Scale:
    """Maps values of a range to positions on the picture."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = min(values), max(values)
        if self.low == self.high:
            spread = abs(self.low) * 0.1 or 1.0
            self.low, self.high = self.low - spread, self.high + spread
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def chart(title: str, series: Mapping[str, Points], x_label: str = "epoch") -> str:
    """A line chart; values that are not finite are left out.

    Args:
        title: what is drawn.
        series: name -> (x, y) points; up to three lines.
        x_label: what x is.

    Returns:
        an `<svg>`; "" if no series has a point.
    """
    lines = {name: [p for p in points if math.isfinite(p[1])] for name, points in series.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return ""
    every = [point for points in lines.values() for point in points]
    x = Scale([p[0] for p in every], _LEFT, _WIDTH - _RIGHT)
    y = Scale([p[1] for p in every], _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(x, y, x_label), _legend(list(lines))]
    parts += [_line(i, name, points, x, y) for i, (name, points) in enumerate(lines.items())]
    return (
        f'<div class="chart"><h4>{esc(title)}</h4><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{esc(_spoken(title, lines))}">{"".join(parts)}</svg></div>'
    )


def histogram(title: str, values: Sequence[float], x_label: str, bars: int = 30) -> str:
    """How often values occur; the outermost bars also hold what lies beyond the 1st and 99th percentile.

    Args:
        title: what is drawn.
        values: finite numbers.
        x_label: what they are.
        bars: how many.

    Returns:
        an `<svg>`; "" if there is no value.
    """
    import numpy as np

    if not len(values):
        return ""
    low, middle, high = (float(q) for q in np.quantile(values, (0.01, 0.5, 0.99)))
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(np.clip(values, low, high), bars, (low, high))
    x = Scale([low, high], _LEFT, _WIDTH - _RIGHT)
    y = Scale([0.0, float(counts.max())], _HEIGHT - _BOTTOM, _TOP)
    width = (_WIDTH - _RIGHT - _LEFT) / bars
    drawn = "".join(
        f'<rect class="bars" x="{_LEFT + i * width:.1f}" y="{y(float(n))}" width="{width - 1:.1f}" '
        f'height="{_HEIGHT - _BOTTOM - y(float(n)):.1f}"><title>{n}</title></rect>'
        for i, n in enumerate(counts)
    )
    spoken = (
        f"{title}: {len(values)} values, median {middle:.4g}, most within {low:.4g} and {high:.4g}"
    )
    return (
        f'<div class="chart"><h4>{esc(title)}</h4><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{esc(spoken)}">{_grid(x, y, x_label, whole=False)}{drawn}</svg></div>'
    )


def bars(title: str, shares: Sequence[tuple[float, float, float, int]], x_label: str) -> str:
    """Bars of shares over ranges of 0 to 1, with the line on which both are the same.

    Args:
        title: what is drawn.
        shares: (low, high, share, how many) of each range.
        x_label: what the ranges are of.

    Returns:
        an `<svg>`; "" if there is no range.
    """
    if not shares:
        return ""
    x = Scale([0.0, 1.0], _LEFT, _WIDTH - _RIGHT)
    y = Scale([0.0, 1.0], _HEIGHT - _BOTTOM, _TOP)
    drawn = "".join(
        f'<rect class="bars" x="{x(low) + 0.5:.1f}" y="{y(share)}" width="{x(high) - x(low) - 1:.1f}" '
        f'height="{y(0.0) - y(share):.1f}"><title>{share:.2f} of {number}</title></rect>'
        for low, high, share, number in shares
    )
    line = f'<line class="c1" x1="{x(0.0)}" y1="{y(0.0)}" x2="{x(1.0)}" y2="{y(1.0)}"/>'
    told = ", ".join(f"{low:.1f} to {high:.1f}: {share:.2f}" for low, high, share, _ in shares)
    return (
        f'<div class="chart"><h4>{esc(title)}</h4><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{esc(title)}: {told}">{_grid(x, y, x_label, whole=False)}{drawn}{line}</svg></div>'
    )


def _spoken(title: str, lines: Mapping[str, Points]) -> str:
    """What the chart shows, for those who do not see it."""
    ends = (f"{name} from {p[0][1]:.4g} to {p[-1][1]:.4g}" for name, p in lines.items())
    return f"{title}: {'; '.join(ends)}"


def _grid(x: Scale, y: Scale, x_label: str, whole: bool = True) -> str:
    parts = []
    for value in ticks(y.low, y.high):
        at = y(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>'
        )
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{at + 4}" text-anchor="end">{value:.4g}</text>'
        )
    base = _HEIGHT - _BOTTOM
    for value in (v for v in ticks(x.low, x.high, 5) if not whole or v == int(v)):
        parts.append(
            f'<text class="tick" x="{x(value)}" y="{base + 15}" text-anchor="middle">{value:g}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="tick" x="{middle}" y="{_HEIGHT - 3}" text-anchor="middle">{esc(x_label)}</text>'
    )
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    parts, left = [], float(_LEFT)
    for i, name in enumerate(names):
        parts.append(f'<line class="c{i}" x1="{left}" x2="{left + 16}" y1="12" y2="12"/>')
        parts.append(f'<text class="tick" x="{left + 21}" y="16">{esc(name)}</text>')
        left += 40 + 7 * len(name)
    return "".join(parts)


def _line(index: int, name: str, points: Points, x: Scale, y: Scale) -> str:
    way = " ".join(f"{x(a)},{y(b)}" for a, b in points)
    dots = "".join(
        f'<circle class="c{index}" cx="{x(a)}" cy="{y(b)}" r="2.5">'
        f"<title>{esc(name)}, {a:g}: {b:.4g}</title></circle>"
        for a, b in points
    )
    return f'<polyline class="c{index}" points="{way}"/>{dots}'
