"""Points over two axes with their names, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COLOURS = (
    (204, 72, 40), (38, 104, 180), (60, 140, 70), (130, 80, 160), (180, 130, 20), (20, 140, 140), (190, 60, 120),
    (90, 90, 90), (120, 70, 30), (70, 80, 200), (100, 150, 30), (150, 30, 30),
)  # fmt: skip
MARGINS = (60, 110, 34, 52)  # left, right, top, bottom
TICKS = 5
LINE = 14  # pixels from one name to the next below it
Box = tuple[float, float, float, float]


def draw_points(
    points: Mapping[str, tuple[float, float]], *, across: str, up: str, size: tuple[int, int] = (640, 440)
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of named points (x, y); the axes hold them all, and begin at round numbers."""
    width, height = size
    left, right, top, bottom = MARGINS
    right, bottom = width - right, height - bottom
    ticks_x, ticks_y = (_ticks([point[i] for point in points.values()]) for i in (0, 1))
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)

    def place(x: float, y: float) -> tuple[float, float]:
        share_x = (x - ticks_x[0]) / (ticks_x[-1] - ticks_x[0])
        share_y = (y - ticks_y[0]) / (ticks_y[-1] - ticks_y[0])
        return left + share_x * (right - left), bottom - share_y * (bottom - top)

    for y in ticks_y:
        draw.line([place(ticks_x[0], y), place(ticks_x[-1], y)], fill=(230, 230, 230))
        draw.text((left - 8, place(0, y)[1]), f"{y:.3g}", fill=(60, 60, 60), font=font, anchor="rm")
    for x in ticks_x:
        draw.text((place(x, ticks_y[0])[0], bottom + 8), f"{x:.3g}", fill=(60, 60, 60), font=font, anchor="mt")
    places = {name: place(*point) for name, point in points.items()}
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places.values()]
    for number, (name, (x, y)) in enumerate(places.items()):
        colour = COLOURS[number % len(COLOURS)]
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
        at = _free((x + 8, y - LINE / 2), draw.textlength(name, font=font), taken)
        draw.text(at, name, fill=colour, font=font)
    draw.text(((left + right) / 2, height - 8), across, fill=(20, 20, 20), font=font, anchor="ms")
    draw.text((6, 4), up, fill=(20, 20, 20), font=font)
    return np.asarray(picture)


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers, evenly apart, from below the least value to above the largest."""
    span = (max(values) - min(values)) or abs(values[0]) or 1.0
    rough = span / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first, last = math.floor(min(values) / step - 0.2), math.ceil(max(values) / step + 0.2)
    return [step * number for number in range(max(first, 0) if min(values) >= 0 else first, last + 1)]


def _free(wanted: tuple[float, float], length: float, taken: list[Box]) -> tuple[float, float]:
    """The place nearest to the wanted one, above or below it, where a name covers neither a point nor a name."""
    x, y = wanted
    for off in sorted(range(-6 * LINE, 6 * LINE), key=abs):
        box = (x, y + off, x + length, y + off + LINE)
        if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            taken.append(box)
            return x, y + off
    return wanted
