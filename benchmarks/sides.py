"""The side at which figures are taken, so that those of generators of different sizes can be compared.

Pictures larger than ``SIDE`` are reduced to it by averages before they are measured. What only they have is measured
beside it, at their own side, where the renders they are compared with were not smaller.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.losses.spectrum import spectrum_ratio
from pixel2style2pixel_cli.training.data import PictureSource

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
SIDE = 128
CYCLES = (8, 16, 32, 48, 96)


def reduced(picture: Pixels, side: int = SIDE) -> Pixels:
    """A picture (S, S, 3) at a side that is not larger than its own: the means of its blocks.

    Where a side is no multiple of the other, as the program resizes.
    """
    size = len(picture)
    if size <= side:
        return picture
    if size % side:
        return resize_photo(picture, side)
    step = size // side
    means = picture.reshape(side, step, side, step, -1).mean(axis=(1, 3))
    return np.rint(means).astype(np.uint8)


def all_reduced(pictures: Sequence[Pixels], side: int = SIDE) -> list[Pixels]:
    """The same of several."""
    return [reduced(picture, side) for picture in pictures]


def inner_mask(mask: Mask, side: int = SIDE) -> Mask:
    """The pixels of a reduced picture that lie wholly inside a mask (S, S)."""
    size = len(mask)
    if size <= side:
        return mask
    if size % side:
        raise ValueError(f"a mask of {size} px cannot be reduced to {side}")
    step = size // side
    return np.asarray(mask.reshape(side, step, side, step).all(axis=(1, 3)))


def spectrum(drawn: Sequence[Pixels], pictures: Sequence[Pixels]) -> dict[str, float]:
    """Power of drawn pictures over that of others, by cycles per picture, as far as their side has them."""
    cycles = [count for count in CYCLES if count + 1 < len(drawn[0]) / 2]
    ratios = spectrum_ratio(to_float(drawn), to_float(pictures), cycles)
    return {str(count): float(ratio) for count, ratio in zip(cycles, ratios, strict=True)}


def own_side(source: PictureSource) -> int:
    """The smallest side at which the first pictures of a source are stored; the source enlarges them where asked."""
    return min(source.stored_side(index) for index in range(min(8, len(source))))
