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
FALSE_MATCHES = 0.01


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


def own_found(inputs: Points, outputs: Points, own: NDArray[np.int64] | None = None) -> dict[str, Points]:
    """For each output 1 where it holds and else 0: whether the input nearest to it is its own (``rank_1``), and whether
    the two are under the distance that one in a hundred pairs of different people is under
    (``true_at_1_percent_false``).

    ``own`` says which input belongs to each output, where there are more inputs than outputs.
    """
    belongs = np.arange(len(outputs)) if own is None else own
    across = distances(inputs, outputs)
    same = np.arange(len(inputs))[:, None] == belongs
    limit = np.quantile(across[~same], FALSE_MATCHES)
    return {
        "rank_1": (across.argmin(axis=0) == belongs).astype(np.float64),
        "true_at_1_percent_false": (across[belongs, np.arange(len(outputs))] < limit).astype(np.float64),
    }


def separability(inputs: Points, outputs: Points) -> dict[str, float]:
    """How well outputs tell whom they show: descriptors of inputs and outputs, row by row of one person.

    The shares of ``own_found``, among as many people as there are rows; and the share of different outputs, and
    inputs, that dlib calls one person.
    """
    others = ~np.eye(len(inputs), dtype=bool)
    return {
        "people": len(inputs),
        **{name: float(rows.mean()) for name, rows in own_found(inputs, outputs).items()},
        "different_outputs_one_person": float((distances(outputs, outputs)[others] < SAME_PERSON).mean()),
        "different_inputs_one_person": float((distances(inputs, inputs)[others] < SAME_PERSON).mean()),
    }
