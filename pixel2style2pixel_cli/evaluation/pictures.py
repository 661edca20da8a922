"""Measures of a picture against its target: squared error, peak signal-to-noise ratio, structural similarity.

All take pictures as uint8 (H, W, 3), and bring the first of a pair to the size of the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.photo import resize_photo

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float64]

# Wang et al. 2003: shares of five scales, each half the size of the one before.
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, DEVIATION = 11, 1.5
# Stabilisers for values from 0 to 1.
LUMINANCE, CONTRAST = 0.01**2, 0.03**2


def squared_errors(drawn: Sequence[Pixels], targets: Sequence[Pixels]) -> Numbers:
    """Mean squared error of each pair on [-1, 1]."""
    return np.array([float((x - y).square().mean()) for x, y in _pairs(drawn, targets)])


def psnr(drawn: Sequence[Pixels], targets: Sequence[Pixels]) -> Numbers:
    """Peak signal-to-noise ratio of each pair in decibels; equal pictures count as 100."""
    return np.asarray(10 * np.log10(4 / np.maximum(squared_errors(drawn, targets), 4e-10)))


def ms_ssim(drawn: Sequence[Pixels], targets: Sequence[Pixels]) -> Numbers:
    """Multi-scale structural similarity of each pair, 1 for equal pictures.

    Source: Wang, Simoncelli and Bovik, Multiscale Structural Similarity, 2003: Gaussian window of 11 pixels, deviation
    1.5, the mean over colours. A picture under 176 px has fewer of the five scales; the shares of those that it has
    are brought to a sum of 1, so compare figures of one size only.
    """
    return np.array([_ms_ssim((x + 1) / 2, (y + 1) / 2) for x, y in _pairs(drawn, targets)])


def _pairs(drawn: Sequence[Pixels], targets: Sequence[Pixels]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One pair after the other as (1, 3, H, W): all of them at once would fill memory."""
    for x, y in zip(drawn, targets, strict=True):
        if x.shape != y.shape:
            x = resize_photo(x, y.shape[0])
        yield to_float([x]), to_float([y])


def _ms_ssim(x: torch.Tensor, y: torch.Tensor) -> float:
    side = min(x.shape[-2:])
    count = next((n for n in range(len(SCALES), 1, -1) if side // 2 ** (n - 1) >= WINDOW), 1)
    shares = np.array(SCALES[:count]) / sum(SCALES[:count])
    parts: list[float] = []
    for scale in range(count):
        similar, structure = _ssim(x, y)
        parts.append(max(similar if scale == count - 1 else structure, 0.0))
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return float(np.prod(np.power(parts, shares)))


def _ssim(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Structural similarity of one scale, and the part of it that leaves brightness out."""
    window = min(WINDOW, *x.shape[-2:])
    places = torch.arange(window, dtype=x.dtype) - (window - 1) / 2
    taps = torch.exp(-places.square() / (2 * DEVIATION**2))
    taps = taps / taps.sum()

    def blurred(values: torch.Tensor) -> torch.Tensor:
        for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
            values = F.conv2d(values, taps.view(shape).expand(3, 1, -1, -1), groups=3)
        return values

    mean_x, mean_y = blurred(x), blurred(y)
    spread = blurred(x * x) + blurred(y * y) - mean_x.square() - mean_y.square()
    together = blurred(x * y) - mean_x * mean_y
    structure = (2 * together + CONTRAST) / (spread + CONTRAST)
    brightness = (2 * mean_x * mean_y + LUMINANCE) / (mean_x.square() + mean_y.square() + LUMINANCE)
    return float((brightness * structure).mean()), float(structure.mean())
