"""Curves drawn with Pillow alone: the losses of a run while it goes on, a panel for each, and rates over rates.

Shape suffixes: H W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Points = Sequence[tuple[float, float]]
Pixels = NDArray[np.uint8]

PANEL = (380, 210)  # pixels: width, height
EDGES = (52, 14, 30, 30)  # left, right, top, bottom
COLUMNS = 3
BINS = 160  # of a curve: what is nearer together is averaged, with its range behind it
TICKS = 4
INK, GRID, FAINT, LINE = (40, 40, 40), (228, 228, 228), (196, 214, 234), (38, 104, 180)
SPREAD = 30.0  # largest over smallest from which on an axis is logarithmic


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to shares of a panel's side; the numbers that are written beside it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        if self.logarithmic:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def draw_curves(curves: Mapping[str, Points], *, across: str, rates: bool = False) -> Pixels:
    """A picture (H, W, 3) with a panel for each curve of (x, y), titled by its name and its last value.

    Points that are no numbers are left out. A curve whose values differ by more than a factor of thirty is drawn over
    a logarithmic axis. Of ``rates`` over rates the x are, where they are above 0, and never the y.
    """
    sound = {name: _sound(points) for name, points in curves.items()}
    if rates:
        sound = {name: [(x, y) for x, y in points if x > 0] for name, points in sound.items()}
    sound = {name: points for name, points in sound.items() if points}
    columns = min(COLUMNS, max(1, len(sound)))
    rows = max(1, math.ceil(len(sound) / columns))
    picture = Image.new("RGB", (columns * PANEL[0], rows * PANEL[1]), "white")
    draw = ImageDraw.Draw(picture)
    for number, (name, points) in enumerate(sound.items()):
        corner = (number % columns * PANEL[0], number // columns * PANEL[1])
        _draw_panel(draw, corner, name, points, across, rates)
    return np.asarray(picture)


def _draw_panel(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], name: str, points: Points, across: str, rates: bool
) -> None:
    font, small = ImageFont.load_default(13), ImageFont.load_default(10)
    left, right = corner[0] + EDGES[0], corner[0] + PANEL[0] - EDGES[1]
    top, bottom = corner[1] + EDGES[2], corner[1] + PANEL[1] - EDGES[3]
    bins = _binned(points)
    axis_x = _axis([x for x, *_ in bins], allow_logarithm=rates)
    axis_y = _axis([y for _, *values in bins for y in values], allow_logarithm=not rates)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + axis_x.share(x) * (right - left), bottom - axis_y.share(y) * (bottom - top)

    for y in axis_y.ticks:
        height = place(axis_x.low, y)[1]
        draw.line([(left, height), (right, height)], fill=GRID)
        draw.text((left - 6, height), _number(y), fill=INK, font=small, anchor="rm")
    for x in axis_x.ticks:
        draw.text((place(x, axis_y.low)[0], bottom + 5), _number(x), fill=INK, font=small, anchor="mt")
    draw.text((right, bottom + 17), across, fill=INK, font=small, anchor="rt")
    last = "" if rates else f"  {points[-1][1]:.4g}"
    draw.text((left, corner[1] + 8), f"{name}{last}", fill=INK, font=font)
    for x, low, _, high in bins:
        draw.line([place(x, low), place(x, high)], fill=FAINT, width=2)
    line = [place(x, mean) for x, _, mean, _ in bins]
    if len(line) > 1:
        draw.line(line, fill=LINE, width=2, joint="curve")
    for x, y in line if len(line) <= BINS // 8 else line[-1:]:
        draw.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=LINE)


def _sound(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _binned(points: Points) -> list[tuple[float, float, float, float]]:
    """x, and the least, mean and largest y, of neighbouring points together."""
    size = max(1, math.ceil(len(points) / BINS))
    found = []
    for start in range(0, len(points), size):
        xs, ys = zip(*points[start : start + size], strict=True)
        found.append((sum(xs) / len(xs), min(ys), sum(ys) / len(ys), max(ys)))
    return found


def _axis(values: Sequence[float], *, allow_logarithm: bool) -> _Axis:
    least, largest = min(values), max(values)
    if allow_logarithm and least > 0 and largest / least > SPREAD:
        tens = range(math.floor(math.log10(least)), math.ceil(math.log10(largest)) + 1)
        return _Axis(10.0 ** tens[0], 10.0 ** tens[-1], tuple(10.0**ten for ten in tens), logarithmic=True)
    span = (largest - least) or abs(largest) or 1.0
    rough = span / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    low, high = math.floor(least / step + 1e-9) * step, math.ceil(largest / step - 1e-9) * step
    high = high if high > low else low + step
    count = round((high - low) / step)
    return _Axis(low, high, tuple(low + step * i for i in range(count + 1)))


def _number(value: float) -> str:
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.5g}" if abs(value) < 1000 else f"{value:.0f}"
