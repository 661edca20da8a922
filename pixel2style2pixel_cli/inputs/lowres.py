"""The published degradation: a picture reduced by a bicubic filter and enlarged again (methods.md 4.5)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import UsageError, check_shape

# What the published super-resolution model was trained on, drawn with equal chances.
FACTORS = (1, 2, 4, 8, 16, 32)
# The published degradation works at this size; a generator of smaller pictures has no use for as much.
DEGRADED_SIDE = 256
_SLOPE = -0.5  # the parameter a of the bicubic kernel
# Keeps whole levels whole: sums of weights end a little below them, and the published rounding truncates.
_SLACK = 1e-4


def degrade(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The picture as it looks after a reduction by ``factor``, at its own size again.

    image: uint8 (S, S, 3). Reduction as in ``reduce_bicubic``, truncated to 8 bits, then Pillow's bilinear enlargement,
    all as published, which includes that odd factors shift the picture by half a pixel: factor 1 softens it a little.
    Where ``factor`` does not divide S, the picture is continued by reflection to a multiple and cut back afterwards, so
    that it keeps its place (the published code stretches it). Raises UsageError unless the factor is from 1 to 32.
    """
    check_shape(image, (None, None, 3), "image")
    check_factor(factor)
    height, width = image.shape[:2]
    rows, columns = -height % factor, -width % factor
    whole = np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="symmetric") if rows or columns else image
    reduced = np.clip(reduce_bicubic(whole / 255.0, factor), 0.0, 1.0)
    small = Image.fromarray((reduced * 255.0 + _SLACK).astype(np.uint8))
    large = small.resize((whole.shape[1], whole.shape[0]), Image.Resampling.BILINEAR)
    return np.array(large)[:height, :width]


def reduce_bicubic(image: NDArray[np.floating], factor: int) -> NDArray[np.float64]:
    """Every ``factor``-th sample of the picture under a bicubic filter, (H // factor, W // factor, C).

    Separable, 4 ``factor`` taps that add up to 1, edges reflected; values may leave the range of ``image`` (H, W, C).
    """
    check_shape(image, (None, None, None), "image")
    height, width, channels = image.shape
    down, across = _weights(height, factor), _weights(width, factor)
    rows = (down @ image.reshape(height, -1)).reshape(-1, width, channels)
    return np.asarray(np.einsum("ow,hwc->hoc", across, rows, optimize=True), dtype=np.float64)


def check_factor(factor: int) -> None:
    """Raise UsageError unless a picture can be reduced by ``factor``."""
    if not FACTORS[0] <= factor <= FACTORS[-1]:
        raise UsageError(
            f"a reduction by {factor} is not possible, expected a whole number from {FACTORS[0]} to {FACTORS[-1]}",
            f"the published factors are {', '.join(map(str, FACTORS))}",
        )


@functools.cache
def _weights(length: int, factor: int) -> NDArray[np.float64]:
    """The filter along one axis as a matrix (length // factor, length), reflection included."""
    taps = 4 * factor
    distance = np.abs(np.arange(taps) - taps // 2 + 0.5) / factor
    near = (_SLOPE + 2) * distance**3 - (_SLOPE + 3) * distance**2 + 1
    far = _SLOPE * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    kernel = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    kernel /= kernel.sum()
    padding = taps - factor
    places = np.pad(np.arange(length), (padding // 2, padding - padding // 2), mode="reflect")
    weights = np.zeros((length // factor, length))
    for row in range(length // factor):
        np.add.at(weights[row], places[row * factor : row * factor + taps], kernel)
    return weights
