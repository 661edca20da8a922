"""Inputs with little in them, and inputs that are wrong: what people draw is not what systems were trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pixel2style2pixel_cli.inputs.labels import CELEBAMASK, FEATURES

Pixels = NDArray[np.uint8]
SPARSE_WINDOWS, STROKES = 5, 6


def sparse_map(labels: Pixels, seed: int) -> Pixels:
    """The map without the features of the face: skin is where they were."""
    features = [CELEBAMASK.index(name) for name in FEATURES]
    return np.where(np.isin(labels, features), CELEBAMASK.index("skin"), labels).astype(np.uint8)


def wrong_map(labels: Pixels, seed: int) -> Pixels:
    """The map as a careless hand draws it: blocks of an eighth of a face, and one eye at another place."""
    side = len(labels)
    chance = np.random.default_rng([1, seed])
    coarse = np.array(Image.fromarray(labels).resize((side // 6, side // 6), Image.Resampling.NEAREST))
    found = np.array(Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST))
    eye = CELEBAMASK.index("l_eye")
    rows, columns = np.nonzero(found == eye)
    found[rows, columns] = CELEBAMASK.index("skin")
    y, x = chance.integers(side // 3, 2 * side // 3, 2)
    found[y : y + side // 16, x : x + side // 10] = eye
    return found


def sparse_drawing(drawing: Pixels, seed: int) -> Pixels:
    """The drawing with five windows of it rubbed out."""
    chance, side = np.random.default_rng([2, seed]), len(drawing)
    found = drawing.copy()
    for _ in range(SPARSE_WINDOWS):
        y, x = chance.integers(0, side - side // 4, 2)
        found[y : y + side // 4, x : x + side // 4] = 255
    return found


def wrong_drawing(drawing: Pixels, seed: int) -> Pixels:
    """The drawing with six strokes that belong to no face."""
    chance, side = np.random.default_rng([3, seed]), len(drawing)
    picture = Image.fromarray(drawing)
    pen = ImageDraw.Draw(picture)
    for _ in range(STROKES):
        pen.line([tuple(map(int, chance.integers(0, side, 2))) for _ in range(3)], fill=40, width=2)
    return np.asarray(picture).copy()
