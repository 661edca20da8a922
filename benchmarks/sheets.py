"""One picture for each measured task: inputs, outputs and targets side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.sheet import sheet_image
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK

Pixels = NDArray[np.uint8]
MOST_BYTES = 200_000
QUALITIES = (90, 85, 80, 70, 60, 50)


def write_sheet(
    path: Path, rows: Sequence[Sequence[Pixels]], captions: Sequence[str], *, columns: int = 1, tile: int = 128
) -> None:
    """A WebP file of at most 200 000 bytes; ``captions`` name the pictures of a row, ``columns`` rows stand abreast."""
    tiles = [("", [as_rgb(picture) for picture in row]) for row in rows]
    sheet = sheet_image(tiles, columns=columns, tile=tile, captions=captions)
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in QUALITIES:
        content = encode_image(sheet, "webp", quality=quality)
        if len(content) <= MOST_BYTES:
            break
    path.write_bytes(content)


def as_rgb(picture: Pixels) -> Pixels:
    """A grey drawing as a picture of three channels."""
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


def coloured(labels: Pixels) -> Pixels:
    """A label map to look at: the background black, neighbouring class numbers in distant hues."""
    hues = [colorsys.hsv_to_rgb(k * 0.618 % 1.0, 0.55 + 0.4 * (k % 2), 0.95) for k in range(len(CELEBAMASK))]
    palette = np.array([(0.0, 0.0, 0.0), *hues[1:]]) * 255
    return np.asarray(palette.astype(np.uint8)[labels])
