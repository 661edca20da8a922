"""Whether drawings agree: F1 of their line pixels, within a few pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
INK = 0.35  # how dark a pixel of a drawing must be to count as a line, 1 being its darkest lines


def find_lines(drawing: Pixels) -> NDArray[np.bool_]:
    """Where a drawing (H, W) or (H, W, 3) has lines; whatever is rarer, dark on light or light on dark."""
    grey = (drawing if drawing.ndim == 2 else drawing.mean(axis=2)).astype(np.float64)
    ink = grey.max() - grey if np.median(grey) > 127 else grey - grey.min()
    darkest = float(np.percentile(ink, 99.5))
    return np.asarray(ink > INK * darkest) if darkest > 0 else np.zeros(grey.shape, dtype=np.bool_)


def line_f1(truth: Pixels, found: Pixels, tolerance: int) -> float:
    """F1 of line pixels of two drawings of one size: one is right if the other has one within ``tolerance`` pixels."""
    wanted, drawn = find_lines(truth), find_lines(found)
    precision = (drawn & _wider(wanted, tolerance)).sum() / max(1, drawn.sum())
    recall = (wanted & _wider(drawn, tolerance)).sum() / max(1, wanted.sum())
    return float(2 * precision * recall / max(1e-9, precision + recall))


def line_agreement(truth: Sequence[Pixels], found: Sequence[Pixels], tolerance: int) -> float:
    """``line_f1``, averaged over drawings."""
    return float(np.mean([line_f1(a, b, tolerance) for a, b in zip(truth, found, strict=True)]))


def _wider(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    grown = F.max_pool2d(torch.from_numpy(mask)[None, None].float(), 2 * by + 1, stride=1, padding=by)
    return np.asarray(grown[0, 0].numpy() > 0.5)
