"""What the benchmarks count in pictures: squared error, also of parts, and variety of samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation import pictures
from pixel2style2pixel_cli.evaluation.pictures import squared_errors
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.photo import resize_photo

Pixels = NDArray[np.uint8]


def mse(a: Sequence[Pixels], b: Sequence[Pixels]) -> float:
    """Mean squared error on [-1, 1], averaged over pictures; those of ``a`` are brought to the size of ``b``'s."""
    return float(squared_errors(a, b).mean())


def psnr(a: Sequence[Pixels], b: Sequence[Pixels]) -> float:
    """Peak signal-to-noise ratio in decibels, averaged over pictures."""
    return float(pictures.psnr(a, b).mean())


def masked_mse(a: Sequence[Pixels], b: Sequence[Pixels], masks: Sequence[NDArray[np.bool_]]) -> float:
    """Mean squared error on [-1, 1] of the pixels where the mask holds, averaged over pictures."""
    return float(np.mean([wrong[mask].mean() for wrong, mask in zip(_wrong(a, b), masks, strict=True)]))


def _wrong(a: Sequence[Pixels], b: Sequence[Pixels]) -> Iterator[NDArray[np.float32]]:
    """Squared error of each pixel (H, W), the mean of its channels; pair by pair, large pictures would fill memory."""
    for x, y in zip(a, b, strict=True):
        difference = to_float([resize_photo(x, y.shape[0])]) - to_float([y])
        yield difference.square().mean(dim=1)[0].numpy()


def partner(items: Sequence[Any]) -> list[Any]:
    """The items moved on by one, so that each meets another one: the random pairs of every comparison."""
    return [*items[1:], *items[:1]]


def spread(groups: Sequence[Sequence[Pixels]]) -> float:
    """Mean squared error on [-1, 1] between the pictures of a group, averaged over all pairs of all groups."""
    pairs = [pair for group in groups for pair in itertools.combinations(group, 2)]
    return mse([a for a, _ in pairs], [b for _, b in pairs])
