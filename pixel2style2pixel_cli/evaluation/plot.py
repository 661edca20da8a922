"""A picture of a report: for each measure of pairs, how its values are spread, their mean and its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, ACROSS = 300, 170, 3  # of a panel; panels in a row
MARGIN, TOP, BOTTOM = 14, 40, 24
BINS = 24
BARS, MEAN, SURE, INK, FAINT = (150, 176, 208), (178, 50, 30), (244, 206, 196), (32, 32, 32), (120, 120, 120)


def draw_report(
    values: Mapping[str, Sequence[float]], sure: Mapping[str, tuple[float, float]], names: Mapping[str, str]
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with a panel for each measure: a histogram over pairs, the mean as a line, its interval.

    values: those of the pairs, ``sure`` the ends of the intervals, ``names`` how the measures are called.
    """
    rows = -(-len(values) // ACROSS)
    across = min(ACROSS, len(values))
    picture = Image.new("RGB", (across * WIDTH, rows * HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    for number, (name, row) in enumerate(values.items()):
        at = (number % ACROSS * WIDTH, number // ACROSS * HEIGHT)
        _panel(draw, at, np.asarray(row, dtype=np.float64), sure[name], names[name])
    return np.asarray(picture).copy()


def _panel(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], row: NDArray[np.float64], sure: tuple[float, float], name: str
) -> None:
    left, right = at[0] + MARGIN, at[0] + WIDTH - MARGIN
    top, bottom = at[1] + TOP, at[1] + HEIGHT - BOTTOM
    low, high = float(row.min()), float(row.max())
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(row, bins=BINS, range=(low, high))

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    draw.rectangle((place(sure[0]), top, place(sure[1]), bottom), fill=SURE)
    width = (right - left) / BINS
    for i, count in enumerate(counts):
        if count:
            tall = (bottom - top) * count / counts.max()
            draw.rectangle((left + i * width, bottom - tall, left + (i + 1) * width - 1, bottom), fill=BARS)
    mean = place(float(row.mean()))
    draw.line((mean, top - 4, mean, bottom), fill=MEAN, width=2)
    draw.line((left, bottom, right, bottom), fill=FAINT)
    small, usual = ImageFont.load_default(11), ImageFont.load_default(12)
    draw.text((left, at[1] + 6), name.encode("ascii", "replace").decode(), fill=INK, font=usual)
    told = f"mean {row.mean():.4g}, 95 % interval {sure[0]:.4g} to {sure[1]:.4g}"
    draw.text((left, at[1] + 21), told, fill=MEAN, font=small)
    draw.text((left, bottom + 4), f"{low:.4g}", fill=FAINT, font=small)
    draw.text((right, bottom + 4), f"{high:.4g}", fill=FAINT, font=small, anchor="ra")
