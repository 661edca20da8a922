"""What the benchmarks count in pictures: squared error, agreement of label maps and of lines, variety of samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation import pictures
from pixel2style2pixel_cli.evaluation.pictures import squared_errors
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK
from pixel2style2pixel_cli.inputs.photo import resize_photo

Pixels = NDArray[np.uint8]
INK = 0.35  # how dark a pixel of a drawing must be to count as a line, 1 being its darkest lines


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


def label_agreement(truth: Sequence[Pixels], found: Sequence[Pixels]) -> dict[str, Any]:
    """Share of equal pixels, and intersection over union of each class over all maps together.

    The mean is over the classes that ``truth`` has.
    """
    classes = len(CELEBAMASK)
    table = np.zeros((classes, classes), dtype=np.int64)
    for a, b in zip(truth, found, strict=True):
        both = np.bincount(a.astype(np.int64).ravel() * classes + b.ravel(), minlength=classes**2)
        table += both.reshape(table.shape)
    hits, in_truth, in_found = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    present = np.flatnonzero(in_truth)
    overlap = {CELEBAMASK[k]: float(hits[k] / (in_truth[k] + in_found[k] - hits[k])) for k in present}
    return {
        "pixel_accuracy": float(hits.sum() / table.sum()),
        "mean_iou": float(np.mean(list(overlap.values()))),
        "iou": overlap,
    }


def lines(drawing: Pixels) -> NDArray[np.bool_]:
    """Where a drawing has lines; they are whatever is rarer, dark on light or light on dark."""
    grey = (drawing if drawing.ndim == 2 else drawing.mean(axis=2)).astype(np.float64)
    ink = grey.max() - grey if np.median(grey) > 127 else grey - grey.min()
    darkest = float(np.percentile(ink, 99.5))
    return np.asarray(ink > INK * darkest) if darkest > 0 else np.zeros(grey.shape, dtype=np.bool_)


def line_agreement(truth: Sequence[Pixels], found: Sequence[Pixels], tolerance: int) -> float:
    """F1 of line pixels, averaged over drawings: one is right when the other has one within ``tolerance`` pixels."""
    scores = []
    for a, b in zip(truth, found, strict=True):
        wanted, drawn = lines(a), lines(b)
        precision = (drawn & _wider(wanted, tolerance)).sum() / max(1, drawn.sum())
        recall = (wanted & _wider(drawn, tolerance)).sum() / max(1, wanted.sum())
        scores.append(2 * precision * recall / max(1e-9, precision + recall))
    return float(np.mean(scores))


def _wider(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    grown = F.max_pool2d(torch.from_numpy(mask)[None, None].float(), 2 * by + 1, stride=1, padding=by)
    return np.asarray(grown[0, 0].numpy() > 0.5)


def spread(groups: Sequence[Sequence[Pixels]]) -> float:
    """Mean squared error on [-1, 1] between the pictures of a group, averaged over all pairs of all groups."""
    pairs = [pair for group in groups for pair in itertools.combinations(group, 2)]
    return mse([a for a, _ in pairs], [b for _, b in pairs])
