"""How well codes can be edited: consistency of edits, and what is left of a person at equal effect.

Labels of drawn pictures are read by ``LabelJudge``, a ridge regression from dlib's 68 points and the last map of
EfficientNet-Lite2 to the numbers that the renderer drew its faces from: networks that no compared method looks through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from inverters import Codes, Inverted, Pixels
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation.consistency import edit_lengths, kept_lengths
from pixel2style2pixel_cli.evaluation.judges import Descriptor, Lite2

Numbers = NDArray[np.float64]

# Where the renderer's vector holds what the compared directions change.
LABELS: dict[str, int] = {"smile": 24, "yaw": 32, "age": 38}
STRENGTHS = (0.75, 1.5, 3.0)
EFFECT = 0.75  # standard deviations of a label: what edits are compared at
CONSISTENCY = ("age", 2.0)  # e4e's example is three times the age direction, in a larger unit
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
HELD_OUT = 4  # every fourth picture


class LabelJudge:
    """Reads the labels of pictures in standard deviations; ``correlation`` on pictures that it was not fitted on."""

    def __init__(self, describe: Descriptor, pictures: Sequence[Pixels], z: NDArray[np.float32]) -> None:
        self.describe, self._lite2 = describe, Lite2()
        table, known = self._features(pictures)
        told = z[known][:, list(LABELS.values())].astype(np.float64)
        self._spread = told.std(axis=0)
        told = (told - told.mean(axis=0)) / self._spread
        held = np.arange(len(table)) % HELD_OUT == HELD_OUT - 1
        self._mean, self._scale = table[~held].mean(axis=0), table[~held].std(axis=0) + 1e-6
        x = (table - self._mean) / self._scale
        best: tuple[float, float] = (-1.0, RIDGES[0])
        for ridge in RIDGES:
            found = _correlations(x[held] @ _ridge(x[~held], told[~held], ridge), told[held])
            best = max(best, (float(found.mean()), ridge))
        self._weights = _ridge(x[~held], told[~held], best[1])
        of_held = _correlations(x[held] @ self._weights, told[held])
        self.correlation = dict(zip(LABELS, of_held.tolist(), strict=True))

    def read(self, pictures: Sequence[Pixels]) -> Numbers:
        """Labels (M, 3), up to a constant; not numbers where no face is found."""
        table, known = self._features(pictures)
        found = np.full((len(pictures), len(LABELS)), np.nan)
        found[known] = (table - self._mean) / self._scale @ self._weights
        return found

    def _features(self, pictures: Sequence[Pixels]) -> tuple[Numbers, NDArray[np.bool_]]:
        faces = [self.describe.look(picture) for picture in pictures]
        known = np.array([face is not None for face in faces], dtype=bool)
        if not known.any():
            return np.zeros((0, 1)), known
        seen = self._lite2([picture for picture, here in zip(pictures, known, strict=True) if here])
        return np.hstack([np.stack([_shape(face.points) for face in faces if face is not None]), seen]), known


def _shape(points: Numbers) -> Numbers:
    """The points about the middle between the eyes, in distances between eyes and mouth (as ``yaw.py`` does)."""
    eyes, mouth = points[36:48].mean(axis=0), points[48:68].mean(axis=0)
    return np.asarray((points - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1.0)).ravel()


def _ridge(x: Numbers, y: Numbers, ridge: float) -> Numbers:
    """Weights of the columns of ``y``; solved among pictures, which are fewer than features."""
    gram = x @ x.T
    weights: Numbers = x.T @ np.linalg.solve(gram + ridge * np.trace(gram) / len(gram) * np.eye(len(gram)), y)
    return weights


def _correlations(a: Numbers, b: Numbers) -> Numbers:
    return np.array([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(b.shape[1])])


def edit_consistency(found: Inverted, step: Codes, invert: Callable[[Sequence[Pixels]], Codes], count: int) -> float:
    """LEC: how far a code has moved after edit, drawing, inversion and the edit back; the mean over pictures."""
    return float(kept_lengths(edit_lengths(found.codes[:count], step, found.draw, invert)).mean())


def edits(found: Inverted, steps: Mapping[str, Codes], judge: LabelJudge, count: int) -> dict[str, dict[str, Any]]:
    """By direction: the effect of each strength, and at ``EFFECT`` the strength and dlib's distance from before.

    Effects are means over the first pictures; between strengths they are taken for straight lines. A direction that
    does not come to the effect has no figures at it.
    """
    described = {name: _along(found, step, judge, count, name) for name, step in steps.items()}
    return {name: _at_equal_effect(*row) for name, row in described.items()}


def _along(found: Inverted, step: Codes, judge: LabelJudge, count: int, name: str) -> tuple[list[float], list[float]]:
    column, describe = list(LABELS).index(name), judge.describe
    before = judge.read(found.pictures[:count])[:, column]
    effects, distances = [0.0], [0.0]
    for strength in STRENGTHS:
        drawn = [found.draw(i, found.codes[i][None] + np.float32(strength) * step)[0] for i in range(count)]
        effects.append(float(np.nanmean(judge.read(drawn)[:, column] - before)))
        pairs = [(describe(a), describe(b)) for a, b in zip(found.pictures, drawn, strict=False)]
        apart = [float(np.linalg.norm(a - b)) for a, b in pairs if a is not None and b is not None]
        distances.append(float(np.mean(apart)) if apart else math.nan)
    return effects, distances


def _at_equal_effect(effects: Sequence[float], distances: Sequence[float]) -> dict[str, Any]:
    strengths = (0.0, *STRENGTHS)
    row: dict[str, Any] = {"effects": [round(effect, 4) for effect in effects[1:]], "strength": None, "distance": None}
    for i in range(1, len(strengths)):
        if effects[i] >= EFFECT > effects[i - 1]:
            share = (EFFECT - effects[i - 1]) / (effects[i] - effects[i - 1])
            row["strength"] = strengths[i - 1] + share * (strengths[i] - strengths[i - 1])
            row["distance"] = distances[i - 1] + share * (distances[i] - distances[i - 1])
            break
    return row
