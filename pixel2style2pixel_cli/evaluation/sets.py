"""How near a set of pictures is to another: Fréchet distance, precision and recall, identities that stay apart.

Points are rows of features, one a picture. Sources: Heusel et al. 2017 (Fréchet distance), Kynkäänniemi et al. 2019
(precision and recall by neighbours).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation.judges import SAME_PERSON

Points = NDArray[np.float64]
NEIGHBOURS = 3


def frechet(a: Points, b: Points) -> float:
    """Fréchet distance of two clouds as if they were normal; it falls with the number of points: compare equal ones."""
    root = _root(np.cov(a, rowvar=False))
    cross = np.linalg.eigvalsh(root @ np.cov(b, rowvar=False) @ root)
    spread = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    return float(np.square(a.mean(0) - b.mean(0)).sum() + spread - 2 * np.sqrt(np.maximum(cross, 0)).sum())


def _root(matrix: Points) -> Points:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def precision_recall(real: Points, drawn: Points) -> dict[str, float]:
    """Share of drawn points within reach of real ones, and of real ones within reach of drawn ones.

    A point's reach is the distance of its third nearest neighbour of the same kind.
    """
    between = distances(real, drawn)
    reach_real, reach_drawn = (np.sort(distances(x, x), axis=1)[:, NEIGHBOURS] for x in (real, drawn))
    return {
        "precision": float((between <= reach_real[:, None]).any(axis=0).mean()),
        "recall": float((between <= reach_drawn[None]).any(axis=1).mean()),
    }


def distances(a: Points, b: Points) -> Points:
    """Euclidean distance of every pair."""
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def separability(inputs: Points, outputs: Points) -> dict[str, float]:
    """How well outputs tell whom they show: descriptors of inputs and outputs, row by row of one person.

    ``rank_1``: the input nearest to an output is its own; ``true_at_1_percent_false``: own pairs under the distance
    that one in a hundred pairs of different people is under; the share of different outputs, and inputs, that dlib
    calls one person.
    """
    across = distances(inputs, outputs)
    others = ~np.eye(len(inputs), dtype=bool)
    limit = np.quantile(across[others], 0.01)
    return {
        "people": len(inputs),
        "rank_1": float((across.argmin(axis=0) == np.arange(len(inputs))).mean()),
        "true_at_1_percent_false": float((np.diag(across) < limit).mean()),
        "different_outputs_one_person": float((distances(outputs, outputs)[others] < SAME_PERSON).mean()),
        "different_inputs_one_person": float((distances(inputs, inputs)[others] < SAME_PERSON).mean()),
    }
