"""How far a face is turned aside, from dlib's 68 points: a ridge regression fitted on renders of known yaw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation.judges import Descriptor

Pixels = NDArray[np.uint8]
RIDGE = 1.0


class YawEstimator:
    """Degrees, + where the face is turned to the right of the picture; ``error`` was measured on other pictures."""

    def __init__(self, describe: Descriptor, pictures: Sequence[Pixels], yaw: NDArray[np.float64]) -> None:
        """Fit on three of four pictures, measure on the fourth."""
        self.describe = describe
        rows = [self._features(picture) for picture in pictures]
        known = np.array([row is not None for row in rows])
        table = np.stack([row for row in rows if row is not None])
        truth = np.asarray(yaw, dtype=np.float64)[known]
        held_out = np.arange(len(table)) % 4 == 3
        fitted = table[~held_out]
        self._mean, self._spread = fitted.mean(axis=0), fitted.std(axis=0) + 1e-6
        x = (fitted - self._mean) / self._spread
        self._offset = float(truth[~held_out].mean())
        normal = x.T @ x + RIDGE * np.eye(x.shape[1])
        self._slopes = np.linalg.solve(normal, x.T @ (truth[~held_out] - self._offset))
        wrong = self._predict(table[held_out]) - truth[held_out]
        self.error: dict[str, Any] = {
            "fitted_on": int((~held_out).sum()),
            "measured_on": int(held_out.sum()),
            "mean_absolute_error": float(np.abs(wrong).mean()),
            "mean_error": float(wrong.mean()),
            "mean_absolute_yaw": float(np.abs(truth[held_out]).mean()),
            "correlation": float(np.corrcoef(wrong + truth[held_out], truth[held_out])[0, 1]),
        }

    def __call__(self, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
        """Yaw of each picture; not a number where no face is found."""
        rows = [self._features(picture) for picture in pictures]
        return np.array([np.nan if row is None else float(self._predict(row[None])[0]) for row in rows])

    def _predict(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((table - self._mean) / self._spread @ self._slopes + self._offset)

    def _features(self, picture: Pixels) -> NDArray[np.float64] | None:
        """The points relative to the middle between the eyes, in distances between eyes and mouth.

        That distance hardly shrinks when a head turns, as the one between the eyes does.
        """
        known = self.describe.look(picture)
        if known is None:
            return None
        points = known.points
        eyes, mouth = points[36:48].mean(axis=0), points[48:68].mean(axis=0)
        return np.asarray((points - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1.0)).ravel()
