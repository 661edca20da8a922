"""Whether label maps agree, class by class: intersection over union, over all maps together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation.intervals import ENDS, resampled
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19, LabelSchema

Pixels = NDArray[np.uint8]
Counts = NDArray[np.int64]


@dataclass(slots=True)
class Agreement:
    """Takes pairs of maps one after the other; keeps how many pixels of each class became which."""

    schema: LabelSchema = CELEBAMASK_19
    tables: list[Counts] = field(default_factory=list)

    def add(self, truth: Pixels, found: Pixels) -> None:
        """One pair of maps (S, S) of class numbers of the schema."""
        classes = self.schema.count
        both = np.bincount(truth.astype(np.int64).ravel() * classes + found.ravel(), minlength=classes**2)
        self.tables.append(both.reshape(classes, classes))

    def figures(self) -> dict[str, Any]:
        """Share of equal pixels, mean IoU and IoU of each class; the classes are those that the true maps have."""
        overlap, accuracy, present = self._over(np.sum(self.tables, axis=0))
        return {
            "pixel_accuracy": float(accuracy),
            "mean_iou": float(overlap[present].mean()),
            "iou": {self.schema.classes[k]: float(overlap[k]) for k in present},
        }

    def intervals(self, seed: int = 0) -> dict[str, tuple[float, float]]:
        """The 95 % bootstrap intervals of the share of equal pixels and of the mean IoU, by drawing pairs anew."""
        tables = np.stack(self.tables)
        drawn = [self._over(np.einsum("m,mij->ij", weights, tables)) for weights in resampled(len(tables), seed)]
        ends = {
            "pixel_accuracy": [accuracy for _, accuracy, _ in drawn],
            "mean_iou": [overlap[present].mean() for overlap, _, present in drawn],
        }
        found = {}
        for name, values in ends.items():
            low, high = np.quantile(values, ENDS)
            found[name] = (float(low), float(high))
        return found

    @staticmethod
    def _over(table: Counts) -> tuple[NDArray[np.float64], float, NDArray[np.int64]]:
        """IoU of each class, share of equal pixels, the classes of the true maps."""
        hits, in_truth, in_found = np.diag(table), table.sum(axis=1), table.sum(axis=0)
        overlap = hits / np.maximum(1, in_truth + in_found - hits)
        return overlap, float(hits.sum() / table.sum()), np.flatnonzero(in_truth)


def label_agreement(truth: Sequence[Pixels], found: Sequence[Pixels]) -> dict[str, Any]:
    """The figures of lists of maps in CelebAMask-HQ's numbers."""
    agreement = Agreement()
    for a, b in zip(truth, found, strict=True):
        agreement.add(a, b)
    return agreement.figures()
