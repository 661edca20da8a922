"""Points over two axes with their names, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COLOURS = (
    (204, 72, 40), (38, 104, 180), (60, 140, 70), (130, 80, 160), (180, 130, 20), (20, 140, 140), (190, 60, 120),
    (90, 90, 90), (120, 70, 30), (70, 80, 200), (100, 150, 30), (150, 30, 30),
)  # fmt: skip
MARGINS = (70, 20, 24, 48)  # left, right, top, bottom
TICKS = 5


def draw_points(
    points: Mapping[str, tuple[float, float]], *, across: str, up: str, size: tuple[int, int] = (640, 440)
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of named points (x, y); both axes begin at 0."""
    width, height = size
    left, right, top, bottom = MARGINS
    right, bottom = width - right, height - bottom
    most_x = max(x for x, _ in points.values()) * 1.25 or 1.0
    most_y = max(y for _, y in points.values()) * 1.1 or 1.0
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / most_x * (right - left), bottom - y / most_y * (bottom - top)

    for tick in range(TICKS + 1):
        x, y = most_x * tick / TICKS, most_y * tick / TICKS
        draw.line([place(0, y), place(most_x, y)], fill=(230, 230, 230))
        draw.text((6, place(0, y)[1] - 7), f"{y:.3g}", fill=(60, 60, 60), font=font)
        draw.text((place(x, 0)[0] - 10, bottom + 6), f"{x:.3g}", fill=(60, 60, 60), font=font)
    taken: list[float] = []
    for (name, point), colour in zip(points.items(), _cycle(len(points)), strict=True):
        x, y = place(*point)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
        at = _free(y - 7, taken)
        draw.text((x + 8, at), name, fill=colour, font=font)
    draw.text(((left + right) // 2 - 80, height - 20), across, fill=(20, 20, 20), font=font)
    draw.text((6, 4), up, fill=(20, 20, 20), font=font)
    return np.asarray(picture)


def _free(wanted: float, taken: list[float], least: float = 13.0) -> float:
    """The nearest height below ``wanted`` at which no name stands yet."""
    while any(abs(wanted - other) < least for other in taken):
        wanted += 1.0
    taken.append(wanted)
    return wanted


def _cycle(count: int) -> list[tuple[int, int, int]]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
